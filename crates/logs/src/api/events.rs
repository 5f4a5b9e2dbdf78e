//! Operations on log events: put, read, searched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use opentrail_filters::FilterPattern;
use opentrail_wire::logs::{
    FilterLogEventsInput, FilterLogEventsOutput, FilteredLogEvent, GetLogEventsInput, GetLogEventsOutput,
    InputLogEvent, OutputLogEvent, PutLogEventsInput, PutLogEventsOutput, RejectedEntityInfo, RejectedLogEventsInfo,
};

use super::Cx;
use super::paging::{behind, invalid_token, limit, token};
use crate::chunk::{EVENT_OVERHEAD, Events};
use crate::error::{LogsError, invalid, no_stream};
use crate::read::{Found, Key, Request};
use crate::store::{Direction, GroupRow, Scope, Window};

/// (API Reference, PutLogEvents: the rules of a batch.)
const MOST_BATCH_BYTES: usize = 1_048_576;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const OLDEST: i64 = 14 * DAY;
const NEWEST: i64 = 2 * HOUR;

/// A page of GetLogEvents and FilterLogEvents: 10,000 events, 1 MB. (API Reference, both.)
const PAGE_EVENTS: usize = 10_000;
const PAGE_BYTES: usize = 1 << 20;
/// How many bytes of messages a page of FilterLogEvents looks through, after which it may be empty.
const SEARCH_BYTES: usize = 64 << 20;

pub(super) async fn put(cx: &Cx<'_>, input: PutLogEventsInput) -> Result<PutLogEventsOutput, LogsError> {
    let place = cx.own_group(&input.log_group_name);
    let group = cx.group_at(&place, "logs:PutLogEvents", Some(&input.log_stream_name)).await?;
    let store = &cx.logs.shared.store;
    store.find_stream(group.id, &input.log_stream_name).await?.ok_or_else(no_stream)?;
    check_batch(&input.log_events)?;
    let (accepted, rejected) = accepted(&input.log_events, &group, cx.logs.now());
    let mut events = Events::default();
    accepted.iter().for_each(|event| events.push(event.timestamp, &event.message));
    if !events.is_empty() {
        cx.logs.put(place, input.log_stream_name, events).await?;
    }
    Ok(PutLogEventsOutput {
        // Tokens are given and not asked for. (API Reference, PutLogEvents, `sequenceToken`.)
        next_sequence_token: Some(format!("{:056}", cx.logs.last_sequence())),
        rejected_log_events_info: rejected,
        rejected_entity_info: input
            .entity
            .map(|_| RejectedEntityInfo { error_type: "UnsupportedLogGroupType".to_owned() }),
    })
}

fn check_batch(events: &[InputLogEvent]) -> Result<(), LogsError> {
    let mut bytes = 0;
    for event in events {
        let size = event.message.len() + EVENT_OVERHEAD;
        if size > MOST_BATCH_BYTES {
            return Err(invalid(format!("Log event too large: {size} bytes exceeds limit of {MOST_BATCH_BYTES}")));
        }
        bytes += size;
    }
    if bytes > MOST_BATCH_BYTES {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {MOST_BATCH_BYTES}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let span =
        events.last().zip(events.first()).map_or(0, |(last, first)| last.timestamp.saturating_sub(first.timestamp));
    if span > DAY {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

/// The events that are neither too old, nor too new, nor past the group's retention already.
fn accepted<'e>(
    events: &'e [InputLogEvent],
    group: &GroupRow,
    now: i64,
) -> (&'e [InputLogEvent], Option<RejectedLogEventsInfo>) {
    let before = |time: i64| events.partition_point(|event| event.timestamp < time);
    let too_old = before(now - OLDEST);
    let expired = before(group.expired_before(now));
    let too_new = events.partition_point(|event| event.timestamp <= now + NEWEST);
    let first = too_old.max(expired);
    let index = |n: usize| i32::try_from(n).ok();
    let rejected = (first > 0 || too_new < events.len()).then(|| RejectedLogEventsInfo {
        too_new_log_event_start_index: index(too_new).filter(|_| too_new < events.len()),
        too_old_log_event_end_index: index(too_old).filter(|end| *end > 0),
        expired_log_event_end_index: index(expired).filter(|end| *end > 0),
    });
    (events.get(first..too_new).unwrap_or_default(), rejected)
}

pub(super) async fn get(cx: &Cx<'_>, input: GetLogEventsInput) -> Result<GetLogEventsOutput, LogsError> {
    let place = match (&input.log_group_name, &input.log_group_identifier) {
        (Some(name), None) => cx.own_group(name),
        (None, Some(identifier)) => cx.identified(identifier)?,
        _ => return Err(invalid("Give either logGroupName or logGroupIdentifier.")),
    };
    let group = cx.group_at(&place, "logs:GetLogEvents", Some(&input.log_stream_name)).await?;
    let store = &cx.logs.shared.store;
    let stream = store.find_stream(group.id, &input.log_stream_name).await?.ok_or_else(no_stream)?;
    let from_head = input.start_from_head.unwrap_or(false);
    let (direction, after) = match input.next_token.as_deref() {
        Some(token) => position(token).ok_or_else(invalid_token)?,
        None if from_head => (Direction::OldestFirst, None),
        None => (Direction::NewestFirst, None),
    };
    let request = Request {
        scope: Scope::Stream(stream.id),
        streams: None,
        // The end is exclusive. (API Reference, GetLogEvents, `endTime`.)
        window: window(cx, &group, input.start_time, input.end_time.map(|end| end.saturating_sub(1))),
        direction,
        after,
        pattern: None,
        limit: limit(input.limit, PAGE_EVENTS),
        most_bytes: PAGE_BYTES,
        budget: usize::MAX,
    };
    let mut events = cx.logs.shared.read(Arc::new(request)).await?.events;
    if direction == Direction::NewestFirst {
        events.reverse();
    }
    // At the end of the stream a token leads to itself. (API Reference, GetLogEvents, `nextForwardToken`.)
    let here = after.unwrap_or(Key::FIRST);
    let (oldest, newest) =
        (events.first().map_or(here, |event| event.key), events.last().map_or(here, |event| event.key));
    Ok(GetLogEventsOutput {
        events: Some(events.into_iter().map(output).collect()),
        next_forward_token: Some(format!("f/{newest}")),
        next_backward_token: Some(format!("b/{oldest}")),
    })
}

fn position(token: &str) -> Option<(Direction, Option<Key>)> {
    let (direction, key) = match token.split_once('/')? {
        ("f", key) => (Direction::OldestFirst, key),
        ("b", key) => (Direction::NewestFirst, key),
        _ => return None,
    };
    Some((direction, Some(Key::parse(key)?)))
}

pub(super) async fn filter(cx: &Cx<'_>, input: FilterLogEventsInput) -> Result<FilterLogEventsOutput, LogsError> {
    let (name, identifier) = (input.log_group_name.as_deref(), input.log_group_identifier.as_deref());
    let group = cx.group_of_either(name, identifier, "logs:FilterLogEvents").await?;
    let pattern = match input.filter_pattern.as_deref() {
        Some(text) if !text.trim().is_empty() => Some(Arc::new(
            FilterPattern::parse(text).map_err(|error| invalid(format!("Invalid filter pattern: {error}.")))?,
        )),
        _ => None,
    };
    let direction = match input.start_from_head {
        Some(false) => Direction::NewestFirst,
        Some(true) | None => Direction::OldestFirst,
    };
    let list = format!("events/{}", direction == Direction::OldestFirst);
    let after = behind(&list, input.next_token.as_deref())?;
    let after = after.map(|key| Key::parse(&key).ok_or_else(invalid_token)).transpose()?;
    let streams = wanted_streams(cx, &group, input.log_stream_names, input.log_stream_name_prefix).await?;
    let request = Request {
        scope: Scope::Group(group.id),
        streams: streams.map(Arc::new),
        window: window(cx, &group, input.start_time, input.end_time),
        direction,
        after,
        pattern,
        limit: limit(input.limit, PAGE_EVENTS),
        most_bytes: PAGE_BYTES,
        budget: SEARCH_BYTES,
    };
    let page = cx.logs.shared.read(Arc::new(request)).await?;
    let names = stream_names(cx, group.id, &page.events).await?;
    let shown = page.events.into_iter().filter_map(|found| filtered(found, &names));
    Ok(FilterLogEventsOutput {
        events: Some(shown.collect()),
        // (API Reference, FilterLogEvents, `searchedLogStreams`: always empty since 2020.)
        searched_log_streams: Some(Vec::new()),
        next_token: page.next.map(|key| token(&list, &key.to_string())),
    })
}

/// The ids of the streams that are asked for by name or prefix; `None` for all.
async fn wanted_streams(
    cx: &Cx<'_>,
    group: &GroupRow,
    names: Option<Vec<String>>,
    prefix: Option<String>,
) -> Result<Option<HashSet<i64>>, LogsError> {
    let store = &cx.logs.shared.store;
    match (names, prefix) {
        (Some(_), Some(_)) => {
            Err(invalid("logStreamNames and logStreamNamePrefix cannot both be given: leave one out."))
        }
        (Some(names), None) => {
            let mut ids = HashSet::new();
            for name in names {
                ids.insert(store.find_stream(group.id, &name).await?.ok_or_else(no_stream)?.id);
            }
            Ok(Some(ids))
        }
        (None, Some(prefix)) => {
            let (mut ids, mut after) = (HashSet::new(), None::<String>);
            loop {
                let streams = store.streams_by_name(group.id, &prefix, after.as_deref(), false, 1000).await?;
                let Some(last) = streams.last() else { return Ok(Some(ids)) };
                after = Some(last.name.clone());
                ids.extend(streams.iter().map(|stream| stream.id));
            }
        }
        (None, None) => Ok(None),
    }
}

/// The names of the streams of events. Those that are deleted have none.
pub(super) async fn stream_names(cx: &Cx<'_>, group: i64, events: &[Found]) -> Result<HashMap<i64, String>, LogsError> {
    let mut names = HashMap::new();
    for id in events.iter().map(|found| found.stream).collect::<HashSet<_>>() {
        if let Some(stream) = cx.logs.shared.store.stream_of_id(group, id).await? {
            names.insert(id, stream.name);
        }
    }
    Ok(names)
}

/// The times that are asked for, both inclusive, without what is past the group's retention.
fn window(cx: &Cx<'_>, group: &GroupRow, start: Option<i64>, through: Option<i64>) -> Window {
    let expired = group.expired_before(cx.logs.now());
    Window { from: start.unwrap_or(i64::MIN).max(expired), through: through.unwrap_or(i64::MAX) }
}

fn output(found: Found) -> OutputLogEvent {
    let (timestamp, ingestion_time) = (Some(found.key.time), Some(found.ingested));
    OutputLogEvent { timestamp, message: Some(found.message), ingestion_time }
}

fn filtered(found: Found, names: &HashMap<i64, String>) -> Option<FilteredLogEvent> {
    Some(FilteredLogEvent {
        log_stream_name: Some(names.get(&found.stream)?.clone()),
        timestamp: Some(found.key.time),
        event_id: Some(event_id(found.key)),
        message: Some(found.message),
        ingestion_time: Some(found.ingested),
    })
}

/// An event's id: 56 digits, as CloudWatch Logs' own have, that stay the same whatever is merged.
fn event_id(key: Key) -> String {
    format!("{:020}{:020}{:016}", key.time.max(0), key.sequence, key.index)
}
