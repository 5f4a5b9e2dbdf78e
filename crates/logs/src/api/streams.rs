//! Operations on log streams.

use opentrail_wire::logs::{
    CreateLogStreamInput, DeleteLogStreamInput, DescribeLogStreamsInput, DescribeLogStreamsOutput, LogStream,
};

use super::Cx;
use super::paging::{behind, invalid_token, limit, token};
use crate::error::{LogsError, invalid, no_group, no_stream};
use crate::place::GroupPlace;
use crate::store::{StreamRow, create_stream, delete_stream};

pub(super) async fn create(cx: &Cx<'_>, input: CreateLogStreamInput) -> Result<(), LogsError> {
    let place = cx.own_group(&input.log_group_name);
    let group = cx.group_at(&place, "logs:CreateLogStream", Some(&input.log_stream_name)).await?;
    let mut writing = cx.logs.shared.store.write().await?;
    let made = create_stream(&mut writing, group.id, &input.log_stream_name, cx.logs.now()).await?;
    writing.commit().await?;
    if made.is_some() {
        return Ok(());
    }
    // The group may have been deleted meanwhile.
    cx.logs.shared.store.group_of_id(group.id).await?.ok_or_else(no_group)?;
    Err(LogsError::AlreadyExists("The specified log stream already exists".to_owned()))
}

pub(super) async fn delete(cx: &Cx<'_>, input: DeleteLogStreamInput) -> Result<(), LogsError> {
    let place = cx.own_group(&input.log_group_name);
    let group = cx.group_at(&place, "logs:DeleteLogStream", Some(&input.log_stream_name)).await?;
    let store = &cx.logs.shared.store;
    let mut writing = store.write().await?;
    let stream =
        crate::store::stream_in(&mut writing, group.id, &input.log_stream_name).await?.ok_or_else(no_stream)?;
    delete_stream(&mut writing, group.id, stream.id).await?;
    writing.commit().await
}

pub(super) async fn describe(
    cx: &Cx<'_>,
    input: DescribeLogStreamsInput,
) -> Result<DescribeLogStreamsOutput, LogsError> {
    let (name, identifier) = (input.log_group_name.as_deref(), input.log_group_identifier.as_deref());
    let group = cx.group_of_either(name, identifier, "logs:DescribeLogStreams").await?;
    let by_event = input.order_by.as_deref() == Some("LastEventTime");
    if by_event && input.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let descending = input.descending.unwrap_or(false);
    let limit = limit(input.limit, 50);
    let list = format!("streams/{by_event}/{descending}");
    let after = behind(&list, input.next_token.as_deref())?;
    let store = &cx.logs.shared.store;
    let mut streams = if by_event {
        let after = after.map(|after| event_key(&after).ok_or_else(invalid_token)).transpose()?;
        store.streams_by_event(group.id, after, descending, limit + 1).await?
    } else {
        let prefix = input.log_stream_name_prefix.unwrap_or_default();
        store.streams_by_name(group.id, &prefix, after.as_deref(), descending, limit + 1).await?
    };
    let more = streams.len() > limit;
    streams.truncate(limit);
    let last = streams.last().filter(|_| more);
    let next_token = last.map(|last| {
        let key = if by_event { format!("{} {}", last.last_event.unwrap_or(-1), last.id) } else { last.name.clone() };
        token(&list, &key)
    });
    let shown = streams.into_iter().map(|stream| shown(&group.place, stream)).collect();
    Ok(DescribeLogStreamsOutput { log_streams: Some(shown), next_token })
}

fn event_key(text: &str) -> Option<(i64, i64)> {
    let (time, id) = text.split_once(' ')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}

fn shown(place: &GroupPlace, stream: StreamRow) -> LogStream {
    LogStream {
        creation_time: Some(stream.created),
        first_event_timestamp: stream.first_event,
        last_event_timestamp: stream.last_event,
        last_ingestion_time: stream.last_ingestion,
        upload_sequence_token: None,
        arn: Some(place.stream_arn(&stream.name)),
        // (API Reference, LogStream, `storedBytes`: always zero since 2019.)
        stored_bytes: Some(0),
        log_stream_name: Some(stream.name),
    }
}
