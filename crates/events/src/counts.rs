//! What rules and their targets did, counted for CloudWatch. (EventBridge User Guide, "Monitoring Amazon EventBridge".)

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_model::{AccountId, Region};
use opentrail_runtime::{Clock, Shutdown};
use parking_lot::Mutex;
use tracing::warn;

use crate::place::RulePlace;

/// How often counts are handed on. What was counted since is lost when the process is killed.
const EVERY: Duration = Duration::from_secs(10);

/// What is counted, by the names that CloudWatch has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Metric {
    /// A target took an event, or was given up.
    Invocations,
    /// An event was given up for a target.
    FailedInvocations,
    /// What was given up is in the dead-letter queue.
    InvocationsSentToDlq,
    /// What was given up is not in the dead-letter queue either, and lost.
    InvocationsFailedToBeSentToDlq,
    /// A target is tried again.
    RetryInvocationAttempts,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::Invocations => "Invocations",
            Self::FailedInvocations => "FailedInvocations",
            Self::InvocationsSentToDlq => "InvocationsSentToDlq",
            Self::InvocationsFailedToBeSentToDlq => "InvocationsFailedToBeSentToDlq",
            Self::RetryInvocationAttempts => "RetryInvocationAttempts",
        }
    }
}

/// What a rule did in the last while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// Whose rule.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// Its bus.
    pub bus: String,
    /// Its name.
    pub rule: String,
    /// What is counted, e.g. `FailedInvocations`.
    pub metric: &'static str,
    /// How many.
    pub count: u64,
}

/// Where counts go.
#[async_trait]
pub trait RuleMetrics: fmt::Debug + Send + Sync + 'static {
    /// Keeps counts of just now.
    ///
    /// # Errors
    /// Why they are not kept. They are not offered again.
    async fn keep(&self, counts: Vec<RuleCount>) -> Result<(), String>;
}

/// Counts that nobody has taken yet, by rule.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: Mutex<HashMap<(String, Metric), u64>>,
}

impl Counts {
    pub(crate) fn add(&self, rule: &str, metric: Metric, count: u64) {
        *self.open.lock().entry((rule.to_owned(), metric)).or_default() += count;
    }

    /// Takes what there is, in the order of accounts, rules and names.
    pub(crate) fn take(&self) -> Vec<RuleCount> {
        let taken = std::mem::take(&mut *self.open.lock());
        let count = |((arn, metric), count): ((String, Metric), u64)| {
            let RulePlace { bus, name } = RulePlace::parse(&arn)?;
            let metric = metric.name();
            Some(RuleCount { account: bus.account, region: bus.region, bus: bus.name, rule: name, metric, count })
        };
        let mut counts: Vec<RuleCount> = taken.into_iter().filter_map(count).collect();
        counts.sort_by(|a, b| (a.account, &a.bus, &a.rule, a.metric).cmp(&(b.account, &b.bus, &b.rule, b.metric)));
        counts
    }

    /// Hands counts on every ten seconds, and what is left at the shutdown.
    pub(crate) async fn hand_on(&self, metrics: Arc<dyn RuleMetrics>, clock: Arc<dyn Clock>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.begun() => {}
                () = clock.sleep(EVERY) => {}
            }
            let counts = self.take();
            if !counts.is_empty()
                && let Err(reason) = metrics.keep(counts).await
            {
                warn!(reason, "what rules did is missing from their metrics");
            }
            if shutdown.has_begun() {
                return;
            }
        }
    }
}
