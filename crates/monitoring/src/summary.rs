use crate::distribution::Distribution;

/// Values, summed up: what a stored point is made of. Summaries of the same metric can be merged in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// `None` when only totals are known, so that there are no percentiles.
    pub(crate) distribution: Option<Distribution>,
}

impl Summary {
    /// Of one value.
    pub fn of(value: f64) -> Self {
        Self { count: 1.0, sum: value, min: value, max: value, distribution: Some(Distribution::of([(value, 1.0)])) }
    }

    /// Of values and how often each was seen; `None` when there are none. Values are finite and counts above zero.
    pub fn of_counts(values: &[(f64, f64)]) -> Option<Self> {
        let (first, _) = values.first()?;
        let bound = |pick: fn(f64, f64) -> f64| values.iter().fold(*first, |bound, (value, _)| pick(bound, *value));
        Some(Self {
            count: values.iter().map(|(_, count)| count).sum(),
            sum: values.iter().map(|(value, count)| value * count).sum(),
            min: bound(f64::min),
            max: bound(f64::max),
            distribution: Some(Distribution::of(values.iter().copied())),
        })
    }

    /// Of totals alone. There are percentiles only where all values must be the same. (API Reference, "MetricDatum",
    /// `StatisticValues`; User Guide, "Percentiles".)
    pub fn of_totals(count: f64, sum: f64, min: f64, max: f64) -> Self {
        let one = count == 1.0 || min == max;
        let distribution = one.then(|| Distribution::of([(if count == 1.0 { sum } else { min }, count)]));
        Self { count, sum, min, max, distribution }
    }

    /// Adds what another has.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        match (&mut self.distribution, &other.distribution) {
            (Some(ours), Some(theirs)) => ours.merge(theirs),
            (ours, _) => *ours = None,
        }
    }
}
