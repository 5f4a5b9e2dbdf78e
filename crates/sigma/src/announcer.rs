//! Findings on their way to others: an event on a bus, a metric.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_runtime::{CrashPoint, Shutdown};
use serde_json::{Value, json};

use crate::service::Sigma;
use crate::store::StoredFinding;
use crate::{Finding, StoreError};

/// Findings handed on at once.
const AT_ONCE: usize = 100;
/// How often it is looked for findings that nobody told of.
const LOOKED_EVERY: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// The `source` of a finding as an event on a bus.
pub const EVENT_SOURCE: &str = "opentrail.sigma";
/// Its `detail-type`.
pub const EVENT_DETAIL_TYPE: &str = "Sigma Finding";
/// The namespace of the metric `Findings`, with the dimensions `Rule` and `Level`.
pub const METRIC_NAMESPACE: &str = "OpenTrail/Sigma";

/// Where findings are handed on to.
#[async_trait]
pub trait FindingSink: fmt::Debug + Send + Sync + 'static {
    /// Takes the findings, in the order in which they were found. After an error, and after a crash, the same ones come
    /// again, as the whole or the beginning of a longer list.
    ///
    /// # Errors
    /// [`NotTaken`] when they are to be offered again later.
    async fn found(&self, findings: &[StoredFinding]) -> Result<(), NotTaken>;
}

/// A sink did not take findings.
#[derive(Clone, Debug, thiserror::Error)]
#[error("findings were not taken: {reason}")]
pub struct NotTaken {
    /// Why.
    pub reason: String,
}

/// Hands findings on, each at least once.
#[derive(Debug)]
pub struct Announcer {
    sigma: Arc<Sigma>,
    sink: Arc<dyn FindingSink>,
}

impl Announcer {
    /// One that hands the findings of `sigma` on to `sink`. There may be one at a time.
    pub fn new(sigma: Arc<Sigma>, sink: Arc<dyn FindingSink>) -> Self {
        Self { sigma, sink }
    }

    /// Hands findings on until the shutdown begins. How far it came is durable.
    ///
    /// # Cancellation
    /// May be dropped at any time; what was handed on last may come again.
    pub async fn run(self, shutdown: Shutdown) {
        let mut delay = FIRST_RETRY;
        while !shutdown.has_begun() {
            let pause = match self.hand_on().await {
                Ok(AT_ONCE) => continue,
                Ok(_) => {
                    delay = FIRST_RETRY;
                    LOOKED_EVERY
                }
                Err(error) => {
                    metrics::counter!("opentrail_sigma_announce_failures_total").increment(1);
                    tracing::warn!(%error, "findings cannot be handed on and will be tried again");
                    let pause = delay;
                    delay = (delay * 2).min(LONGEST_RETRY);
                    // What is found meanwhile does not hasten the next attempt.
                    tokio::select! {
                        () = shutdown.begun() => {}
                        () = self.sigma.clock.sleep(pause) => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = self.sigma.found.notified() => {}
                () = self.sigma.clock.sleep(pause) => {}
            }
        }
    }

    /// Hands some findings on; answers how many.
    ///
    /// # Errors
    /// When the sink does not take them, or the file fails.
    pub async fn hand_on(&self) -> Result<usize, AnnounceError> {
        let findings = self.sigma.store.unannounced(AT_ONCE).await?;
        let Some(last) = findings.last() else { return Ok(0) };
        self.sink.found(&findings).await?;
        // A crash here hands them on again.
        CrashPoint::SigmaHandedOn.reach();
        self.sigma.store.announced(last.number).await?;
        Ok(findings.len())
    }
}

/// Why findings were not handed on.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The sink did not take them.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The file of findings failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Finding {
    /// The finding as the `detail` of an event on a bus, and as `ListFindings` answers it. The record is JSON where it can be
    /// read, and text where it cannot.
    pub fn detail(&self) -> Value {
        let mut detail = json!({
            "FindingId": self.id,
            "Rule": { "Id": self.rule.id, "Title": self.rule.title, "Level": self.rule.level, "Tags": self.rule.tags },
            "Time": self.time.to_iso(),
            "Account": self.account.to_string(),
            "Region": self.region,
            "EventId": self.event_id,
            "Record": serde_json::from_slice(&self.record)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.record).into_owned())),
        });
        if let Some(correlation) = &self.correlation {
            let group: Vec<Value> =
                correlation.group.iter().map(|(field, value)| json!({ "Field": field, "Value": value })).collect();
            detail["Correlation"] =
                json!({ "Group": group, "Count": correlation.count, "EventIds": correlation.events });
        }
        detail
    }
}
