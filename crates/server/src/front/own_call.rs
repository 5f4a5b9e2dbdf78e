use http::header;
use http::request::Parts as Head;
use opentrail_journal::NewEntry;
use opentrail_model::{Source, Timestamp};
use opentrail_recorder::Recorded;
use opentrail_wire::{Exception, sigv4};
use serde_json::{Value, json};

use super::authenticate::Caller;
use super::{Parts, Peer};
use crate::wiring::Recording;

const EVENT_SOURCE: &str = "opentrail.amazonaws.com";
/// Of a message that a record keeps.
const MESSAGE_CHARS: usize = 1000;

/// An operation that CloudTrail does not have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) read_only: bool,
    /// Else it is a data event.
    pub(super) management: bool,
}

/// A call of such an operation under way, which is an event itself.
pub(super) struct OwnCall<'a> {
    pub(super) parts: &'a Parts,
    pub(super) peer: &'a Peer,
    pub(super) head: &'a Head,
    pub(super) caller: &'a Caller,
    pub(super) request_id: &'a str,
    pub(super) started: Timestamp,
    pub(super) operation: Operation,
    pub(super) parameters: Value,
}

impl OwnCall<'_> {
    /// Makes the event durable by itself, for a call that put no records.
    pub(super) async fn record(&self, outcome: Result<Value, &Exception>) -> Result<(), Exception> {
        let recorded = vec![self.event(outcome)];
        let appended = self.parts.recording.append_call(Vec::new(), recorded, self.started, Vec::new(), true).await;
        appended.map_err(|error| Exception::service_unavailable(format!("The call could not be recorded: {error}.")))
    }

    /// The event as it goes into the journal, of a call that was answered so.
    pub(super) fn entry(&self, outcome: Result<Value, &Exception>) -> NewEntry {
        Recording::entry(Source::Api, self.event(outcome), self.started)
    }

    fn event(&self, outcome: Result<Value, &Exception>) -> Recorded {
        let Caller { principal, .. } = self.caller;
        let Operation { name, read_only, management } = self.operation;
        let agent = self.head.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let region = sigv4::credential(self.head).map(|credential| credential.region);
        let mut event = json!({
            "eventVersion": "1.11",
            "userIdentity": principal.user_identity(),
            "eventTime": self.started.to_iso(),
            "eventSource": EVENT_SOURCE,
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": self.peer.ip.to_string(),
            "userAgent": agent.unwrap_or_default(),
        });
        let fields = event.as_object_mut().expect("the event is an object");
        if let Err(exception) = outcome {
            let message: String = exception.message.chars().take(MESSAGE_CHARS).collect();
            fields.insert("errorCode".into(), json!(exception.name));
            fields.insert("errorMessage".into(), json!(message));
        }
        let rest = json!({
            "requestParameters": self.parameters,
            "responseElements": outcome.ok(),
            "requestID": self.request_id,
            "eventID": self.parts.services.random.uuid(),
            "readOnly": read_only,
            "eventType": "AwsApiCall",
            "managementEvent": management,
            "recipientAccountId": principal.account,
            "eventCategory": if management { "Management" } else { "Data" },
        });
        fields.extend(rest.as_object().cloned().unwrap_or_default());
        Recorded {
            account: principal.account,
            body: serde_json::to_vec(&event).expect("the event serializes to JSON").into(),
            management,
            operation: name.into(),
            event_source: EVENT_SOURCE.into(),
        }
    }
}
