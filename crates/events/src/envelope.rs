//! Events in their envelopes: those of applications, and those that CloudTrail's records become.
//! (EventBridge User Guide, "Event structure reference"; "AWS service events delivered via AWS CloudTrail".)

use bytes::Bytes;
use opentrail_event::Event as Record;
use opentrail_model::Timestamp;
use opentrail_patterns::Event;
use serde_json::json;

/// The largest record that becomes an event, in bytes; larger ones do not reach any rule. (CloudTrail User Guide: events
/// over 256 KB are not sent to EventBridge.)
pub(crate) const MAX_RECORD_BYTES: usize = 256 << 10;

/// An event: what EventBridge says of it, and its detail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: String,
    pub(crate) detail_type: &'a str,
    pub(crate) source: String,
    pub(crate) account: String,
    pub(crate) time: String,
    pub(crate) region: &'a str,
    pub(crate) resources: &'a [&'a str],
    /// A JSON object, as it came.
    pub(crate) detail: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// The envelope of a record. `None` for records that do not become events: those of channels and imports, whose
    /// events are an event data store's or happened long ago; those without a Region; those that are too large.
    ///
    /// Its id is the record's, so that consumers know it again when it comes twice: a choice of ours.
    pub(crate) fn of_record(record: Record<'a>) -> Option<Self> {
        let detail = record.raw();
        let region = record.region()?;
        if detail.len() > MAX_RECORD_BYTES {
            metrics::counter!("opentrail_events_too_large_total").increment(1);
            return None;
        }
        let (detail_type, source) = kind(record);
        Some(Self {
            id: record.id().map_or_else(|| format!("position-{}", record.position()), str::to_owned),
            detail_type,
            source,
            account: record.account().to_string(),
            time: time(record.time().unwrap_or_else(|| record.received())),
            region,
            resources: &[],
            detail,
        })
    }

    /// As patterns look at it.
    pub(crate) fn event(&self) -> Event<'_> {
        Event::Enveloped {
            id: &self.id,
            detail_type: self.detail_type,
            source: &self.source,
            account: &self.account,
            time: &self.time,
            region: self.region,
            resources: self.resources,
            detail: self.detail,
        }
    }

    /// As targets get it. The detail is untouched.
    pub(crate) fn body(&self) -> Bytes {
        let mut head = json!({
            "version": "0", "id": self.id, "detail-type": self.detail_type, "source": self.source,
            "account": self.account, "time": self.time, "region": self.region, "resources": self.resources,
        })
        .to_string();
        head.pop();
        head.push_str(",\"detail\":");
        let mut body = head.into_bytes();
        body.extend_from_slice(self.detail.trim_ascii());
        body.push(b'}');
        body.into()
    }
}

/// An event's time, in seconds.
pub(crate) fn time(time: Timestamp) -> String {
    time.to_iso()
}

/// What kind of event a record is, and of which service.
fn kind(record: Record<'_>) -> (&'static str, String) {
    let detail_type = match record.event_type() {
        Some("AwsConsoleSignIn") => return ("AWS Console Sign In via CloudTrail", "aws.signin".to_owned()),
        Some("AwsCloudTrailInsight") => return ("AWS Insight via CloudTrail", "aws.cloudtrail".to_owned()),
        Some("AwsConsoleAction") => "AWS Console Action via CloudTrail",
        Some("AwsServiceEvent") => "AWS Service Event via CloudTrail",
        _ if record.category() == "NetworkActivity" => "AWS Network Activity Event via CloudTrail",
        _ if record.category() == "Insight" => return ("AWS Insight via CloudTrail", "aws.cloudtrail".to_owned()),
        _ => "AWS API Call via CloudTrail",
    };
    let service = record.event_source().unwrap_or_default().split('.').next().unwrap_or_default();
    (detail_type, format!("aws.{service}"))
}
