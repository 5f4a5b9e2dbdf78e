//! What fits into one PutLogEvents. (CloudWatch Logs API Reference, PutLogEvents.)

use std::ops::Range;
use std::time::Duration;

use opentrail_model::Timestamp;

/// A batch has at most so many bytes, the sum of its messages in UTF-8 and [`EVENT_BYTES`] for each.
const MOST_BYTES: usize = 1_048_576;
const EVENT_BYTES: usize = 26;
/// And so many events.
const MOST_EVENTS: usize = 10_000;
/// And spans so much time.
const LONGEST_SPAN: Duration = Duration::from_secs(24 * 3600);
/// Times that are no further apart are read together.
const NEAR: Duration = Duration::from_secs(60);

/// An event of a log stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEvent {
    pub(crate) time: Timestamp,
    pub(crate) message: String,
}

/// The batches that events in chronological order make.
pub(crate) fn batches(events: &[LogEvent]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut size_bytes) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        let more = event.message.len() + EVENT_BYTES;
        let full = size_bytes + more > MOST_BYTES
            || index - start == MOST_EVENTS
            || event.time.since(events[start].time) >= LONGEST_SPAN;
        if full && index > start {
            batches.push(start..index);
            (start, size_bytes) = (index, 0);
        }
        size_bytes += more;
    }
    if start < events.len() {
        batches.push(start..events.len());
    }
    batches
}

/// The stretches of time in which these times are, each from its first through its last.
pub(crate) fn stretches(mut times: Vec<Timestamp>) -> Vec<(Timestamp, Timestamp)> {
    times.sort_unstable();
    let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
    for time in times {
        match stretches.last_mut() {
            Some((_, last)) if time.since(*last) <= NEAR => *last = time,
            _ => stretches.push((time, time)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(secs: i64, size_bytes: usize) -> LogEvent {
        LogEvent { time: Timestamp::from_secs(secs), message: "x".repeat(size_bytes) }
    }

    #[test]
    fn no_events_make_no_batch() {
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn a_batch_has_a_mebibyte_with_26_bytes_for_each_event() {
        let half = MOST_BYTES / 2 - EVENT_BYTES;
        assert_eq!(batches(&[event(0, half), event(0, half)]).len(), 1);
        assert_eq!(batches(&[event(0, half), event(0, half + 1)]), [0..1, 1..2]);
        let wide = LogEvent { time: Timestamp::EPOCH, message: "é".repeat(half / 2) };
        assert_eq!(batches(&[wide.clone(), wide.clone(), wide]), [0..2, 2..3], "bytes, not characters");
    }

    #[test]
    fn a_batch_has_ten_thousand_events() {
        let events = vec![event(0, 1); 20_001];
        assert_eq!(batches(&events), [0..10_000, 10_000..20_000, 20_000..20_001]);
    }

    #[test]
    fn a_batch_spans_less_than_a_day() {
        let day = 24 * 3600;
        let events = [event(0, 1), event(day - 1, 1), event(day, 1), event(2 * day - 1, 1)];
        assert_eq!(batches(&events), [0..2, 2..4]);
    }

    #[test]
    fn times_that_are_near_are_one_stretch() {
        let at = Timestamp::from_secs;
        let times = [200, 0, 60, 0, 121].map(at).to_vec();
        assert_eq!(stretches(times), [(at(0), at(60)), (at(121), at(121)), (at(200), at(200))]);
    }
}
