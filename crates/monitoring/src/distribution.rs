//! How values are spread: enough of it for percentiles, in bounded space.
//!
//! Up to [`EXACT`] different values are kept as they are. Beyond, values are rounded to the middles of buckets whose bounds
//! grow by a constant factor, as a DDSketch's do, so that each is known to a relative error: 0.5 % while the values lie
//! within about four decades (1,024 buckets), 1 % within nine, and twice that for each doubling. Merging loses nothing that
//! rounding has not lost already.

/// As many different values are kept exactly.
const EXACT: usize = 64;
/// As many buckets are kept before each two become one.
const BUCKETS: usize = 1024;
/// What a bucket's upper bound is over its lower one, at the first level: a relative error of 0.5 %.
const GROWTH: f64 = 1.005 / 0.995;

/// Values and how often each was seen, sorted by value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Distribution {
    /// 0: the values are exact. Else buckets grow by [`GROWTH`] to the power of 2 to the power of this less one.
    level: u8,
    entries: Vec<(f64, f64)>,
}

impl Distribution {
    /// Of values and how often each was seen.
    pub(crate) fn of(values: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut made = Self { level: 0, entries: values.into_iter().collect() };
        made.settle();
        made
    }

    /// Values and how often each was seen, in order of value.
    pub(crate) fn entries(&self) -> &[(f64, f64)] {
        &self.entries
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let level = self.level.max(other.level);
        let theirs = other.entries.iter().map(|(value, weight)| (rounded(*value, level, other.level), *weight));
        if level > self.level {
            let from = self.level;
            self.entries.iter_mut().for_each(|(value, _)| *value = rounded(*value, level, from));
        }
        self.level = level;
        self.entries.extend(theirs);
        self.settle();
    }

    /// Sorts, joins what is equal, and rounds where there is too much.
    fn settle(&mut self) {
        loop {
            self.entries.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            self.entries.dedup_by(|(value, weight), (kept, sum)| {
                let same = value == kept;
                if same {
                    *sum += *weight;
                }
                same
            });
            let bound = if self.level == 0 { EXACT } else { BUCKETS };
            if self.entries.len() <= bound {
                return;
            }
            let from = self.level;
            self.level += 1;
            self.entries.iter_mut().for_each(|(value, _)| *value = rounded(*value, from + 1, from));
        }
    }

    /// The stored form: the level, then each value and weight in little-endian order.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + 16 * self.entries.len());
        out.push(self.level);
        for (value, weight) in &self.entries {
            out.extend(value.to_le_bytes());
            out.extend(weight.to_le_bytes());
        }
        out
    }

    /// From the stored form; `None` when it is damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (level, rest) = bytes.split_first()?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(f64::from_le_bytes);
        let (entries, []) = rest.as_chunks::<16>() else { return None };
        let entries = entries.iter().map(|entry| Some((number(&entry[..8])?, number(&entry[8..])?)));
        let entries: Vec<_> = entries.collect::<Option<_>>()?;
        let ordered = entries.is_sorted_by(|(a, _), (b, _)| a < b);
        (ordered && *level < 32).then_some(Self { level: *level, entries })
    }
}

/// `value`, known to the level `from`, at the coarser `level`. Buckets of a level are halves of those of the next.
fn rounded(value: f64, level: u8, from: u8) -> f64 {
    if level == from || value == 0.0 {
        return value;
    }
    let growth = GROWTH.powf(2_f64.powi(i32::from(level) - 1));
    let bucket = (value.abs().ln() / growth.ln()).ceil();
    let middle = 2.0 * growth.powf(bucket) / (growth + 1.0);
    // Beyond the largest number there is no middle.
    if middle.is_finite() { middle.copysign(value) } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_values_are_exact() {
        let made = Distribution::of([(3.0, 1.0), (1.0, 2.0), (3.0, 1.0)]);
        assert_eq!(made.entries(), [(1.0, 2.0), (3.0, 2.0)]);
    }

    #[test]
    fn space_is_bounded_however_far_values_lie_apart() {
        let values = (0..20_000).map(|i| ((1.0 + f64::from(i)).powi(20) * if i % 2 == 0 { 1.0 } else { -1.0 }, 1.0));
        let made = Distribution::of(values);
        assert!(made.entries().len() <= BUCKETS);
        assert_eq!(made.entries().iter().map(|(_, weight)| weight).sum::<f64>(), 20_000.0);
    }

    #[test]
    fn damaged_bytes_are_not_believed() {
        let mut bytes = Distribution::of([(1.0, 1.0), (2.0, 1.0)]).to_bytes();
        assert!(Distribution::from_bytes(&bytes).is_some());
        bytes.pop();
        assert_eq!(Distribution::from_bytes(&bytes), None);
        assert_eq!(Distribution::from_bytes(&[]), None);
        assert_eq!(Distribution::from_bytes(&[77]), None);
    }

    proptest! {
        #[test]
        fn each_value_is_known_to_half_a_percent(
            values in prop::collection::vec(1.0..10_000.0_f64, 65..500),
            cut in 0..64_usize,
        ) {
            let mut made = Distribution::of(values[..cut].iter().map(|value| (*value, 1.0)));
            made.merge(&Distribution::of(values[cut..].iter().map(|value| (*value, 1.0))));
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let kept = made.entries().iter().flat_map(|(value, weight)| std::iter::repeat_n(*value, *weight as usize));
            let kept: Vec<f64> = kept.collect();
            prop_assert_eq!(kept.len(), sorted.len());
            for (kept, was) in kept.iter().zip(&sorted) {
                prop_assert!((kept - was).abs() <= 0.005_001 * was, "{} for {}", kept, was);
            }
            let stored = Distribution::from_bytes(&made.to_bytes());
            prop_assert_eq!(stored, Some(made));
        }
    }
}
