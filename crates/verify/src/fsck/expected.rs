use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use opentrail_model::{AccountId, Region, Source, Timestamp, TrailName};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::FsckOptions;
use super::journal::Entry;

/// How far an `eventTime` may lie ahead of the record's arrival and be believed by Event history.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// What the journal's entries let one expect elsewhere.
#[derive(Debug)]
pub(super) struct Expected {
    /// Records that Event history must hold once it has come to their position, in the journal's order.
    records: Vec<(u64, Hash)>,
    /// The last change of each trail, by the trail's key.
    pub(super) trails: HashMap<String, Change>,
    oldest: Timestamp,
    most: usize,
    /// Only positions that are multiples of it are kept in `records`.
    stride: u64,
}

/// The first half of the SHA-256 of a record's bytes.
pub(super) type Hash = [u8; 16];

/// A change of a trail, as the journal has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) position: u64,
    /// `None` when the trail was deleted.
    pub(super) version: Option<u64>,
}

pub(super) fn hash(raw: &[u8]) -> Hash {
    let whole = digest(&SHA256, raw);
    whole.as_ref()[..16].try_into().expect("a SHA-256 has 32 bytes")
}

impl Expected {
    pub(super) fn new(options: &FsckOptions) -> Self {
        let oldest = options.now - options.retention;
        let most = options.compared_records.max(1);
        Self { records: Vec::new(), trails: HashMap::new(), oldest, most, stride: 1 }
    }

    /// Takes note of an entry.
    ///
    /// # Errors
    /// What is wrong with its body.
    pub(super) fn take(&mut self, entry: Entry<'_>) -> Result<(), String> {
        if entry.source == Source::Control {
            return self.take_change(entry);
        }
        let members = Members::read(entry.body).map_err(|error| format!("is no record: {error}"))?;
        let time = members.time.filter(|time| *time <= entry.received + AHEAD).unwrap_or(entry.received);
        let looked_up = match members.category() {
            "Insight" => !members.names_insight_source,
            category => category == "Management",
        };
        let kept = looked_up && time >= self.oldest;
        if kept && entry.position.is_multiple_of(self.stride) {
            self.records.push((entry.position, hash(entry.body)));
            while self.records.len() > self.most {
                self.stride *= 2;
                let stride = self.stride;
                self.records.retain(|(position, _)| position.is_multiple_of(stride));
            }
        }
        Ok(())
    }

    fn take_change(&mut self, entry: Entry<'_>) -> Result<(), String> {
        let whole: &RawValue = serde_json::from_slice(entry.body)
            .map_err(|error| format!("its change of configuration is no JSON: {error}"))?;
        // A change of something else than a trail is left to those who know it.
        match serde_json::from_str(whole.get()) {
            Ok(TrailChange::PutTrail { key, version }) => {
                self.trails.insert(key.to_string(), Change { position: entry.position, version: Some(version) });
            }
            Ok(TrailChange::DeleteTrail(key)) => {
                self.trails.insert(key.to_string(), Change { position: entry.position, version: None });
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// The records to be compared, positions growing.
    pub(super) fn records(&self) -> &[(u64, Hash)] {
        &self.records
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum TrailChange {
    PutTrail { key: TrailKey, version: u64 },
    DeleteTrail(TrailKey),
}

/// What names a trail.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TrailKey {
    account: AccountId,
    home_region: Region,
    name: TrailName,
}

impl fmt::Display for TrailKey {
    /// As the catalog's documents are keyed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.home_region, self.name)
    }
}

/// The members of a record that decide whether Event history keeps it; each the last of its name.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// `eventTime`, when it is a time.
    pub(super) time: Option<Timestamp>,
    /// `eventID`, when it is a text.
    pub(super) event_id: Option<String>,
    category: Option<String>,
    kind: Option<String>,
    management: Option<bool>,
    /// `insightSource`, or one among `insightDetails`.
    names_insight_source: bool,
}

impl Members {
    /// # Errors
    /// When the bytes are not one JSON object.
    pub(super) fn read(raw: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(raw)
    }

    fn category(&self) -> &str {
        match &self.category {
            Some(category) => category,
            None if self.kind.as_deref() == Some("AwsCloudTrailInsight") => "Insight",
            None if self.management == Some(false) => "Data",
            None => "Management",
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(Name(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    let text = || serde_json::from_str::<String>(value.get()).ok();
                    match &*name {
                        b"eventTime" => members.time = text().and_then(|time| time.parse().ok()),
                        b"eventID" => members.event_id = text(),
                        b"eventCategory" => members.category = text(),
                        b"eventType" => members.kind = text(),
                        b"insightSource" => members.names_insight_source |= text().is_some(),
                        b"insightDetails" => {
                            let details =
                                serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value.get());
                            let source = details.ok().and_then(|mut details| details.remove("insightSource"));
                            members.names_insight_source |= source.is_some_and(|source| source.is_string());
                        }
                        b"managementEvent" => {
                            members.management = match text() {
                                Some(text) => text.to_ascii_lowercase().parse().ok(),
                                None => serde_json::from_str(value.get()).ok(),
                            }
                        }
                        _ => {}
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A member's name, as bytes: real records escape half characters in names, which no text can hold.
struct Name<'de>(Cow<'de, [u8]>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(bytes.to_vec())))
            }

            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(bytes)))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use opentrail_model::Position;

    use super::*;

    fn category(json: &str) -> String {
        Members::read(json.as_bytes()).unwrap().category().to_owned()
    }

    #[test]
    fn the_category_is_the_one_that_event_history_finds() {
        // The decoder of the event crate is the judge; nothing of it is used outside tests.
        for json in [
            r#"{}"#,
            r#"{"eventCategory":"Data"}"#,
            r#"{"eventCategory":"Data","eventCategory":"Management"}"#,
            r#"{"eventCategory":null,"managementEvent":"FALSE"}"#,
            r#"{"eventCategory":7,"managementEvent":true}"#,
            r#"{"managementEvent":false,"eventType":"AwsCloudTrailInsight"}"#,
            r#"{"managementEvent":"maybe"}"#,
            r#"{"\u0065ventCategory":"NetworkActivity","other":{"eventCategory":"Data"}}"#,
        ] {
            let entry = opentrail_journal::Entry {
                position: Position(1),
                source: Source::Records,
                account: "111122223333".parse().unwrap(),
                received: Timestamp::EPOCH,
                body: bytes::Bytes::copy_from_slice(json.as_bytes()),
            };
            let batch = opentrail_event::EventBatch::decode(Position::START, &[entry]);
            let decoded = batch.events().next().unwrap().category().to_owned();
            assert_eq!(category(json), decoded, "{json}");
        }
    }

    #[test]
    fn half_characters_in_names_and_texts_hide_nothing_else() {
        let members = Members::read(br#"{"\ud800":"\udfff","eventID":"one"}"#).unwrap();
        assert_eq!(members.event_id.as_deref(), Some("one"));
    }

    #[test]
    fn memory_is_bounded_and_the_sample_is_spread() {
        let options = FsckOptions { compared_records: 100, ..FsckOptions::at(Timestamp::EPOCH) };
        let mut expected = Expected::new(&options);
        for position in 1..=1_000 {
            let (source, received) = (Source::Records, Timestamp::EPOCH);
            expected.take(Entry { position, source, received, body: b"{}" }).unwrap();
        }
        let positions: Vec<u64> = expected.records().iter().map(|(position, _)| *position).collect();
        assert_eq!(positions, (1..=62).map(|n| n * 16).collect::<Vec<u64>>());
    }
}
