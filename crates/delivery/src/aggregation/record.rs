//! How a window's tallies become records. (User Guide, "Aggregated events", record contents and examples.)

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use opentrail_model::{Position, Timestamp};
use opentrail_trails::{AggregationTemplate, Trail};
use serde_json::{Map, Value, json};

use super::tally::{Dimension, Tallies, Tally};
use crate::layout::Group;

/// The name under which values are counted that a detail has no room for: a choice, and no value that records have.
const OTHERS: &str = "(others)";

/// A window of a trail.
pub(super) struct Spelling<'a> {
    pub(super) trail: &'a Trail,
    pub(super) group: &'a Group,
    pub(super) start: Timestamp,
    pub(super) window: Duration,
    /// Whether records of it were written before.
    pub(super) late: bool,
    /// The positions of its first and its last event.
    pub(super) of: (Position, Position),
}

impl Spelling<'_> {
    /// One record for each template, event source and primary value, in a fixed order.
    pub(super) fn records(&self, tallies: &Tallies) -> Vec<Vec<u8>> {
        tallies
            .all
            .iter()
            .map(|((template, source, name), tally)| self.record(*template, source, name, tally))
            .collect()
    }

    fn record(&self, template: AggregationTemplate, source: &str, name: &str, tally: &Tally) -> Vec<u8> {
        let primary = Dimension::primary(template);
        let details: Vec<Value> = tally
            .details
            .iter()
            .map(|(dimension, (named, others))| {
                let mut values: Vec<(&str, u64)> = named.iter().map(|(name, count)| (name.as_str(), *count)).collect();
                values.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
                values.extend((*others > 0).then_some((OTHERS, *others)));
                statistics(*dimension, &values)
            })
            .collect();
        let mut record = Map::new();
        let mut put = |key: &str, value: Value| {
            record.insert(key.to_owned(), value);
        };
        put("eventVersion", "1.0".into());
        put("accountId", self.group.account.to_string().into());
        put("eventId", self.id(template, source, name).into());
        put("eventCategory", "Aggregated".into());
        put("eventType", "AwsAggregatedEvent".into());
        put("awsRegion", self.group.region.as_str().into());
        put("eventSource", source.into());
        put(
            "timeWindow",
            json!({
                "windowStart": self.start.to_iso(),
                "windowEnd": (self.start + self.window).to_iso(),
                "windowSize": iso_duration(self.window),
            }),
        );
        put("summary", json!({ "primaryDimension": statistics(primary, &[(name, tally.count)]), "details": details }));
        if self.late {
            put("addendum", json!({ "reason": "DELIVERY_DELAY" }));
        }
        serde_json::to_vec(&record).expect("a JSON value can be written as JSON")
    }

    /// A UUID that follows from what the record sums up, so that a record that is made again keeps it.
    fn id(&self, template: AggregationTemplate, source: &str, name: &str) -> String {
        let (first, last) = self.of;
        let (trail, created) = (self.trail.arn(), self.trail.created.as_millis());
        let (group, start, template) = (self.group, self.start.as_millis(), template.as_str());
        let text = format!("{trail}\n{created}\n{group}\n{start}\n{first}\n{last}\n{template}\n{source}\n{name}");
        let hash = digest(&SHA256, text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_ref()[..16]);
        // Version 8: of the maker's own. (RFC 9562, 5.8.)
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex::encode(bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

fn statistics(dimension: Dimension, values: &[(&str, u64)]) -> Value {
    let statistics: Vec<Value> = values.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({ "dimension": dimension.as_str(), "statistics": statistics, "aggregationType": "Count" })
}

/// `PT5M`; windows of other lengths are for tests.
fn iso_duration(window: Duration) -> String {
    match window.as_millis() as u64 {
        millis if millis % 60_000 == 0 => format!("PT{}M", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("PT{}S", millis / 1_000),
        millis => format!("PT{}.{:03}S", millis / 1_000, millis % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_spelled_as_a_duration() {
        let spelled = |millis| iso_duration(Duration::from_millis(millis));
        assert_eq!([spelled(300_000), spelled(2_000), spelled(250)], ["PT5M", "PT2S", "PT0.250S"]);
    }
}
