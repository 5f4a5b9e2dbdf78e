//! The records of Insights, as CloudTrail documents them.
//!
//! (User Guide, "CloudTrail Insights record contents" and "Example: CloudTrail Insights events".)

use aws_lc_rs::digest::{Context, SHA256};
use opentrail_model::{AccountId, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::attributions::{Attribute, Attribution, Contribution};
use crate::key::{Category, Key};
use crate::method::Baseline;

/// As in AWS's newest examples.
const EVENT_VERSION: &str = "1.09";

/// Which end of an episode a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Something unusual has begun.
    Start,
    /// It is over.
    End,
}

impl State {
    /// As records spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::End => "End",
        }
    }
}

/// One end of an unusual stretch: what a record tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is about.
    pub key: Key,
    /// Which end.
    pub state: State,
    /// The first minute of the stretch.
    pub began: Timestamp,
    /// The record's `eventTime`: the first minute, or the end of the last.
    pub time: Timestamp,
    /// The average of the days before.
    pub baseline: Baseline,
    /// What was expected per minute at that time of day and week.
    pub expected: f64,
    /// Calls per minute: through the detection in a start, of the whole stretch in an end.
    pub average: f64,
    /// Minutes that the average is over.
    pub minutes: u32,
    /// Who and what made the calls.
    pub attributions: Vec<Attribution>,
}

/// Whose events were counted, where the record says so, and which form it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsightSource {
    /// The trail of this ARN: its data events.
    Trail(String),
    /// The event data store of this ARN: its management events, in the form that event data stores take.
    Store(String),
}

impl InsightSource {
    /// `insightSource`.
    pub fn arn(&self) -> &str {
        match self {
            Self::Trail(arn) | Self::Store(arn) => arn,
        }
    }
}

/// A record of Insights, ready for the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightRecord {
    /// `eventID`: follows from the key, the episode, its end and the trail, so that a repeat has the same.
    pub event_id: Uuid,
    /// The recipient account.
    pub account: AccountId,
    /// The record's `eventTime`.
    pub time: Timestamp,
    /// Whose events were counted; `None` for the management events of trails.
    pub source: Option<InsightSource>,
    /// What it tells.
    pub finding: Finding,
    /// The record's JSON.
    pub json: String,
}

/// A record as it is stored: with its key's number and the standard deviation of a minute's count.
pub(crate) type Told = (u64, f64, InsightRecord);

impl InsightRecord {
    /// The record of a finding.
    pub fn new(finding: Finding, source: Option<InsightSource>) -> Self {
        let arn = source.as_ref().map(InsightSource::arn);
        let shared = id(&finding, arn, "episode");
        let event_id = id(&finding, arn, finding.state.as_str());
        let json = match &source {
            Some(InsightSource::Store(arn)) => record_of_store(&finding, arn, event_id, shared),
            _ => record(&finding, arn, event_id, shared),
        };
        let (account, time) = (finding.key.account, finding.time);
        Self { event_id, account, time, source, finding, json: json.to_string() }
    }

    /// `sharedEventID`: the same in start and end.
    pub fn shared_event_id(&self) -> Uuid {
        id(&self.finding, self.source.as_ref().map(InsightSource::arn), "episode")
    }
}

/// An id that follows from what it names (a UUID of version 8, RFC 9562).
fn id(finding: &Finding, source: Option<&str>, of: &str) -> Uuid {
    let key = &finding.key;
    let mut hash = Context::new(&SHA256);
    let (account, began) = (key.account.to_string(), finding.began.as_millis().to_string());
    let parts = [
        "opentrail insight",
        &account,
        &key.region,
        &key.event_source,
        &key.event_name,
        key.category.as_str(),
        key.error_code.as_deref().map_or("call", |_| "error"),
        key.error_code.as_deref().unwrap_or_default(),
        source.unwrap_or_default(),
        &began,
        of,
    ];
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finish();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn record(finding: &Finding, source: Option<&str>, event_id: Uuid, shared: Uuid) -> Value {
    let key = &finding.key;
    let mut details = Map::new();
    details.insert("state".to_owned(), finding.state.as_str().into());
    details.insert("eventSource".to_owned(), (*key.event_source).into());
    details.insert("eventName".to_owned(), (*key.event_name).into());
    details.insert("insightType".to_owned(), key.insight_type().as_str().into());
    if let Some(code) = &key.error_code {
        details.insert("errorCode".to_owned(), (**code).into());
    }
    details.insert("sourceEventCategory".to_owned(), key.category.as_str().into());
    details.insert(
        "insightContext".to_owned(),
        json!({
            "statistics": {
                "baseline": { "average": rounded(finding.baseline.average) },
                "insight": { "average": rounded(finding.average) },
                // Ours: what was expected at that time of day and week. CloudTrail's records have no place for it.
                "expected": { "average": rounded(finding.expected) },
                "insightDuration": finding.minutes,
                "baselineDuration": finding.baseline.minutes,
            },
            "attributions": finding.attributions.iter().map(attribution).collect::<Vec<Value>>(),
        }),
    );
    if let (Category::Data, Some(source)) = (key.category, source) {
        details.insert("insightSource".to_owned(), source.into());
    }
    let mut record = envelope(finding, event_id, shared);
    record.insert("insightDetails".to_owned(), details.into());
    record.insert("eventCategory".to_owned(), "Insight".into());
    record.into()
}

/// What records of both forms begin with.
fn envelope(finding: &Finding, event_id: Uuid, shared: Uuid) -> Map<String, Value> {
    let members = [
        ("eventVersion", EVENT_VERSION.to_owned()),
        ("eventTime", finding.time.to_iso()),
        ("awsRegion", finding.key.region.to_string()),
        ("eventID", event_id.to_string()),
        ("eventType", "AwsCloudTrailInsight".to_owned()),
        ("recipientAccountId", finding.key.account.to_string()),
        ("sharedEventID", shared.to_string()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The form of event data stores. (User Guide, "Supported fields for CloudTrail Insights events" of CloudTrail Lake.)
fn record_of_store(finding: &Finding, source: &str, event_id: Uuid, shared: Uuid) -> Value {
    let key = &finding.key;
    let mut record = envelope(finding, event_id, shared);
    let details = [
        ("eventCategory", Some("Insight")),
        ("insightSource", Some(source)),
        ("insightState", Some(finding.state.as_str())),
        ("insightEventSource", Some(&*key.event_source)),
        ("insightEventName", Some(&*key.event_name)),
        ("insightErrorCode", key.error_code.as_deref()),
        ("insightType", Some(key.insight_type().as_str())),
    ];
    let details = details.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    record.extend(details);
    record.insert(
        "insightContext".to_owned(),
        json!({
            "baselineAverage": rounded(finding.baseline.average),
            "insightAverage": rounded(finding.average),
            "baselineDuration": finding.baseline.minutes,
            "insightDuration": finding.minutes,
            "attributions": finding.attributions.iter().map(attribution).collect::<Vec<Value>>(),
        }),
    );
    record.into()
}

fn attribution(attribution: &Attribution) -> Value {
    let values = |contributions: &[Contribution]| -> Vec<Value> {
        contributions.iter().map(|c| json!({ "value": c.value, "average": rounded(c.average) })).collect()
    };
    json!({
        "attribute": attribution.attribute.as_str(),
        "insight": values(&attribution.insight),
        "baseline": values(&attribution.baseline),
    })
}

/// Ten digits after the point, as AWS writes averages.
fn rounded(average: f64) -> f64 {
    (average * 1e10).round() / 1e10
}

/// The attributes that an Insight of the key tells: an error rate is about one error code and does not tell it again.
pub(crate) fn attributes(key: &Key) -> &'static [Attribute] {
    let all = &Attribute::ALL;
    if key.error_code.is_some() { &all[..2] } else { all }
}
