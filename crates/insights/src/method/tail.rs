//! How unlikely a count is.

/// The exponent of Chernoff's bound on the upper tail of a negative binomial distribution: the chance of `count` or more is at most
/// `exp(-exponent)`. The distribution has the mean `mean` and the variance `dispersion * mean`; a dispersion of 1 or less is
/// Poisson's. Zero when `count` is not above the mean.
///
/// A bound rather than the tail itself: it is never too sure, and it needs no special functions. (Herman Chernoff, "A Measure of
/// Asymptotic Efficiency for Tests of a Hypothesis Based on the Sum of Observations", 1952; A. Colin Cameron and Pravin Trivedi,
/// "Regression Analysis of Count Data", for the distribution with a variance proportional to its mean.)
pub fn exponent(count: f64, mean: f64, dispersion: f64) -> f64 {
    if count <= mean || mean <= 0.0 {
        return 0.0;
    }
    let poisson = count * (count / mean).ln() - (count - mean);
    if dispersion <= 1.000_1 {
        return poisson.max(0.0);
    }
    let size = mean / (dispersion - 1.0);
    let bound = count * (count / mean).ln() - (count + size) * ((count + size) / (mean + size)).ln();
    // Rounding may leave a hair below zero where the count is the mean.
    bound.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tail, summed term by term.
    fn tail(count: u32, mean: f64, dispersion: f64) -> f64 {
        let size = mean / (dispersion - 1.0);
        let p = size / (size + mean);
        let mut term = p.powf(size);
        let mut below = 0.0;
        for k in 0..count {
            below += term;
            term *= (f64::from(k) + size) / (f64::from(k) + 1.0) * (1.0 - p);
        }
        let mut tail = 0.0;
        for k in count..count + 20_000 {
            tail += term;
            term *= (f64::from(k) + size) / (f64::from(k) + 1.0) * (1.0 - p);
        }
        assert!((below + tail - 1.0).abs() < 1e-6);
        tail
    }

    #[test]
    fn the_bound_is_never_below_the_tail_and_not_far_above() {
        for mean in [0.01, 0.5, 3.0, 40.0] {
            for dispersion in [1.2, 2.0, 6.0] {
                for count in [1, 2, 5, 20, 60, 200] {
                    if f64::from(count) <= mean {
                        continue;
                    }
                    let (exact, bound) =
                        (tail(count, mean, dispersion), (-exponent(count.into(), mean, dispersion)).exp());
                    assert!(bound >= exact * 0.999_999, "{count} of {mean} x {dispersion}: {bound} < {exact}");
                    // The bound's price is polynomial: it hardly moves what needs a chance of one in thousands of millions.
                    assert!(
                        bound <= exact.powf(0.7) * 40.0 || mean < 1.0,
                        "{count} of {mean} x {dispersion}: {bound} > {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn more_is_less_likely_and_wider_is_likelier() {
        assert!(exponent(20.0, 5.0, 2.0) > exponent(15.0, 5.0, 2.0));
        assert!(exponent(20.0, 5.0, 2.0) > exponent(20.0, 5.0, 4.0));
        assert!(exponent(20.0, 5.0, 1.0) > exponent(20.0, 5.0, 2.0));
        assert_eq!(exponent(5.0, 5.0, 2.0), 0.0);
        assert_eq!(exponent(5.0, 0.0, 2.0), 0.0);
    }
}
