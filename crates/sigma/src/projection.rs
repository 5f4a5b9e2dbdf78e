//! The rules along the journal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_event::EventBatch;
use opentrail_model::{Position, Timestamp};
use opentrail_projection::{Projection, ProjectionError};

use crate::service::{Settings, Sigma};
use crate::store::Save;
use crate::{Finding, StoreError};

/// How long what correlations have seen, or the position alone, is not saved.
const SAVED_EVERY: Duration = Duration::from_secs(5);
/// Groups that changed, after which they are saved.
const MOST_CHANGES: usize = 2_000;
/// Entries that are looked at again at most after a crash where nothing was found.
const MOST_UNSAVED: u64 = 100_000;
/// How often findings are given up that are too old or too many.
const SWEPT_EVERY: Duration = Duration::from_secs(600);

/// Runs the rules over the feed. Findings are saved with the position as soon as there are any; while there are none, the
/// position is saved seldom, and looked at again from there after a crash.
#[derive(Debug)]
pub struct SigmaProjection {
    sigma: Arc<Sigma>,
    read: Position,
    saved: Position,
    saved_at: Timestamp,
    swept_at: Option<Timestamp>,
}

impl SigmaProjection {
    /// One for the rules and findings of `sigma`. There may be one at a time.
    pub fn new(sigma: Arc<Sigma>) -> Self {
        Self { sigma, read: Position::START, saved: Position::START, saved_at: Timestamp::EPOCH, swept_at: None }
    }

    async fn save(&mut self, findings: &[Finding], now: Timestamp) -> Result<(), ProjectionError> {
        let groups = self.sigma.accounts.lock().take_changes();
        let save = Save { position: self.read, now, findings, groups: &groups };
        let new = self.sigma.store.save(save).await.map_err(failed)?;
        (self.saved, self.saved_at) = (self.read, now);
        if new > 0 {
            for finding in findings {
                metrics::counter!("opentrail_sigma_findings_total", "level" => finding.rule.level.as_str())
                    .increment(1);
            }
            self.sigma.found.notify_one();
        }
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let changes = self.sigma.accounts.lock().changes();
        changes > MOST_CHANGES
            || self.read.0.saturating_sub(self.saved.0) > MOST_UNSAVED
            || (self.read > self.saved && now.since(self.saved_at) >= SAVED_EVERY)
    }

    /// Gives up findings that are too old or too many, a few at a time.
    async fn sweep(&mut self, now: Timestamp) -> Result<(), ProjectionError> {
        if self.swept_at.is_some_and(|swept| now.since(swept) < SWEPT_EVERY) {
            return Ok(());
        }
        let Settings { retention, most_findings, most_bytes } = self.sigma.settings;
        let age = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(age));
        let given_up = self.sigma.store.give_up(before, most_findings, most_bytes).await.map_err(failed)?;
        metrics::counter!("opentrail_sigma_findings_given_up_total").increment(given_up);
        if given_up == 0 {
            self.swept_at = Some(now);
        }
        Ok(())
    }
}

fn failed(error: StoreError) -> ProjectionError {
    match error {
        StoreError::Unavailable { .. } => ProjectionError::retry(error),
        StoreError::Malformed { .. } => ProjectionError::fatal(error),
    }
}

#[async_trait]
impl Projection for SigmaProjection {
    fn name(&self) -> String {
        "sigma".to_owned()
    }

    async fn resume(&mut self) -> Result<Position, ProjectionError> {
        let sigma = Arc::clone(&self.sigma);
        let _turn = sigma.turn.lock().await;
        self.read = sigma.restore().await.map_err(failed)?;
        (self.saved, self.saved_at) = (self.read, sigma.clock.now());
        Ok(self.saved)
    }

    async fn apply(&mut self, batch: &Arc<EventBatch>) -> Result<Position, ProjectionError> {
        let sigma = Arc::clone(&self.sigma);
        let mut next = Some(0);
        while let Some(from) = next {
            // Rules change between two looks, never during one.
            let _turn = sigma.turn.lock().await;
            if sigma.stale.load(Ordering::SeqCst) {
                return Err(ProjectionError::retry("a change of rules was broken off"));
            }
            let (accounts, batch) = (Arc::clone(&sigma.accounts), Arc::clone(batch));
            let folding = tokio::task::spawn_blocking(move || accounts.lock().fold(&batch, from));
            let folded = folding.await.map_err(ProjectionError::retry)?;
            (self.read, next) = (folded.position, folded.next);
            sigma.reached.send_replace(self.read);
            let now = sigma.clock.now();
            if !folded.findings.is_empty() || self.is_due(now) {
                self.save(&folded.findings, now).await?;
            }
            self.sweep(now).await?;
        }
        Ok(self.saved)
    }

    async fn idle(&mut self, now: Timestamp) -> Result<Position, ProjectionError> {
        let sigma = Arc::clone(&self.sigma);
        let _turn = sigma.turn.lock().await;
        if self.is_due(now) {
            self.save(&[], now).await?;
        }
        self.sweep(now).await?;
        Ok(self.saved)
    }

    async fn finish(&mut self) -> Result<Position, ProjectionError> {
        let sigma = Arc::clone(&self.sigma);
        let _turn = sigma.turn.lock().await;
        if self.read > self.saved {
            self.save(&[], sigma.clock.now()).await?;
        }
        Ok(self.saved)
    }
}
