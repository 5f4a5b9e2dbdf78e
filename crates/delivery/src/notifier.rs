//! Tells a trail's topic of each log file that was delivered.
//!
//! What is to be told is in the catalog since the transaction that says that the file is delivered. A task per trail
//! publishes it, oldest first, and then deletes it. *A crash in between* publishes again, with the same deduplication:
//! at least once, as SNS delivers. A topic that refuses, or hangs, holds up its own trail's notifications only, and
//! never the delivery of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_catalog::{CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{CrashPoint, OnError, Shutdown};
use opentrail_trails::{NotificationStatus, Status, TopicError, Topics, TrailKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::back_off::BackOff;
use crate::state::NOTIFICATIONS;
use crate::supervisor::{Context, trail_key};

/// Notifications that are looked at together.
const AT_ONCE: usize = 100;

/// A log file that a topic is to be told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notification {
    /// The topic's ARN.
    pub(crate) topic: String,
    /// Where the file is.
    pub(crate) bucket: String,
    /// Its key.
    pub(crate) key: String,
    /// Whose events are in it.
    pub(crate) account: AccountId,
    /// Of which Region.
    pub(crate) region: Region,
    /// Since when it is there.
    pub(crate) delivered: Timestamp,
}

impl Notification {
    /// CloudTrail's message. (User Guide, "Configuring Amazon SNS notifications for CloudTrail"; its processing library.)
    fn message(&self) -> String {
        serde_json::json!({ "s3Bucket": self.bucket, "s3ObjectKey": [self.key] }).to_string()
    }
}

/// The trails whose topics are being told. For each, whether there has been more to tell since its task last looked.
#[derive(Debug)]
pub(crate) struct Notifier {
    topics: Arc<dyn Topics>,
    running: Mutex<BTreeMap<TrailKey, bool>>,
}

impl Notifier {
    pub(crate) fn new(topics: Arc<dyn Topics>) -> Self {
        Self { topics, running: Mutex::default() }
    }

    /// Says that there is something to tell the trail's topic.
    pub(crate) fn wake(&self, context: &Arc<Context>, trail: &TrailKey) {
        if let Some(more) = self.running.lock().get_mut(trail) {
            *more = true;
            return;
        }
        self.running.lock().insert(trail.clone(), false);
        let (context, trail, shutdown) = (Arc::clone(context), trail.clone(), context.tasks.shutdown().clone());
        context.tasks.clone().spawn("delivery-notifier", OnError::Log, async move {
            tell_all(&context, &trail, &shutdown).await;
            Ok::<(), CatalogError>(())
        });
    }

    /// Whether a task that found nothing to tell may end; it has ended then.
    fn may_end(&self, trail: &TrailKey) -> bool {
        let mut running = self.running.lock();
        match running.get_mut(trail) {
            Some(more) if *more => {
                *more = false;
                false
            }
            _ => {
                running.remove(trail);
                true
            }
        }
    }
}

/// Goes on with what was not told before the start.
pub(crate) async fn resume(context: &Arc<Context>) -> Result<(), CatalogError> {
    for waiting in context.catalog.all::<Notification>(NOTIFICATIONS, "").await? {
        let trail = waiting.key.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        match trail_key(&trail) {
            Some(trail) => context.notifier.wake(context, &trail),
            None => tracing::error!(key = waiting.key, "a notification names no trail and is left alone"),
        }
    }
    Ok(())
}

async fn tell_all(context: &Context, trail: &TrailKey, shutdown: &Shutdown) {
    let mut back_off = BackOff::default();
    while !shutdown.has_begun() {
        match tell_some(context, trail, &mut back_off).await {
            Ok(true) => {}
            Ok(false) if context.notifier.may_end(trail) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(trail.name = %trail, %error, "the catalog failed; notifications wait");
                back_off.failed(false, context.clock.now(), context.settings.longest_pause, &*context.random);
            }
        }
        let pause = back_off.pause(context.clock.now());
        if !pause.is_zero() {
            tokio::select! {
                () = context.clock.sleep(pause) => {}
                () = shutdown.begun() => {}
            }
        }
    }
}

/// Tells the oldest; whether there were any. Stops at the first that fails.
async fn tell_some(context: &Context, trail: &TrailKey, back_off: &mut BackOff) -> Result<bool, CatalogError> {
    let waiting = context.catalog.list(NOTIFICATIONS, &format!("{trail}/"), "", AT_ONCE).await?;
    for document in &waiting {
        let Ok(notification) = serde_json::from_slice::<Notification>(&document.value) else {
            tracing::error!(key = document.key, "a notification cannot be read and is dropped");
            context.catalog.commit(vec![dropped(document)]).await?;
            continue;
        };
        if !tell(context, trail, document, &notification, back_off).await? {
            return Ok(true);
        }
    }
    Ok(!waiting.is_empty())
}

/// Whether the next may be told.
async fn tell(
    context: &Context,
    trail: &TrailKey,
    document: &Versioned<Vec<u8>>,
    notification: &Notification,
    back_off: &mut BackOff,
) -> Result<bool, CatalogError> {
    let outcome = publish(context, trail, notification).await;
    let now = context.clock.now();
    let Notification { account, ref region, delivered, .. } = *notification;
    let mut status = NotificationStatus::load(&context.catalog, trail, account, region).await?;
    status.latest_attempt = Some(now);
    let over = now.since(delivered) >= context.settings.give_up_after;
    let done = match outcome {
        Ok(()) => {
            status.latest = Some(now);
            status.latest_error = None;
            *back_off = BackOff::default();
            true
        }
        Err(error) => {
            if back_off.is_clear() {
                tracing::warn!(trail.name = %trail, topic = notification.topic, %error, "a topic cannot be told of log files");
            }
            crate::metrics::not_notified(trail.arn().as_str(), error.code());
            status.latest_error = Some(error.code().to_owned());
            back_off.failed(false, now, context.settings.longest_pause, &*context.random);
            if over {
                tracing::error!(trail.name = %trail, object = notification.key, "a topic was not told of a log file");
            }
            over
        }
    };
    let mut changes = vec![status.store(trail, account, region)];
    changes.extend(done.then(|| dropped(document)));
    CrashPoint::DeliveryNotified.reach();
    context.catalog.commit(changes).await?;
    Ok(done)
}

async fn publish(context: &Context, trail: &TrailKey, notification: &Notification) -> Result<(), TopicError> {
    let message = notification.message();
    let deduplication = format!("{}/{}", notification.bucket, notification.key);
    let limit = context.settings.put_timeout;
    tokio::select! {
        biased;
        done = context.notifier.topics.publish(trail, &notification.topic, &message, &deduplication) => done,
        () = context.clock.sleep(limit) => {
            Err(TopicError::Unavailable { reason: format!("no answer within {} s", limit.as_secs_f32()) })
        }
    }
}

fn dropped(document: &Versioned<Vec<u8>>) -> Change {
    Change::delete(NOTIFICATIONS, document.key.clone(), Expect::Anything)
}
