//! Live tail: a session that shows what comes in, once a second.
//!
//! A session holds nothing: it is a sequence number, and reads the newest chunks from the memory that all followers share. A
//! client that reads too slowly finds what it has not seen gone, and its session ends. (CloudWatch Logs User Guide,
//! "Use Live Tail to view logs in near real time": 500 events a second, sampled above, for at most three hours.)

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use opentrail_filters::FilterPattern;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_wire::event_stream;
use opentrail_wire::logs::{LiveTailSessionLogEvent, LiveTailSessionMetadata, LiveTailSessionUpdate};
use parking_lot::Mutex;

use crate::error::LogsError;
use crate::follow::{Behind, Chunk, Follower};
use crate::service::{Logs, Shared, aside};

/// The most events of an update; of more, only these are shown.
const MOST_EVENTS: usize = 500;
/// The most bytes of messages of an update, so that a client's buffer has a bound. A choice of ours.
const MOST_BYTES: usize = 1 << 20;
/// The time between updates.
const BEAT: Duration = Duration::from_secs(1);
/// How long a session lasts. (API Reference, StartLiveTail.)
const LONGEST: Duration = Duration::from_secs(3 * 3600);
/// How many sessions an account has at a time in a Region. (User Guide, "CloudWatch Logs quotas".)
const MOST_SESSIONS: usize = 15;

/// What a session shows.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The ids of the groups.
    pub(crate) groups: HashSet<i64>,
    /// Only streams of these names, unless empty.
    pub(crate) names: Vec<String>,
    /// Only streams whose names begin so, unless empty.
    pub(crate) prefixes: Vec<String>,
    pub(crate) pattern: Option<FilterPattern>,
}

impl Wanted {
    fn chunk(&self, chunk: &Chunk) -> bool {
        self.groups.contains(&chunk.group_id)
            && (self.names.is_empty() || self.names.iter().any(|name| **name == *chunk.stream))
            && (self.prefixes.is_empty()
                || self.prefixes.iter().any(|prefix| chunk.stream.starts_with(prefix.as_str())))
    }
}

/// A session.
#[derive(Debug)]
pub(crate) struct LiveTail {
    follower: Follower,
    wanted: Arc<Wanted>,
    ends: Timestamp,
    place: Place,
}

/// A session's place among those that its account may have; given back when it is dropped.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    key: (AccountId, Region),
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tails = self.shared.tails.lock();
        if let Some(count) = tails.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                tails.remove(&self.key);
            }
        }
    }
}

fn enter(tails: &Mutex<HashMap<(AccountId, Region), usize>>, key: &(AccountId, Region)) -> Result<(), LogsError> {
    let mut tails = tails.lock();
    let count = tails.entry(key.clone()).or_insert(0);
    if *count >= MOST_SESSIONS {
        return Err(LogsError::LimitExceeded(format!(
            "An account has at most {MOST_SESSIONS} Live Tail sessions at a time in a Region: end another one."
        )));
    }
    *count += 1;
    Ok(())
}

impl LiveTail {
    /// A session of `key` that shows what comes in from now on.
    pub(crate) fn start(logs: &Logs, key: (AccountId, Region), wanted: Wanted) -> Result<Self, LogsError> {
        let shared = Arc::clone(&logs.shared);
        enter(&shared.tails, &key)?;
        let ends = shared.clock.now() + LONGEST;
        let place = Place { shared, key };
        Ok(Self { follower: logs.follow(logs.last_sequence()), wanted: Arc::new(wanted), ends, place })
    }

    /// Its updates, one a second, until it ends.
    pub(crate) fn frames(self) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold(Some(self), |session| async move {
            let mut session = session?;
            let shared = Arc::clone(&session.place.shared);
            tokio::select! {
                () = shared.closing.begun() => return None,
                () = shared.clock.sleep(BEAT) => {}
            }
            if shared.clock.now() >= session.ends {
                let text = "The session has lasted three hours. Start another one.";
                return Some((event_stream::exception("SessionTimeoutException", text), None));
            }
            match session.update().await {
                Ok(frame) => Some((frame, Some(session))),
                Err(Behind) => {
                    metrics::counter!("opentrail_logs_live_tails_lost_total").increment(1);
                    let text = "The client read more slowly than log events came in. Start another session.";
                    Some((event_stream::exception("SessionStreamingException", text), None))
                }
            }
        })
    }

    async fn update(&mut self) -> Result<Bytes, Behind> {
        let (mut results, mut bytes, mut sampled) = (Vec::new(), 0, false);
        loop {
            let chunks = self.follower.recent()?;
            if chunks.is_empty() {
                break;
            }
            let chunks: Vec<_> = chunks.into_iter().filter(|chunk| self.wanted.chunk(chunk)).collect();
            if chunks.is_empty() || sampled {
                continue;
            }
            let wanted = Arc::clone(&self.wanted);
            let matching = aside(move || {
                for chunk in chunks {
                    sampled |= add(&mut results, &mut bytes, &chunk, wanted.pattern.as_ref());
                }
                Ok((results, bytes, sampled))
            });
            (results, bytes, sampled) = matching.await.map_err(|_| Behind)?;
        }
        let update = LiveTailSessionUpdate {
            session_metadata: Some(LiveTailSessionMetadata { sampled: Some(sampled) }),
            session_results: Some(results),
        };
        Ok(event_stream::event("sessionUpdate", &serde_json::to_vec(&update).unwrap_or_default()))
    }
}

/// Adds events that match; whether some had no room.
fn add(
    results: &mut Vec<LiveTailSessionLogEvent>,
    bytes: &mut usize,
    chunk: &Chunk,
    pattern: Option<&FilterPattern>,
) -> bool {
    for (time, message) in chunk.events.iter() {
        if !pattern.is_none_or(|pattern| pattern.matches(message)) {
            continue;
        }
        if results.len() >= MOST_EVENTS || *bytes + message.len() > MOST_BYTES && !results.is_empty() {
            return true;
        }
        *bytes += message.len();
        results.push(LiveTailSessionLogEvent {
            log_stream_name: Some(chunk.stream.to_string()),
            log_group_identifier: Some(chunk.group.arn()),
            message: Some(message.to_owned()),
            timestamp: Some(time),
            ingestion_time: Some(chunk.ingested),
        });
    }
    false
}
