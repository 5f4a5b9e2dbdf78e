//! What a rule found.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use opentrail_model::{AccountId, Timestamp};
use serde_json::Value;

use crate::RuleHead;

/// What a rule found: an event, or several that a correlation rule counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// 32 hexadecimal digits that follow from the rule and the event: found once more, it is the same finding.
    pub id: String,
    /// The rule.
    pub rule: RuleHead,
    /// The event's time; of a correlation, its last event's.
    pub time: Timestamp,
    /// The account that the event was recorded for.
    pub account: AccountId,
    /// The event's Region.
    pub region: Option<String>,
    /// The event's id; of a correlation, that of the event that made it complete. An event without an id is named by the
    /// SHA-256 of its record.
    pub event_id: String,
    /// The event's record, as it came.
    pub record: Bytes,
    /// What a correlation adds.
    pub correlation: Option<Correlated>,
}

/// What a correlation rule counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlated {
    /// Fields that it groups by, and their values.
    pub group: Vec<(String, String)>,
    /// Events, different values or rules, whichever it counts.
    pub count: u64,
    /// The ids of the events, at most a hundred, the newest, in the order of time.
    pub events: Vec<String>,
}

/// What a finding tells about its event besides the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// The event's id.
    pub(crate) event_id: String,
    /// When it happened.
    pub(crate) time: Timestamp,
    /// For which account it was recorded.
    pub(crate) account: AccountId,
    /// Its Region.
    pub(crate) region: Option<String>,
}

impl About {
    /// As the record says. Where it says nothing of use, what `account` and `time` say.
    pub(crate) fn of(event: &Value, record: &[u8], account: AccountId, time: Timestamp) -> Self {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        Self {
            event_id: event_id(text("eventID").or_else(|| text("eventId")), record),
            time: text("eventTime").and_then(|time| time.parse().ok()).unwrap_or(time),
            account: text("recipientAccountId").and_then(|account| account.parse().ok()).unwrap_or(account),
            region: text("awsRegion").map(short),
        }
    }
}

/// The id by which an event is known in findings.
pub(crate) fn event_id(id: Option<&str>, record: &[u8]) -> String {
    match id.filter(|id| !id.is_empty() && id.len() <= 256) {
        Some(id) => id.to_owned(),
        None => hex::encode(digest(&SHA256, record)),
    }
}

/// A Region is free text.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The id of what these say.
pub(crate) fn finding_id(parts: &[&str]) -> String {
    // No part holds a line break that matters: ids with one still differ by their lengths.
    let named: String = parts.iter().map(|part| format!("{}:{part}\n", part.len())).collect();
    hex::encode(&digest(&SHA256, named.as_bytes()).as_ref()[..16])
}
