use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_model::{Arn, Position, Region, Timestamp};
use opentrail_outbound::OutboundError;
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, AwsError};
use opentrail_runtime::Clock;
use opentrail_trails::{LogBatch, LogGroup, LogGroupError, LogGroups, Memory, TrailKey};
use serde_json::{Value, json};

use crate::batches::{LogEvent, batches, stretches};
use crate::roles::Roles;
use crate::{ElsewhereOptions, calls};

/// Events that are read at once: a page of small ones, and no more than an answer may hold of large ones.
const PAGE: u32 = 250;
const NOT_FOUND: &str = "ResourceNotFoundException";
const DENIED: &str = "AccessDeniedException";
const REJECTED: &str = "opentrail_elsewhere_rejected_log_events_total";
const UNCHECKED: &str = "opentrail_elsewhere_unchecked_appends_total";

/// Log groups of a CloudWatch Logs elsewhere, called with the configured key, or as each trail's role.
pub struct LogGroupsElsewhere {
    at: AwsEndpoint,
    calls: AwsCalls,
    clock: Arc<dyn Clock>,
    roles: Option<Roles>,
}

/// A group, and how it is called.
struct Group<'a> {
    name: &'a str,
    role: &'a str,
    at: AwsEndpoint,
}

impl LogGroupsElsewhere {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(options: &ElsewhereOptions, clock: &Arc<dyn Clock>) -> Result<Self, OutboundError> {
        metrics::describe_counter!(REJECTED, "Events that a log group elsewhere takes with no time, by the reason.");
        metrics::describe_counter!(UNCHECKED, "Appends made again though the role may not read what came of them.");
        let calls = calls(options, clock)?;
        let roles = options.sts.as_ref().map(|sts| {
            let sts = AwsEndpoint { endpoint: sts.clone(), ..options.at.clone() };
            Roles::new(sts, calls.clone(), Arc::clone(clock))
        });
        Ok(Self { at: options.at.clone(), calls, clock: Arc::clone(clock), roles })
    }

    async fn open<'a>(&self, group: &'a LogGroup) -> Result<Group<'a>, LogGroupError> {
        let (name, region) = name_and_region(&group.arn).ok_or(LogGroupError::Group)?;
        let credentials = match &self.roles {
            None => self.at.credentials.clone(),
            Some(roles) => roles.take(&group.role).await.map_err(|error| match error {
                AwsError::Refused { .. } if !error.is_retryable() => LogGroupError::Trust,
                error => LogGroupError::Unavailable { reason: error.to_string() },
            })?,
        };
        let at = AwsEndpoint { endpoint: self.at.endpoint.clone(), region, credentials };
        Ok(Group { name, role: &group.role, at })
    }

    async fn call(&self, group: &Group<'_>, operation: &str, input: &Value) -> Result<Value, AwsError> {
        let target = format!("Logs_20140328.{operation}");
        let answer = self.calls.json(&group.at, "logs", "1.1", &target, input).await;
        if let (Err(AwsError::Refused { .. }), Some(roles)) = (&answer, &self.roles) {
            // Its session may have been ended; the next attempt has another.
            roles.forget(group.role);
        }
        answer
    }

    async fn create_stream(&self, group: &Group<'_>, stream: &str) -> Result<(), LogGroupError> {
        let input = json!({ "logGroupName": group.name, "logStreamName": stream });
        match self.call(group, "CreateLogStream", &input).await {
            Ok(_) => Ok(()),
            Err(error) if error.name() == "ResourceAlreadyExistsException" => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Puts events into a stream, and makes the stream if it is not there; returns those that were rejected for their time.
    async fn put(
        &self,
        group: &Group<'_>,
        stream: &str,
        mut events: Vec<LogEvent>,
    ) -> Result<Vec<LogEvent>, LogGroupError> {
        events.sort_by_key(|event| event.time);
        let mut rejected = Vec::new();
        for batch in batches(&events) {
            let batch = &events[batch];
            let list: Vec<Value> = batch
                .iter()
                .map(|event| json!({ "timestamp": event.time.as_millis(), "message": event.message }))
                .collect();
            let input = json!({ "logGroupName": group.name, "logStreamName": stream, "logEvents": list });
            let mut answer = self.call(group, "PutLogEvents", &input).await;
            if answer.as_ref().is_err_and(|error| error.name() == NOT_FOUND) {
                self.create_stream(group, stream).await?;
                answer = self.call(group, "PutLogEvents", &input).await;
            }
            rejected.extend(refused_ones(&answer.map_err(refused)?, batch));
        }
        Ok(rejected)
    }

    /// Puts events with their own times; those that are refused so with the time of writing, and at last as of now.
    async fn put_all(
        &self,
        group: &Group<'_>,
        stream: &str,
        events: Vec<LogEvent>,
        written: Timestamp,
    ) -> Result<(), LogGroupError> {
        let mut rejected = self.put(group, stream, events).await?;
        for time in [written, self.clock.now()] {
            if rejected.is_empty() {
                return Ok(());
            }
            rejected.iter_mut().for_each(|event| event.time = time);
            rejected = self.put(group, stream, rejected).await?;
        }
        if !rejected.is_empty() {
            // Its clock is hours or days away from ours.
            metrics::counter!(REJECTED).increment(rejected.len() as u64);
            tracing::error!(
                group = group.name,
                stream,
                count = rejected.len(),
                "a log group rejected events of a trail"
            );
        }
        Ok(())
    }

    /// Takes away from `wanted`, which counts messages, those that the stream has from `first` through `last`.
    async fn find(
        &self,
        group: &Group<'_>,
        stream: &str,
        (first, last): (Timestamp, Timestamp),
        wanted: &mut HashMap<String, usize>,
    ) -> Result<(), AwsError> {
        let mut input = json!({
            "logGroupName": group.name, "logStreamName": stream, "limit": PAGE, "startFromHead": true,
            "startTime": first.as_millis(), "endTime": last.as_millis() + 1,
        });
        loop {
            let mut answer = self.call(group, "GetLogEvents", &input).await?;
            let Some(events) = answer["events"].as_array() else {
                let reason = "the answer of GetLogEvents has no events".to_owned();
                return Err(OutboundError::Broken { reason }.into());
            };
            for message in events.iter().filter_map(|event| event["message"].as_str()) {
                if let Some(count) = wanted.get_mut(message) {
                    *count = count.saturating_sub(1);
                }
            }
            let next = answer["nextForwardToken"].take();
            // The end is where the token stays the same; a page before it may be empty.
            if next.is_null() || next == input["nextToken"] || wanted.values().all(|count| *count == 0) {
                return Ok(());
            }
            input["nextToken"] = next;
        }
    }

    /// The events of the batch that its stream has not.
    async fn missing_of(&self, group: &Group<'_>, mut batch: LogBatch) -> Result<LogBatch, LogGroupError> {
        let mut wanted: HashMap<String, usize> = HashMap::new();
        for (_, record) in &batch.events {
            *wanted.entry(message_of(record)).or_default() += 1;
        }
        let times = batch.events.iter().map(|(time, _)| *time).chain([batch.at]).collect();
        for stretch in stretches(times) {
            match self.find(group, &batch.stream, stretch, &mut wanted).await {
                Ok(()) => {}
                // Not even the stream is there.
                Err(error) if error.name() == NOT_FOUND => break,
                Err(error) if error.name() == DENIED => {
                    metrics::counter!(UNCHECKED).increment(1);
                    tracing::warn!(
                        group = group.name,
                        "logs:GetLogEvents is denied: whether events were put is not known, and they are put again"
                    );
                    return Ok(batch);
                }
                Err(error) => return Err(refused(error)),
            }
        }
        batch.events.retain(|(_, record)| match wanted.get_mut(&message_of(record)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        });
        Ok(batch)
    }
}

#[async_trait]
impl LogGroups for LogGroupsElsewhere {
    /// The first stream that there will be is made, as CloudTrail does: that shows that the group is there, and that streams
    /// can be made.
    async fn check(&self, trail: &TrailKey, group: &LogGroup) -> Result<(), LogGroupError> {
        let stream = format!("{}_CloudTrail_{}", trail.account, trail.home_region);
        self.create_stream(&self.open(group).await?, &stream).await
    }

    async fn memory(&self, _: &TrailKey, _: &LogGroup) -> Result<Memory, LogGroupError> {
        Ok(Memory::Events)
    }

    async fn missing(
        &self,
        _: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
    ) -> Result<Vec<LogBatch>, LogGroupError> {
        let group = self.open(group).await?;
        let mut missing = Vec::with_capacity(batches.len());
        for batch in batches {
            let batch = self.missing_of(&group, batch).await?;
            missing.extend((!batch.events.is_empty()).then_some(batch));
        }
        Ok(missing)
    }

    async fn append(
        &self,
        _: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
        _: Position,
    ) -> Result<(), LogGroupError> {
        let group = self.open(group).await?;
        for LogBatch { stream, events, at } in batches {
            let event = |(time, record): (Timestamp, Bytes)| LogEvent { time, message: message_of(&record) };
            self.put_all(&group, &stream, events.into_iter().map(event).collect(), at).await?;
        }
        Ok(())
    }
}

/// Of a batch, the events that the answer of PutLogEvents says were rejected. (API Reference, RejectedLogEventsInfo: ends
/// are exclusive, the start inclusive.)
fn refused_ones(answer: &Value, batch: &[LogEvent]) -> Vec<LogEvent> {
    let info = &answer["rejectedLogEventsInfo"];
    let index = |name: &str| info[name].as_u64().map(|index| usize::try_from(index).unwrap_or(usize::MAX));
    let old = index("tooOldLogEventEndIndex").max(index("expiredLogEventEndIndex")).unwrap_or(0);
    let new = index("tooNewLogEventStartIndex").unwrap_or(usize::MAX);
    let is_rejected = |index: usize| index < old || index >= new;
    batch.iter().enumerate().filter(|(index, _)| is_rejected(*index)).map(|(_, event)| event.clone()).collect()
}

fn message_of(record: &Bytes) -> String {
    String::from_utf8_lossy(record).into_owned()
}

/// Of `arn:aws:logs:region:account:log-group:name:*`.
fn name_and_region(arn: &str) -> Option<(&str, Region)> {
    let region = arn.parse::<Arn>().ok()?.region().parse().ok()?;
    let (_, name) = arn.split_once(":log-group:")?;
    Some((name.strip_suffix(":*").unwrap_or(name), region))
}

fn refused(error: AwsError) -> LogGroupError {
    match error.name() {
        NOT_FOUND => LogGroupError::Group,
        DENIED => LogGroupError::Permissions,
        _ => LogGroupError::Unavailable { reason: error.to_string() },
    }
}

impl fmt::Debug for LogGroupsElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGroupsElsewhere").field("at", &self.at).finish_non_exhaustive()
    }
}
