//! Operations on event buses.

use opentrail_catalog::Expect;
use opentrail_wire::events as wire;
use opentrail_wire::events::{
    CreateEventBusInput, CreateEventBusOutput, DeleteEventBusInput, DescribeEventBusInput, DescribeEventBusOutput,
    ListEventBusesInput, ListEventBusesOutput, UpdateEventBusInput, UpdateEventBusOutput,
};

use super::Cx;
use super::paging::Asked;
use crate::bus::EventBus;
use crate::error::EventsError;
use crate::place::{BusPlace, DEFAULT};
use crate::rule::Rule;
use crate::tags;

pub(super) async fn create(cx: &Cx<'_>, input: CreateEventBusInput) -> Result<CreateEventBusOutput, EventsError> {
    let place = BusPlace::new(cx.account(), cx.region(), &input.name);
    cx.authorize("events:CreateEventBus", &place.arn())?;
    if input.event_source_name.is_some() || input.name.contains('/') {
        return Err(EventsError::Validation(
            "There are no partner event sources here, nor buses of theirs.".to_owned(),
        ));
    }
    refuse_settings(&input.kms_key_identifier, input.dead_letter_config.is_some(), &input.log_config)?;
    let taken = || EventsError::AlreadyExists(format!("Event bus {} already exists.", input.name));
    if place.is_default() {
        return Err(taken());
    }
    let _changing = cx.events.changing().await;
    if cx.events.documents.find::<EventBus>(&place.document()).await?.is_some() {
        return Err(taken());
    }
    let theirs = cx.events.documents.all::<EventBus>(&cx.prefix()).await?;
    if theirs.iter().filter(|bus| !bus.place.is_default()).count() >= cx.events.options.most_buses {
        return Err(EventsError::LimitExceeded(
            "The requested resource exceeds the maximum number allowed.".to_owned(),
        ));
    }
    let now = cx.events.now();
    let mut bus = EventBus::new(place);
    bus.description = input.description;
    bus.tags = tags::put(Vec::new(), tags::from_wire(input.tags))?;
    (bus.created, bus.modified) = (Some(now), Some(now));
    cx.events.documents.put(&bus, Expect::Absent).await?;
    Ok(CreateEventBusOutput {
        event_bus_arn: Some(bus.place.arn()),
        description: bus.description,
        ..CreateEventBusOutput::default()
    })
}

/// What would protect or log, and does not here, is refused rather than promised.
fn refuse_settings(key: &Option<String>, dead_letters: bool, log: &Option<wire::LogConfig>) -> Result<(), EventsError> {
    let unavailable = |what: &str| Err(EventsError::Unavailable(format!("{what} of an event bus is not available.")));
    if key.as_ref().is_some_and(|key| !key.is_empty()) {
        return unavailable("KmsKeyIdentifier");
    }
    if dead_letters {
        return unavailable("DeadLetterConfig");
    }
    match log.as_ref().and_then(|log| log.level.as_deref()) {
        None | Some("OFF") => Ok(()),
        Some(_) => unavailable("LogConfig"),
    }
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeEventBusInput) -> Result<DescribeEventBusOutput, EventsError> {
    let place = cx.own_bus(input.name.as_deref())?;
    cx.authorize("events:DescribeEventBus", &place.arn())?;
    let (bus, _) = cx.events.documents.bus(&place).await?;
    Ok(DescribeEventBusOutput {
        name: Some(bus.place.name.clone()),
        arn: Some(bus.place.arn()),
        description: bus.description,
        policy: bus.policy,
        creation_time: bus.created,
        last_modified_time: bus.modified,
        ..DescribeEventBusOutput::default()
    })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListEventBusesInput) -> Result<ListEventBusesOutput, EventsError> {
    cx.authorize("events:ListEventBuses", "*")?;
    let prefix = input.name_prefix.unwrap_or_default();
    let mut buses = cx.events.documents.all::<EventBus>(&cx.prefix()).await?;
    if !buses.iter().any(|bus| bus.place.is_default()) {
        buses.push(EventBus::new(BusPlace::new(cx.account(), cx.region(), DEFAULT)));
    }
    buses.retain(|bus| bus.place.name.starts_with(&prefix));
    buses.sort_by(|a, b| a.place.name.cmp(&b.place.name));
    let asked = Asked { limit: input.limit, token: input.next_token };
    let page = asked.of(cx, &format!("buses/{prefix}"), buses, |bus| bus.place.name.clone())?;
    let shown = |bus: EventBus| wire::EventBus {
        name: Some(bus.place.name.clone()),
        arn: Some(bus.place.arn()),
        description: bus.description,
        policy: bus.policy,
        creation_time: bus.created,
        last_modified_time: bus.modified,
        ..wire::EventBus::default()
    };
    let buses = page.items.into_iter().map(shown).collect();
    Ok(ListEventBusesOutput { event_buses: Some(buses), next_token: page.next })
}

pub(super) async fn update(cx: &Cx<'_>, input: UpdateEventBusInput) -> Result<UpdateEventBusOutput, EventsError> {
    let place = cx.own_bus(input.name.as_deref())?;
    cx.authorize("events:UpdateEventBus", &place.arn())?;
    refuse_settings(&input.kms_key_identifier, input.dead_letter_config.is_some(), &input.log_config)?;
    let _changing = cx.events.changing().await;
    let (mut bus, expect) = cx.events.documents.bus(&place).await?;
    if input.description.is_some() {
        bus.description = input.description;
    }
    bus.modified = Some(cx.events.now());
    cx.events.documents.put(&bus, expect).await?;
    Ok(UpdateEventBusOutput {
        arn: Some(bus.place.arn()),
        name: Some(bus.place.name.clone()),
        description: bus.description,
        ..UpdateEventBusOutput::default()
    })
}

/// Deleting what is not there succeeds, as AWS has it.
pub(super) async fn delete(cx: &Cx<'_>, input: DeleteEventBusInput) -> Result<(), EventsError> {
    let place = cx.own_bus(Some(&input.name))?;
    cx.authorize("events:DeleteEventBus", &place.arn())?;
    if place.is_default() {
        return Err(EventsError::Validation("Cannot delete event bus default.".to_owned()));
    }
    let _changing = cx.events.changing().await;
    let Some(found) = cx.events.documents.find::<EventBus>(&place.document()).await? else { return Ok(()) };
    if !cx.events.documents.page::<Rule>(&format!("{}/", place.document()), "", 1).await?.is_empty() {
        return Err(EventsError::Validation(format!(
            "Event bus {} can't be deleted since it has rules. Delete them first.",
            place.name
        )));
    }
    cx.events.documents.delete::<EventBus>(&found.key, found.revision).await
}
