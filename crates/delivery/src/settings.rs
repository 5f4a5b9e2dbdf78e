use std::time::Duration;

use crate::aggregation::Pace;

/// How delivery paces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// A log file is closed when its oldest record was received this long ago. Default 60 s (CloudTrail: about 5
    /// minutes).
    pub max_age: Duration,
    /// A log file is closed at about this compressed size, in bytes. Default 5,000,000.
    pub max_bytes: usize,
    /// The length of a digest's window, at least one second. Default an hour, as CloudTrail's.
    pub digest_interval: Duration,
    /// The length of an aggregated event's window. Default 5 minutes, as CloudTrail's.
    pub aggregation_window: Duration,
    /// How long after the end of such a window its events are waited for. Default 30 s.
    pub aggregation_grace: Duration,
    /// A put that takes longer counts as failed. Default 60 s.
    pub put_timeout: Duration,
    /// The longest pause between two attempts; pauses start at a second and double. Default 5 minutes.
    pub longest_pause: Duration,
    /// Records that could not be delivered for this long are given up. Default 30 days.
    /// (User Guide, "GetTrailStatus" and "Amazon S3 bucket policy for CloudTrail".)
    pub give_up_after: Duration,
    /// How long a graceful stop may take to deliver what was received. Default 10 s.
    pub stop_deadline: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(60),
            max_bytes: 5_000_000,
            digest_interval: Duration::from_secs(3600),
            aggregation_window: Duration::from_secs(300),
            aggregation_grace: Duration::from_secs(30),
            put_timeout: Duration::from_secs(60),
            longest_pause: Duration::from_secs(300),
            give_up_after: Duration::from_secs(30 * 86_400),
            stop_deadline: Duration::from_secs(10),
        }
    }
}

impl DeliverySettings {
    /// How windows of aggregated events lie.
    pub(crate) fn pace(&self) -> Pace {
        Pace { window: self.aggregation_window, grace: self.aggregation_grace }
    }
}
