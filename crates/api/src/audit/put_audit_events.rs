use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Uri;
use opentrail_identity::{Policy, PolicyUse};
use opentrail_model::{AccountId, Timestamp};
use opentrail_stores::{ChannelKey, Ingestion};
use opentrail_wire::cloudtrail_data::{
    AuditEvent, AuditEventResultEntry, PutAuditEventsInput, PutAuditEventsOutput, ResultErrorEntry,
    channel_insufficient_permission, channel_not_found, duplicated_audit_event_id, invalid_channel_arn,
};
use opentrail_wire::{Exception, rest};
use serde_json::{Value, json};
use tracing::{error, warn};

use super::event_data::{self, Refusal};
use crate::access::Access;
use crate::context::{Context, Outcome, Services};

/// `eventVersion` of the events: a choice, as none is documented.
const EVENT_VERSION: &str = "1.0";

/// Events of an application that a call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The records: what was sent within the envelope that CloudTrail puts around it, to the byte.
    pub records: Vec<Bytes>,
    channel: ChannelKey,
    ingestion: Ingestion,
}

impl Audited {
    /// Whose events they are: the channel's owner's.
    pub fn account(&self) -> AccountId {
        self.channel.account
    }
}

/// Keeps what came of the events for GetChannel, once they are durable.
pub async fn note_audited(services: &Services, audited: Audited) {
    let Audited { channel, mut ingestion, .. } = audited;
    if ingestion.success.is_none() {
        match services.channels.ingestion(&channel).await {
            Ok(before) => (ingestion.success, ingestion.success_event) = (before.success, before.success_event),
            Err(problem) => warn!(%channel, %problem, "the ingestion status of a channel cannot be read"),
        }
    }
    if let Err(problem) = services.channels.note(&channel, &ingestion).await {
        warn!(%channel, %problem, "the ingestion status of a channel cannot be kept");
    }
}

/// Takes events of an application into the event data stores of a channel, each by itself: some can fail. The same `id` in
/// two calls makes two events, a choice: only within a call it is documented.
pub(crate) async fn put_audit_events(
    cx: Context<'_>,
    uri: &Uri,
    body: &Bytes,
) -> Outcome<(PutAuditEventsOutput, Option<Audited>)> {
    let input: PutAuditEventsInput = rest::read_input(uri, body)?;
    if let Some(quotas) = &cx.services.quotas
        && quotas.take(cx.account(), cx.region(), "PutAuditEvents").is_err()
    {
        return Err(Exception::throttling().into());
    }
    let channel = authorized(cx, &input.channel_arn, input.external_id.as_deref()).await?;
    let mut ids = HashSet::new();
    if let Some(twice) = input.audit_events.iter().find(|event| !ids.insert(event.id.as_str())) {
        return Err(duplicated_audit_event_id(format!("The id {} is in the request twice.", twice.id)).into());
    }
    let now = cx.now();
    let mut output = PutAuditEventsOutput::default();
    let mut ingestion = Ingestion { attempt: Some(now), ..Ingestion::default() };
    let mut records = Vec::new();
    for event in &input.audit_events {
        match check(event, &channel) {
            Ok(time) => {
                let event_id = cx.services.random.uuid().to_string();
                records.push(record(event, &event_id, time, now, &channel));
                (ingestion.success, ingestion.success_event) = (Some(now), Some(event_id.clone()));
                ingestion.attempt_event = Some(event_id.clone());
                output.successful.push(AuditEventResultEntry { event_id, id: event.id.clone() });
            }
            Err(Refusal { code, message }) => {
                ingestion.error = Some(code.to_owned());
                output.failed.push(ResultErrorEntry {
                    error_code: code.to_owned(),
                    error_message: message,
                    id: event.id.clone(),
                });
            }
        }
    }
    Ok((output, Some(Audited { records, channel, ingestion })))
}

/// The channel, once the caller may put events to it: one of its account by its own policies, one of another by the
/// channel's policy too. Whether there is such a channel is said only to those who may.
async fn authorized(cx: Context<'_>, arn: &str, external_id: Option<&str>) -> Outcome<ChannelKey> {
    let malformed = || invalid_channel_arn(format!("{arn} is not the ARN of a channel."));
    let key = ChannelKey::from_arn(arn, cx.region().partition()).ok_or_else(malformed)?;
    let found = match key.home_region == *cx.region() {
        true => cx.services.channels.find(&key).await?,
        false => None,
    };
    let stored = cx.services.policies.find(&key.arn()).await?.filter(|_| found.is_some());
    let policy = match &stored {
        None => None,
        // A policy that cannot be read lets nobody in.
        Some(stored) => Some(Policy::parse(&stored.value.text, PolicyUse::Own).map_err(|problem| {
            error!(channel = arn, %problem, "a stored resource policy cannot be read");
            Exception::internal_failure()
        })?),
    };
    let tags = found.as_ref().map(|channel| &*channel.value.tags).unwrap_or_default();
    let access = Access::to_data("PutAuditEvents", arn).tagged(tags).owned_by(key.account).under(policy.as_ref());
    cx.authorize(access.saying(external_id)).map_err(|error| match &*error.0.name {
        "AccessDeniedException" => channel_insufficient_permission(error.0.message).into(),
        _ => error,
    })?;
    if !stored.is_none_or(|stored| has_external_id(&stored.value.text, external_id)) {
        return Err(channel_insufficient_permission("The policy of the channel asks for another externalId.").into());
    }
    match found {
        Some(_) => Ok(key),
        None => Err(channel_not_found(format!("The channel {arn} was not found.")).into()),
    }
}

/// Whether a call says an external ID that the channel's policy names, when it names some: that holds for every call,
/// whatever else lets it in. (User Guide, "Create an integration with an event source outside of AWS".)
fn has_external_id(policy: &str, said: Option<&str>) -> bool {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut named = statements
        .iter()
        .flat_map(|statement| statement["Condition"]["StringEquals"].as_object().into_iter().flatten())
        .filter(|(key, _)| key.eq_ignore_ascii_case("cloudtrail:ExternalId"))
        .flat_map(|(_, value)| match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        })
        .peekable();
    named.peek().is_none() || named.any(|named| said == Some(named))
}

fn check(event: &AuditEvent, channel: &ChannelKey) -> Result<Timestamp, Refusal> {
    if let Some(checksum) = &event.event_data_checksum
        && *checksum != STANDARD.encode(digest(&SHA256, event.event_data.as_bytes()))
    {
        let message = "eventDataChecksum is not the Base64 text of the SHA-256 of eventData.".to_owned();
        return Err(Refusal { code: "InvalidChecksum", message });
    }
    event_data::check(&event.event_data, channel.account)
}

/// The event with its envelope. `eventTime` is the application's: a choice, since retention goes by it.
fn record(event: &AuditEvent, event_id: &str, time: Timestamp, now: Timestamp, channel: &ChannelKey) -> Bytes {
    let metadata = json!({ "ingestionTime": now.to_iso(), "channelARN": channel.arn().to_string() });
    let envelope = json!({
        "eventVersion": EVENT_VERSION,
        "eventCategory": "ActivityAuditLog",
        "eventType": "ActivityLog",
        "eventID": event_id,
        "eventTime": time.to_iso(),
        "awsRegion": channel.home_region.as_str(),
        "recipientAccountId": channel.account.to_string(),
        "metadata": metadata,
    });
    let mut record = envelope.to_string();
    record.pop();
    record.push_str(",\"eventData\":");
    record.push_str(event.event_data.trim());
    record.push('}');
    record.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_that_a_policy_names_is_asked_of_everybody() {
        let policy = |condition: &str| format!(r#"{{"Statement":{{"Effect":"Allow","Condition":{condition}}}}}"#);
        let one = policy(r#"{"StringEquals":{"cloudtrail:externalid":["abc","def"]}}"#);
        assert!(has_external_id(&one, Some("def")));
        assert!(!has_external_id(&one, Some("abcd")));
        assert!(!has_external_id(&one, None));
        let none = policy(r#"{"StringEquals":{"aws:SourceIp":"abc"}}"#);
        assert!(has_external_id(&none, None) && has_external_id(&none, Some("ignored")));
    }

    #[test]
    fn what_was_sent_is_in_the_record_to_the_byte() {
        let arn = "arn:aws:cloudtrail:us-east-1:111122223333:channel/00000000-0000-4000-8000-000000000000";
        let channel = ChannelKey::from_arn(arn, "aws").unwrap();
        let sent = "{ \"UID\" : \"\\u0041\", \"n\": 1.50 }";
        let event = AuditEvent { event_data: format!(" {sent}\n"), ..AuditEvent::default() };
        let record = record(&event, "id-1", Timestamp::EPOCH, Timestamp::from_secs(1), &channel);
        let text = std::str::from_utf8(&record).unwrap();
        assert!(text.ends_with(&format!(",\"eventData\":{sent}}}")), "{text}");
        let parsed: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parsed["eventCategory"], "ActivityAuditLog");
        assert_eq!(parsed["metadata"]["channelARN"], channel.arn().to_string());
    }
}
