//! Operations on replays.

use opentrail_catalog::{Expect, Versioned};
use opentrail_model::Timestamp;
use opentrail_wire::events as wire;
use opentrail_wire::events::{
    CancelReplayInput, CancelReplayOutput, DescribeReplayInput, DescribeReplayOutput, ListReplaysInput,
    ListReplaysOutput, StartReplayInput, StartReplayOutput,
};

use super::Cx;
use super::archives::{find as find_archive, own_bus};
use super::paging::Asked;
use crate::archive::{Archive, Replay, ReplayState};
use crate::error::EventsError;
use crate::place::RulePlace;

/// Replays of an account in a Region that are under way. (User Guide, "Replaying archived events": ten.)
const MOST_OPEN: usize = 10;

async fn require(cx: &Cx<'_>, action: &str, name: &str) -> Result<Versioned<Replay>, EventsError> {
    cx.authorize(action, &Replay::arn_of(cx.account(), cx.region(), name))?;
    let found = cx.events.documents.find::<Replay>(&format!("{}{name}", cx.prefix())).await?;
    // EventBridge's own words.
    found.ok_or_else(|| EventsError::NotFound(format!("Replay {name} does not exist.")))
}

fn not_valid(parameter: &str, reason: &str) -> EventsError {
    EventsError::Validation(format!("Parameter {parameter} is not valid. Reason: {reason}"))
}

pub(super) async fn start(cx: &Cx<'_>, input: StartReplayInput) -> Result<StartReplayOutput, EventsError> {
    let name = input.replay_name;
    cx.authorize("events:StartReplay", &Replay::arn_of(cx.account(), cx.region(), &name))?;
    // EventBridge's own words, here and below.
    let bus = own_bus(cx, "Destination.Arn", &input.destination.arn)?;
    cx.events.documents.bus(&bus).await?;
    let archive = archive(cx, &input.event_source_arn).await?;
    if archive.bus != bus {
        return Err(not_valid("Destination.Arn", "Cross event bus replay is not permitted."));
    }
    if input.event_start_time >= input.event_end_time {
        return Err(not_valid("EventEndTime", "EventStartTime must be before EventEndTime."));
    }
    let rules = input.destination.filter_arns.unwrap_or_default();
    for rule in &rules {
        if RulePlace::parse(rule).is_none_or(|rule| rule.bus != bus) {
            return Err(not_valid("Destination.FilterArns", "Must contain ARNs of rules of the event bus."));
        }
    }
    let _changing = cx.events.changing().await;
    let theirs = cx.events.documents.all::<Replay>(&cx.prefix()).await?;
    if theirs.iter().any(|replay| replay.name == name) {
        return Err(EventsError::AlreadyExists(format!("Replay {name} already exists.")));
    }
    if theirs.iter().filter(|replay| replay.state.is_open()).count() >= MOST_OPEN {
        return Err(EventsError::LimitExceeded(
            "The requested resource exceeds the maximum number allowed.".to_owned(),
        ));
    }
    let shelf = archive.shelf();
    let replay = Replay {
        bus,
        name,
        description: input.description,
        last_chunk: cx.events.outbox.last_chunk(&shelf).await?,
        archive: (archive.name, shelf),
        times: (input.event_start_time, input.event_end_time),
        rules,
        state: ReplayState::Starting,
        started: cx.events.now(),
        ended: None,
    };
    cx.events.documents.put(&replay, Expect::Absent).await?;
    cx.events.replays.notify_one();
    Ok(StartReplayOutput {
        replay_arn: Some(replay.arn()),
        state: Some(replay.state.as_str().to_owned()),
        replay_start_time: Some(replay.started),
        ..StartReplayOutput::default()
    })
}

/// The caller's archive with that ARN.
async fn archive(cx: &Cx<'_>, arn: &str) -> Result<Archive, EventsError> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    if arn != Archive::arn_of(cx.account(), cx.region(), name) {
        return Err(not_valid("EventSourceArn", "Must contain an archive ARN."));
    }
    match find_archive(cx, name).await {
        Ok(found) => Ok(found.value),
        Err(EventsError::NotFound(missing)) => Err(not_valid("EventSourceArn", &missing)),
        Err(error) => Err(error),
    }
}

pub(super) async fn cancel(cx: &Cx<'_>, input: CancelReplayInput) -> Result<CancelReplayOutput, EventsError> {
    let Versioned { value: mut replay, revision, .. } = require(cx, "events:CancelReplay", &input.replay_name).await?;
    if !matches!(replay.state, ReplayState::Starting | ReplayState::Running) {
        return Err(EventsError::IllegalStatus(format!(
            "Replay {} is not in a valid state for this operation.",
            replay.name
        )));
    }
    replay.state = ReplayState::Cancelling;
    cx.events.documents.put(&replay, Expect::Revision(revision)).await?;
    cx.events.replays.notify_one();
    Ok(CancelReplayOutput {
        replay_arn: Some(replay.arn()),
        state: Some(replay.state.as_str().to_owned()),
        ..CancelReplayOutput::default()
    })
}

fn reason(state: &ReplayState) -> Option<String> {
    match state {
        ReplayState::Failed(reason) => Some(reason.clone()),
        _ => None,
    }
}

fn archive_arn(replay: &Replay) -> String {
    Archive::arn_of(replay.bus.account, &replay.bus.region, &replay.archive.0)
}

/// The latest time of what was sent.
async fn reached(cx: &Cx<'_>, replay: &Replay) -> Result<Option<Timestamp>, EventsError> {
    Ok(cx.events.outbox.progress(&replay.course()).await?.and_then(|(_, reached)| reached))
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeReplayInput) -> Result<DescribeReplayOutput, EventsError> {
    let replay = require(cx, "events:DescribeReplay", &input.replay_name).await?.value;
    let filter_arns = (!replay.rules.is_empty()).then(|| replay.rules.clone());
    Ok(DescribeReplayOutput {
        replay_arn: Some(replay.arn()),
        state: Some(replay.state.as_str().to_owned()),
        state_reason: reason(&replay.state),
        event_source_arn: Some(archive_arn(&replay)),
        destination: Some(wire::ReplayDestination { arn: replay.bus.arn(), filter_arns }),
        event_start_time: Some(replay.times.0),
        event_end_time: Some(replay.times.1),
        event_last_replayed_time: reached(cx, &replay).await?,
        replay_start_time: Some(replay.started),
        replay_end_time: replay.ended,
        replay_name: Some(replay.name),
        description: replay.description,
    })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListReplaysInput) -> Result<ListReplaysOutput, EventsError> {
    cx.authorize("events:ListReplays", "*")?;
    let prefix = format!("{}{}", cx.prefix(), input.name_prefix.unwrap_or_default());
    let (state, source) = (input.state, input.event_source_arn);
    let wanted = |replay: &Replay| {
        state.as_ref().is_none_or(|state| replay.state.as_str() == state)
            && source.as_ref().is_none_or(|source| archive_arn(replay) == *source)
    };
    let page = Asked { limit: input.limit, token: input.next_token }.documents::<Replay>(cx, &prefix, wanted).await?;
    let mut replays = Vec::with_capacity(page.items.len());
    for replay in page.items {
        replays.push(wire::Replay {
            event_source_arn: Some(archive_arn(&replay)),
            state: Some(replay.state.as_str().to_owned()),
            state_reason: reason(&replay.state),
            event_start_time: Some(replay.times.0),
            event_end_time: Some(replay.times.1),
            event_last_replayed_time: reached(cx, &replay).await?,
            replay_start_time: Some(replay.started),
            replay_end_time: replay.ended,
            replay_name: Some(replay.name),
        });
    }
    Ok(ListReplaysOutput { replays: Some(replays), next_token: page.next })
}
