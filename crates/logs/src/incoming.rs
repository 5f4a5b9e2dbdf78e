use crate::place::GroupPlace;
use crate::writer::{Committed, Part};

/// What a group is about to get, counted once it is durable. (CloudWatch Logs User Guide, "Monitoring with CloudWatch metrics":
/// IncomingLogEvents, IncomingBytes.)
pub(crate) struct Incoming {
    group: GroupPlace,
    events: usize,
    bytes: u64,
}

impl Incoming {
    pub(crate) fn of(part: &Part) -> Self {
        let chunks = part.chunks.iter().map(|chunk| &chunk.events);
        let (events, bytes) =
            chunks.fold((0, 0), |(events, bytes), chunk| (events + chunk.len(), bytes + chunk.counted_bytes() as u64));
        Self { group: part.group.clone(), events, bytes }
    }

    pub(crate) fn count(&self, committed: &Committed) {
        if committed.repeated || committed.missing.contains(&self.group) {
            return;
        }
        let arn = self.group.arn();
        metrics::counter!("opentrail_logs_group_events_total", "group" => arn.clone()).increment(self.events as u64);
        metrics::counter!("opentrail_logs_group_bytes_total", "group" => arn).increment(self.bytes);
    }
}
