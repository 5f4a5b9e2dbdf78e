//! Brings what is in the outbox to where it is to go: at least once, however often the process dies.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::{CrashPoint, Shutdown};
use serde_json::{Value, json};
use tracing::warn;

use super::alarms::Alarms;
use super::history::{ItemType, NewItem};
use super::notification::AlarmNotification;
use super::outbox::{Errand, MAX_BACK_OFF, Waiting};
use crate::store::{Store, StoreError};

/// An attempt that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many attempts are made at once.
const AT_ONCE: usize = 64;
/// The first back-off; each is twice the one before.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// After this long nobody cares any more.
const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);
/// The outbox is looked at at least this often.
const LOOK: Duration = Duration::from_secs(60);

/// Why an action was not performed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Trying again may help.
    #[error("{0}")]
    Retryable(String),
    /// It will never do.
    #[error("{0}")]
    Permanent(String),
}

/// Performs the actions of alarms, e.g. publishes to topics.
#[async_trait]
pub trait AlarmActions: fmt::Debug + Send + Sync + 'static {
    /// Performs the action `action_arn` of an alarm of `account`. The same notification may come again, with the same
    /// deduplication key.
    ///
    /// # Errors
    /// [`ActionError`] says whether to try again.
    ///
    /// # Cancellation
    /// It is dropped after 30 seconds, and tried again.
    async fn perform(
        &self,
        account: AccountId,
        action_arn: &str,
        notification: &AlarmNotification,
    ) -> Result<(), ActionError>;

    /// Takes the event "CloudWatch Alarm State Change" of an alarm of `account`, in the form of EventBridge. Each alarm's
    /// events come in order, unless one is tried again; the same event may come again, with the same `id`.
    ///
    /// # Errors
    /// [`ActionError`] says whether to try again.
    async fn state_changed(&self, account: AccountId, event: &Value) -> Result<(), ActionError> {
        let _ = (account, event);
        Ok(())
    }
}

/// What performs the outbox.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) actions: Arc<dyn AlarmActions>,
}

impl Dispatcher {
    /// Performs until the shutdown begins. What is under way then is performed again by the next start.
    pub(crate) async fn run_until(&self, shutdown: &Shutdown) {
        let mut under_way = FuturesUnordered::new();
        let mut lanes: HashSet<String> = HashSet::new();
        while !shutdown.has_begun() {
            let now = self.alarms.clock.now();
            let (due, next) = self.alarms.store.due_errands(now).await.unwrap_or_else(|error| {
                warn!(error = %error, "the outbox of alarms was not read");
                (Vec::new(), Some(now + FIRST_BACK_OFF))
            });
            for errand in due {
                if under_way.len() < AT_ONCE && lanes.insert(errand.lane.clone()) {
                    under_way.push(self.attempt(errand).boxed());
                }
            }
            let deadline = next.unwrap_or(now + LOOK).min(now + LOOK);
            tokio::select! {
                () = shutdown.begun() => return,
                () = self.alarms.sent.notified() => {}
                Some(lane) = under_way.next() => {
                    lanes.remove(&lane);
                }
                _ = tokio::time::timeout(LOOK, self.alarms.clock.sleep_until(deadline)) => {}
            }
        }
    }

    /// Performs what is due now, one after the other, until nothing is.
    #[cfg(test)]
    pub(crate) async fn perform_due(&self) {
        loop {
            let (due, _) = self.alarms.store.due_errands(self.alarms.clock.now()).await.unwrap();
            if due.is_empty() {
                return;
            }
            for errand in due {
                self.attempt(errand).await;
            }
        }
    }

    /// Makes one attempt and writes down what came of it; returns the lane, which is free again.
    async fn attempt(&self, errand: Waiting) -> String {
        let account = errand.key.scope.account;
        let done = tokio::time::timeout(PATIENCE, async {
            match &errand.errand {
                Errand::Action { arn, notification } => self.actions.perform(account, arn, notification).await,
                Errand::Event(event) => self.actions.state_changed(account, event).await,
            }
        });
        let timeout = || ActionError::Retryable(format!("no answer within {} seconds", PATIENCE.as_secs()));
        let done = done.await.unwrap_or_else(|_| Err(timeout()));
        if let Err(error) = self.settle(&errand, done).await {
            // It is in the outbox still, and will be performed again.
            warn!(alarm = errand.key.name, error = %error, "what came of an alarm's action was not written down");
            self.alarms.clock.sleep(FIRST_BACK_OFF).await;
        }
        errand.lane
    }

    async fn settle(&self, errand: &Waiting, done: Result<(), ActionError>) -> Result<(), StoreError> {
        let now = self.alarms.clock.now();
        let error = match done {
            Ok(()) => None,
            Err(ActionError::Retryable(reason)) if now.since(errand.made) < GIVE_UP => {
                metrics::counter!("opentrail_monitoring_actions_total", "outcome" => "retried").increment(1);
                let back_off = FIRST_BACK_OFF * 2_u32.saturating_pow(errand.attempts.min(16));
                warn!(alarm = errand.key.name, reason, "an alarm's action failed and is tried again");
                return self.alarms.store.put_errand_off(errand.id, now + back_off.min(MAX_BACK_OFF)).await;
            }
            Err(ActionError::Retryable(reason) | ActionError::Permanent(reason)) => Some(reason),
        };
        let outcome = if error.is_none() { "performed" } else { "failed" };
        metrics::counter!("opentrail_monitoring_actions_total", "outcome" => outcome).increment(1);
        CrashPoint::MonitoringPerformed.reach();
        let mut writing = self.alarms.store.writing().await?;
        Store::remove_errand(&mut writing, errand.id).await?;
        if let Errand::Action { arn, notification } = &errand.errand {
            history(errand, arn, notification, error.as_deref(), now).write(&mut writing).await?;
        }
        writing.commit().await?;
        CrashPoint::MonitoringSettled.reach();
        Ok(())
    }
}

/// (User Guide, "Alarm history"; the members as history items have them.)
fn history(
    errand: &Waiting,
    arn: &str,
    notification: &AlarmNotification,
    error: Option<&str>,
    now: Timestamp,
) -> NewItem {
    let (state, summary) = match error {
        None => ("Succeeded", format!("Successfully executed action {arn}")),
        Some(error) => ("Failed", format!("Failed to execute action {arn}. Received error: \"{error}\"")),
    };
    let message: Value = serde_json::from_str(&notification.message).unwrap_or_default();
    let mut data = json!({
        "actionState": state,
        "stateUpdateTimestamp": errand.made.as_millis(),
        "notificationResource": arn,
        "publishedMessage": { "default": message },
        "error": error,
    });
    if data.to_string().len() > 4095 {
        data["publishedMessage"] = Value::Null;
    }
    NewItem {
        scope: errand.key.scope.clone(),
        alarm: errand.key.name.clone(),
        kind: if errand.kind == "CompositeAlarm" { "CompositeAlarm" } else { "MetricAlarm" },
        time: now,
        item: ItemType::Action,
        summary,
        data,
    }
}
