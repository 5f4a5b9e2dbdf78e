//! StartLiveTail: what comes in, as it comes in.

use std::collections::HashSet;

use bytes::Bytes;
use futures::StreamExt;
use http::Response;
use http::header::CONTENT_TYPE;
use opentrail_filters::FilterPattern;
use opentrail_wire::event_stream;
use opentrail_wire::logs::{LiveTailSessionStart, StartLiveTailInput};

use super::{Body, Cx};
use crate::error::{LogsError, invalid};
use crate::live_tail::{LiveTail, Wanted};

pub(super) async fn start(cx: &Cx<'_>, input: StartLiveTailInput) -> Result<Response<Body>, LogsError> {
    let StartLiveTailInput {
        log_group_identifiers,
        log_stream_names,
        log_stream_name_prefixes,
        log_event_filter_pattern,
    } = input;
    let (names, prefixes) =
        (log_stream_names.clone().unwrap_or_default(), log_stream_name_prefixes.clone().unwrap_or_default());
    if !names.is_empty() && !prefixes.is_empty() {
        return Err(invalid("logStreamNames and logStreamNamePrefixes cannot both be given: leave one out."));
    }
    if log_group_identifiers.len() > 1 && !(names.is_empty() && prefixes.is_empty()) {
        return Err(invalid("Streams can be chosen where one log group is given."));
    }
    let mut groups = HashSet::new();
    for identifier in &log_group_identifiers {
        // (API Reference, StartLiveTail, `logGroupIdentifiers`: by ARN, without * at the end.)
        if !identifier.starts_with("arn:") || identifier.ends_with('*') {
            return Err(invalid(format!("{identifier} is no ARN of a log group: give ARNs without * at the end.")));
        }
        let place = cx.identified(identifier)?;
        groups.insert(cx.group_at(&place, "logs:StartLiveTail", None).await?.id);
    }
    let pattern = match log_event_filter_pattern.as_deref() {
        Some(text) if !text.trim().is_empty() => {
            Some(FilterPattern::parse(text).map_err(|error| invalid(format!("Invalid filter pattern: {error}.")))?)
        }
        _ => None,
    };
    let session = LiveTailSessionStart {
        request_id: Some(cx.call.request_id.clone()),
        session_id: Some(cx.logs.shared.random.uuid().to_string()),
        log_group_identifiers: Some(log_group_identifiers),
        log_stream_names: Some(names.clone()),
        log_stream_name_prefixes: Some(prefixes.clone()),
        log_event_filter_pattern: Some(log_event_filter_pattern.unwrap_or_default()),
    };
    let wanted = Wanted { groups, names, prefixes, pattern };
    let key = (cx.call.principal.account, cx.call.region.clone());
    let tail = LiveTail::start(cx.logs, key, wanted)?;
    let first = [event_stream::initial_response(), frame("sessionStart", &session)];
    let frames = futures::stream::iter(first).chain(tail.frames()).boxed();
    let mut response = Response::new(Body::Frames(frames));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(event_stream::CONTENT_TYPE));
    if let Ok(id) = http::HeaderValue::from_str(&cx.call.request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    Ok(response)
}

fn frame(name: &str, payload: &impl serde::Serialize) -> Bytes {
    event_stream::event(name, &serde_json::to_vec(payload).unwrap_or_default())
}
