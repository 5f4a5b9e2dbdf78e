//! Which of many surprises are discoveries.

/// Keeps the surprises that are discoveries among `keys` keys, at the false discovery rate `rate`, and returns how many.
///
/// The procedure of Yoav Benjamini and Yosef Hochberg ("Controlling the False Discovery Rate", 1995): of the chances, smallest
/// first, all up to the last whose chance is at most `rate * rank / keys`. `surprise` gives the negative logarithm of a chance.
/// What is left is in the order of surprise, largest first.
pub fn discoveries<T>(candidates: &mut Vec<T>, keys: usize, rate: f64, surprise: impl Fn(&T) -> f64) -> usize {
    candidates.sort_by(|a, b| surprise(b).total_cmp(&surprise(a)));
    let needed = (keys.max(candidates.len()).max(1) as f64 / rate).ln();
    let is_low = |(rank, candidate): (usize, &T)| surprise(candidate) >= needed - ((rank + 1) as f64).ln();
    let found = candidates.iter().enumerate().filter(|pair| is_low(*pair)).map(|(rank, _)| rank + 1).next_back();
    candidates.truncate(found.unwrap_or(0));
    candidates.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_surprise_must_stand_against_all_keys() {
        // A chance of one in a million times a thousand keys is one in a thousand.
        let mut one = vec![1e6_f64.ln()];
        assert_eq!(discoveries(&mut one.clone(), 1000, 1e-4, |s| *s), 0);
        assert_eq!(discoveries(&mut one, 1000, 1.1e-3, |s| *s), 1);
    }

    #[test]
    fn many_surprises_together_need_less_each() {
        let mut hundred = vec![1e6_f64.ln(); 100];
        hundred.push(0.1);
        assert_eq!(discoveries(&mut hundred, 1000, 1.1e-5, |s| *s), 100);
        assert!(hundred.iter().all(|s| *s > 1.0));
    }

    #[test]
    fn no_surprise_is_no_discovery() {
        assert_eq!(discoveries(&mut Vec::<f64>::new(), 0, 1e-3, |s| *s), 0);
    }
}
