use std::collections::BTreeMap;

use opentrail_event::Event;
use opentrail_trails::AggregationTemplate;

/// Values of one detail of one primary value that are counted by name; further ones are counted together.
pub(super) const DETAIL_VALUES: usize = 50;
/// What an entry costs beside its name, roughly, here and in the record.
const ENTRY_BYTES: usize = 96;
/// What a record costs beside its entries.
const RECORD_BYTES: usize = 512;
/// Names are cut here: no ARN is longer, and no hostile one is worth more.
const NAME_BYTES: usize = 1024;

/// What events are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    EventName,
    ResourceArn,
    UserIdentity,
    SourceIpAddress,
    UserAgent,
    ErrorCodes,
}

impl Dimension {
    pub(super) const ALL: [Self; 6] = [
        Self::EventName,
        Self::ResourceArn,
        Self::UserIdentity,
        Self::SourceIpAddress,
        Self::UserAgent,
        Self::ErrorCodes,
    ];

    /// As records spell it. (User Guide, "Aggregated events", examples.)
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::EventName => "eventName",
            Self::ResourceArn => "resourceARN",
            Self::UserIdentity => "userIdentity",
            Self::SourceIpAddress => "sourceIpAddress",
            Self::UserAgent => "userAgent",
            Self::ErrorCodes => "errorCodes",
        }
    }

    /// What a template counts by first; all the others are its details, a choice, since no page lists them per template.
    pub(super) fn primary(template: AggregationTemplate) -> Self {
        match template {
            AggregationTemplate::ApiActivity => Self::EventName,
            AggregationTemplate::ResourceAccess => Self::ResourceArn,
            AggregationTemplate::UserActions => Self::UserIdentity,
        }
    }
}

/// What one event has of each dimension: nothing, one value, or of resources several.
#[derive(Debug)]
pub(super) struct Seen {
    source: String,
    values: BTreeMap<Dimension, Vec<String>>,
}

impl Seen {
    pub(super) fn of(event: Event<'_>) -> Self {
        let details = event.details();
        let mut values = BTreeMap::new();
        let mut put = |dimension, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let names: &mut Vec<String> = values.entry(dimension).or_default();
                if !names.iter().any(|known| known == short(value)) {
                    names.push(short(value).to_owned());
                }
            }
        };
        put(Dimension::EventName, event.name());
        put(Dimension::UserIdentity, details.caller.as_deref());
        put(Dimension::SourceIpAddress, details.source_ip.as_deref());
        put(Dimension::UserAgent, details.user_agent.as_deref());
        put(Dimension::ErrorCodes, event.error_code());
        event.resources().filter_map(|(_, arn)| arn).for_each(|arn| put(Dimension::ResourceArn, Some(container(arn))));
        Self { source: short(event.event_source().unwrap_or_default()).to_owned(), values }
    }

    fn of_dimension(&self, dimension: Dimension) -> &[String] {
        self.values.get(&dimension).map_or(&[], Vec::as_slice)
    }
}

fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES)]
}

/// Objects count as their bucket, or access point. (User Guide, "Aggregated events", `resourceARN`.)
fn container(arn: &str) -> &str {
    let mut parts = arn.splitn(6, ':');
    match (parts.nth(2), parts.nth(2)) {
        (Some("s3"), Some(resource)) if resource.starts_with("accesspoint/") => {
            arn.split_once("/object/").map_or(arn, |(point, _)| point)
        }
        (Some("s3" | "s3express"), Some(resource)) if !resource.starts_with("bucket/") => {
            arn.split_once('/').map_or(arn, |(bucket, _)| bucket)
        }
        _ => arn,
    }
}

/// A count, and what it is made of.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    /// For each detail its values by name, and how often it was another one.
    pub(super) details: BTreeMap<Dimension, (BTreeMap<String, u64>, u64)>,
}

/// The tallies of one window: by template, event source and primary value.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) all: BTreeMap<(AggregationTemplate, String, String), Tally>,
    held_bytes: usize,
}

impl Tallies {
    /// Counts an event once for each of its primary values. Returns how many bytes that took.
    pub(super) fn count(&mut self, template: AggregationTemplate, seen: &Seen) -> usize {
        let before = self.held_bytes;
        let primary = Dimension::primary(template);
        for name in seen.of_dimension(primary) {
            let key = (template, seen.source.clone(), name.clone());
            let held = &mut self.held_bytes;
            let tally = self.all.entry(key).or_insert_with(|| {
                *held += RECORD_BYTES + seen.source.len() + name.len();
                Tally::default()
            });
            tally.count += 1;
            for dimension in Dimension::ALL.into_iter().filter(|dimension| *dimension != primary) {
                let values = seen.of_dimension(dimension);
                if values.is_empty() {
                    continue;
                }
                let (named, others) = tally.details.entry(dimension).or_insert_with(|| {
                    *held += ENTRY_BYTES;
                    Default::default()
                });
                for value in values {
                    if let Some(count) = named.get_mut(value) {
                        *count += 1;
                    } else if named.len() < DETAIL_VALUES {
                        *held += ENTRY_BYTES + value.len();
                        named.insert(value.clone(), 1);
                    } else {
                        *others += 1;
                    }
                }
            }
        }
        self.held_bytes - before
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_count_as_their_bucket() {
        for (arn, expected) in [
            ("arn:aws:s3:::b/a/k", "arn:aws:s3:::b"),
            ("arn:aws:s3:::b/", "arn:aws:s3:::b"),
            ("arn:aws:s3:::b", "arn:aws:s3:::b"),
            ("arn:aws:s3:us-east-1:1:accesspoint/p/object/k", "arn:aws:s3:us-east-1:1:accesspoint/p"),
            ("arn:aws:dynamodb:us-east-1:1:table/T", "arn:aws:dynamodb:us-east-1:1:table/T"),
            ("no arn", "no arn"),
        ] {
            assert_eq!(container(arn), expected);
        }
    }
}
