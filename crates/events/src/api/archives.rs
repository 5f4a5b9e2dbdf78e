//! Operations on archives.

use opentrail_catalog::{Expect, Versioned};
use opentrail_wire::events as wire;
use opentrail_wire::events::{
    CreateArchiveInput, CreateArchiveOutput, DeleteArchiveInput, DeleteArchiveOutput, DescribeArchiveInput,
    DescribeArchiveOutput, ListArchivesInput, ListArchivesOutput, UpdateArchiveInput, UpdateArchiveOutput,
};

use super::Cx;
use super::paging::Asked;
use super::rules::parse_pattern;
use crate::archive::Archive;
use crate::error::EventsError;
use crate::place::BusPlace;

/// Archives are there at once, and stay.
const STATE: &str = "ENABLED";

/// The archive of that name, if the caller may do `action` with it.
async fn require(cx: &Cx<'_>, action: &str, name: &str) -> Result<Versioned<Archive>, EventsError> {
    cx.authorize(action, &Archive::arn_of(cx.account(), cx.region(), name))?;
    find(cx, name).await
}

pub(super) async fn find(cx: &Cx<'_>, name: &str) -> Result<Versioned<Archive>, EventsError> {
    let found = cx.events.documents.find::<Archive>(&format!("{}{name}", cx.prefix())).await?;
    // EventBridge's own words.
    found.ok_or_else(|| EventsError::NotFound(format!("Archive {name} does not exist.")))
}

/// The bus of that ARN, which must be the caller's own.
pub(super) fn own_bus(cx: &Cx<'_>, parameter: &str, arn: &str) -> Result<BusPlace, EventsError> {
    let place = arn.starts_with("arn:").then(|| cx.own_bus(Some(arn))).transpose()?;
    place.ok_or_else(|| {
        // EventBridge's own words.
        EventsError::Validation(format!("Parameter {parameter} is not valid. Reason: Must contain an event bus ARN."))
    })
}

pub(super) async fn create(cx: &Cx<'_>, input: CreateArchiveInput) -> Result<CreateArchiveOutput, EventsError> {
    cx.authorize("events:CreateArchive", &Archive::arn_of(cx.account(), cx.region(), &input.archive_name))?;
    refuse_key(input.kms_key_identifier.as_deref())?;
    let bus = own_bus(cx, "EventSourceArn", &input.event_source_arn)?;
    let pattern = pattern(input.event_pattern)?;
    let _changing = cx.events.changing().await;
    cx.events.documents.bus(&bus).await?;
    let theirs = cx.events.documents.all::<Archive>(&cx.prefix()).await?;
    if theirs.iter().any(|archive| archive.name == input.archive_name) {
        // EventBridge's own words, here and below.
        return Err(EventsError::AlreadyExists(format!("Archive {} already exists.", input.archive_name)));
    }
    if theirs.len() >= cx.events.options.most_archives {
        return Err(EventsError::LimitExceeded(
            "The requested resource exceeds the maximum number allowed.".to_owned(),
        ));
    }
    let archive = Archive {
        bus,
        name: input.archive_name,
        description: input.description,
        event_pattern: pattern,
        retention_days: days(input.retention_days),
        since: cx.events.journal.tail(),
        created: cx.events.now(),
    };
    cx.events.documents.put(&archive, Expect::Absent).await?;
    cx.events.take_over(&archive.bus).await?;
    Ok(CreateArchiveOutput {
        archive_arn: Some(archive.arn()),
        state: Some(STATE.to_owned()),
        creation_time: Some(archive.created),
        ..CreateArchiveOutput::default()
    })
}

/// What would protect, and does not here, is refused rather than promised.
fn refuse_key(key: Option<&str>) -> Result<(), EventsError> {
    match key {
        None | Some("") => Ok(()),
        Some(_) => Err(EventsError::Unavailable("KmsKeyIdentifier of an archive is not available.".to_owned())),
    }
}

fn pattern(given: Option<String>) -> Result<Option<String>, EventsError> {
    let given = given.filter(|pattern| !pattern.is_empty());
    given.as_deref().map(parse_pattern).transpose()?;
    Ok(given)
}

/// Without days, and with 0, an archive keeps for ever. (API Reference, CreateArchive, `RetentionDays`.)
fn days(given: Option<i32>) -> u32 {
    given.and_then(|days| u32::try_from(days).ok()).unwrap_or_default()
}

/// What an update leaves out stays: a choice of ours.
pub(super) async fn update(cx: &Cx<'_>, input: UpdateArchiveInput) -> Result<UpdateArchiveOutput, EventsError> {
    let _changing = cx.events.changing().await;
    let Versioned { value: mut archive, revision, .. } =
        require(cx, "events:UpdateArchive", &input.archive_name).await?;
    refuse_key(input.kms_key_identifier.as_deref())?;
    archive.event_pattern = pattern(input.event_pattern)?.or(archive.event_pattern);
    archive.description = input.description.or(archive.description);
    if input.retention_days.is_some() {
        archive.retention_days = days(input.retention_days);
    }
    cx.events.documents.put(&archive, Expect::Revision(revision)).await?;
    cx.events.take_over(&archive.bus).await?;
    Ok(UpdateArchiveOutput {
        archive_arn: Some(archive.arn()),
        state: Some(STATE.to_owned()),
        creation_time: Some(archive.created),
        ..UpdateArchiveOutput::default()
    })
}

/// Its events go with the next tidying.
pub(super) async fn delete(cx: &Cx<'_>, input: DeleteArchiveInput) -> Result<DeleteArchiveOutput, EventsError> {
    let _changing = cx.events.changing().await;
    let found = require(cx, "events:DeleteArchive", &input.archive_name).await?;
    cx.events.documents.delete::<Archive>(&found.key, found.revision).await?;
    cx.events.take_over(&found.value.bus).await?;
    Ok(DeleteArchiveOutput {})
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeArchiveInput) -> Result<DescribeArchiveOutput, EventsError> {
    let archive = require(cx, "events:DescribeArchive", &input.archive_name).await?.value;
    let kept = cx.events.outbox.kept(&archive.shelf()).await?;
    Ok(DescribeArchiveOutput {
        archive_arn: Some(archive.arn()),
        archive_name: Some(archive.name),
        event_source_arn: Some(archive.bus.arn()),
        description: archive.description,
        event_pattern: archive.event_pattern,
        state: Some(STATE.to_owned()),
        retention_days: i32::try_from(archive.retention_days).ok(),
        size_bytes: Some(kept.bytes),
        event_count: Some(kept.events),
        creation_time: Some(archive.created),
        ..DescribeArchiveOutput::default()
    })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListArchivesInput) -> Result<ListArchivesOutput, EventsError> {
    cx.authorize("events:ListArchives", "*")?;
    let bus = input.event_source_arn.as_deref().map(|arn| own_bus(cx, "EventSourceArn", arn)).transpose()?;
    if let Some(bus) = &bus {
        cx.events.documents.bus(bus).await?;
    }
    let prefix = format!("{}{}", cx.prefix(), input.name_prefix.unwrap_or_default());
    let has_state = input.state.is_none_or(|state| state == STATE);
    let wanted = |archive: &Archive| has_state && bus.as_ref().is_none_or(|bus| archive.bus == *bus);
    let page = Asked { limit: input.limit, token: input.next_token }.documents::<Archive>(cx, &prefix, wanted).await?;
    let mut archives = Vec::with_capacity(page.items.len());
    for archive in page.items {
        let kept = cx.events.outbox.kept(&archive.shelf()).await?;
        archives.push(wire::Archive {
            archive_name: Some(archive.name),
            event_source_arn: Some(archive.bus.arn()),
            state: Some(STATE.to_owned()),
            retention_days: i32::try_from(archive.retention_days).ok(),
            size_bytes: Some(kept.bytes),
            event_count: Some(kept.events),
            creation_time: Some(archive.created),
            ..wire::Archive::default()
        });
    }
    Ok(ListArchivesOutput { archives: Some(archives), next_token: page.next })
}
