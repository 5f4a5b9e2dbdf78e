//! `PutEvents`: events of applications.

use std::collections::HashMap;
use std::sync::Arc;

use opentrail_identity::Context;
use opentrail_patterns::Scratch;
use opentrail_wire::events::{PutEventsInput, PutEventsOutput, PutEventsRequestEntry, PutEventsResultEntry};

use super::Cx;
use crate::book::Page;
use crate::bus::EventBus;
use crate::envelope::{Envelope, time};
use crate::error::EventsError;
use crate::outbox::{Matched, Reached};
use crate::place::BusPlace;

/// The largest request, in bytes as [`size`] counts them. (API Reference, PutEvents.)
const MAX_BYTES: usize = 1 << 20;

/// What became of an entry.
enum Judged {
    Taken { id: String, matched: Option<Matched> },
    Refused { code: &'static str, message: String },
}

/// Stores what rules take of the entries, in one transaction, before it answers.
pub(super) async fn put(cx: &Cx<'_>, input: PutEventsInput) -> Result<PutEventsOutput, EventsError> {
    if input.endpoint_id.is_some() {
        return Err(EventsError::Unavailable("EndpointId: global endpoints are not available.".to_owned()));
    }
    if input.entries.iter().map(size).sum::<usize>() > MAX_BYTES {
        // EventBridge's own words.
        return Err(EventsError::Validation("Total size of the entries in the request is over the limit.".to_owned()));
    }
    let mut buses = HashMap::new();
    for entry in &input.entries {
        let place = cx.bus(entry.event_bus_name.as_deref())?;
        if !buses.contains_key(&place) {
            let bus = match cx.events.documents.bus(&place).await {
                Ok((bus, _)) => Some(bus),
                Err(EventsError::NotFound(_)) => None,
                Err(error) => return Err(error),
            };
            buses.insert(place.clone(), bus);
        }
        authorize(cx, &place, buses[&place].as_ref(), entry)?;
    }
    let mut judged = Vec::with_capacity(input.entries.len());
    for entry in &input.entries {
        let place = cx.bus(entry.event_bus_name.as_deref())?;
        let page = buses[&place].is_some().then(|| cx.events.book.page(&place));
        judged.push(judge(cx, &place, page, entry));
    }
    let matched: Vec<Matched> = judged
        .iter_mut()
        .filter_map(|judged| match judged {
            Judged::Taken { matched, .. } => matched.take(),
            Judged::Refused { .. } => None,
        })
        .collect();
    if !matched.is_empty() {
        cx.events.outbox.append(&matched, Reached::Nothing, cx.events.now()).await?;
    }
    Ok(answer(judged))
}

fn authorize(
    cx: &Cx<'_>,
    place: &BusPlace,
    bus: Option<&EventBus>,
    entry: &PutEventsRequestEntry,
) -> Result<(), EventsError> {
    let mut context: Context = cx.conditions().clone();
    if let Some(source) = &entry.source {
        context.insert("events:source", source.as_str());
    }
    if let Some(detail_type) = &entry.detail_type {
        context.insert("events:detail-type", detail_type.as_str());
    }
    context.insert("events:eventBusInvocation", "false");
    let policy = bus.and_then(|bus| bus.policy.as_deref()).unwrap_or_default();
    cx.authorize_with("events:PutEvents", &place.arn(), &context, Some((policy, place.account)))
}

/// `page` is `None` for a bus that is not there, and empty for one without rules.
fn judge(cx: &Cx<'_>, place: &BusPlace, page: Option<Option<Arc<Page>>>, entry: &PutEventsRequestEntry) -> Judged {
    let refused = |code, message: String| Judged::Refused { code, message };
    // EventBridge's own words, here and below.
    let missing = |name: &str| format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let Some(source) = given(&entry.source) else { return refused("InvalidArgument", missing("Source")) };
    let Some(detail_type) = given(&entry.detail_type) else {
        return refused("InvalidArgument", missing("DetailType"));
    };
    let Some(detail) = given(&entry.detail) else { return refused("InvalidArgument", missing("Detail")) };
    if source.starts_with("aws.") {
        return refused("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned());
    }
    if detail_type.chars().count() > 128 {
        let message = "Parameter DetailType is not valid. Reason: DetailType has at most 128 characters.";
        return refused("InvalidArgument", message.to_owned());
    }
    // Only what is an object, and not too deep, goes to targets.
    if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&detail).is_err() {
        return refused("MalformedDetail", "Detail is malformed.".to_owned());
    }
    let Some(page) = page else {
        return refused("ResourceNotFoundException", format!("Event bus {} does not exist.", place.name));
    };
    let id = cx.events.random.uuid().to_string();
    let resources: Vec<&str> = entry.resources.iter().flatten().map(String::as_str).collect();
    let envelope = Envelope {
        id: id.clone(),
        detail_type: &detail_type,
        source,
        account: cx.account().to_string(),
        time: time(entry.time.unwrap_or_else(|| cx.events.now())),
        region: cx.region().as_str(),
        resources: &resources,
        detail: detail.as_bytes(),
    };
    let matched = page.and_then(|page| page.take_event(&envelope, &mut Scratch::default()));
    Judged::Taken { id, matched }
}

fn answer(judged: Vec<Judged>) -> PutEventsOutput {
    let mut failed = 0;
    let entries = judged.into_iter().map(|judged| match judged {
        Judged::Taken { id, .. } => PutEventsResultEntry { event_id: Some(id), ..PutEventsResultEntry::default() },
        Judged::Refused { code, message } => {
            failed += 1;
            PutEventsResultEntry { event_id: None, error_code: Some(code.to_owned()), error_message: Some(message) }
        }
    });
    let entries = entries.collect();
    PutEventsOutput { failed_entry_count: Some(failed), entries: Some(entries) }
}

/// The size of an entry, in bytes. (EventBridge User Guide, "Calculating PutEvents event entry size".)
fn size(entry: &PutEventsRequestEntry) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let resources = entry.resources.iter().flatten().map(String::len).sum::<usize>();
    let time = if entry.time.is_some() { 14 } else { 0 };
    time + text(&entry.source) + text(&entry.detail_type) + text(&entry.detail) + resources
}
