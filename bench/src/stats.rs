use std::time::Duration;

/// Times of single operations.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that `percent` of all do not exceed (nearest rank).
    pub fn percentile(&mut self, percent: f64) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// `p50 …  p99 …  max …`, in milliseconds.
    pub fn line(&mut self) -> String {
        let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percent| self.percentile(percent).as_secs_f64() * 1000.0);
        format!("p50 {p50:>8.3} ms  p99 {p99:>8.3} ms  max {max:>8.3} ms  (n {})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_seen() {
        let mut times = Times::default();
        for millis in (1..=200).rev() {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!(times.percentile(50.0), Duration::from_millis(100));
        assert_eq!(times.percentile(99.0), Duration::from_millis(198));
        assert_eq!(times.percentile(100.0), Duration::from_millis(200));
    }
}
