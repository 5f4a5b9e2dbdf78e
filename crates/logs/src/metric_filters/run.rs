//! Following, evaluating, folding.
//!
//! The sink's position is twice the sequence number of the last chunk that was evaluated, and one more once the minute of that
//! chunk is closed and its defaults are reported: so defaults too are folded exactly once, with no event behind them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::{CrashPoint, Shutdown};
use tokio::sync::watch;

use super::compiled::GroupFilters;
use super::evaluator::Evaluator;
use super::sink::{MetricDatum, MetricSink};
use crate::error::LogsError;
use crate::follow::{Chunk, Follower};
use crate::service::{Logs, aside};
use crate::store::to_i64;

/// The name by which the sink and [`Logs::hold`] know it.
const SOURCE: &str = "metric-filters";
/// How long it waits before it tries again what failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A position without data is folded this often at most.
const QUIET: Duration = Duration::from_secs(10);
/// A minute is closed this long after its end, so that what came in its last moment is committed.
const GRACE_MILLIS: i64 = 1000;
/// Filters of this many groups stay compiled.
const MOST_GROUPS: usize = 1000;

/// Evaluates metric filters; [`Self::run`] it.
#[derive(Debug)]
pub struct MetricFilters {
    logs: Logs,
    changed: watch::Receiver<u64>,
    groups: HashMap<i64, Arc<GroupFilters>>,
    evaluator: Evaluator,
    /// Of the last fold.
    folded: Timestamp,
}

impl MetricFilters {
    /// An evaluator of the metric filters of `logs`. From now on no chunk is merged that it has not seen.
    pub fn new(logs: Logs) -> Self {
        logs.hold(SOURCE, 0);
        let changed = logs.shared.filters.subscribe();
        let evaluator = Evaluator::default();
        Self { logs, changed, groups: HashMap::new(), evaluator, folded: Timestamp::EPOCH }
    }

    /// Evaluates what is committed until the shutdown begins. What fails is logged and tried again.
    ///
    /// # Errors
    /// None.
    pub async fn run(mut self, sink: Arc<dyn MetricSink>, shutdown: Shutdown) -> Result<(), Infallible> {
        tokio::select! {
            () = shutdown.begun() => {}
            () = self.evaluate(&*sink) => {}
        }
        Ok(())
    }

    async fn evaluate(&mut self, sink: &dyn MetricSink) {
        loop {
            // Whatever fails, the sink knows how far it is, and evaluation begins there again.
            if let Err(error) = self.follow(sink).await {
                tracing::warn!(%error, "metric filters could not be evaluated; trying again");
                self.evaluator = Evaluator::default();
            }
            self.logs.shared.clock.sleep(PAUSE).await;
        }
    }

    async fn follow(&mut self, sink: &dyn MetricSink) -> Result<(), LogsError> {
        let position = sink.position(SOURCE).await.map_err(|error| LogsError::Unavailable(error.to_string()))?;
        let after = position / 2;
        self.logs.hold(SOURCE, after);
        self.warm_up(after, position % 2 == 1).await?;
        let mut follower = self.logs.follow(after);
        loop {
            let clock = Arc::clone(&self.logs.shared.clock);
            let end = self.evaluator.waits_until().map(|end| Timestamp::from_millis(end + GRACE_MILLIS));
            tokio::select! {
                chunks = follower.next() => self.fold_chunks(sink, chunks?, &follower).await?,
                () = async { match end { Some(end) => clock.sleep_until(end).await, None => std::future::pending().await } } => {
                    let defaults = self.evaluator.close();
                    self.fold(sink, follower.position() * 2 + 1, defaults).await?;
                }
            }
        }
    }

    async fn fold_chunks(
        &mut self,
        sink: &dyn MetricSink,
        chunks: Vec<Arc<Chunk>>,
        follower: &Follower,
    ) -> Result<(), LogsError> {
        let data = self.sums(chunks).await?;
        let quiet = self.logs.shared.clock.now().since(self.folded) < QUIET;
        if data.is_empty() && quiet {
            return Ok(());
        }
        self.fold(sink, follower.position() * 2, data).await
    }

    /// What `chunks` come to.
    async fn sums(&mut self, chunks: Vec<Arc<Chunk>>) -> Result<Vec<MetricDatum>, LogsError> {
        let mut work = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let filters = self.filters(chunk.group_id).await?;
            work.push((chunk, filters));
        }
        let mut evaluator = std::mem::take(&mut self.evaluator);
        let (evaluator, data) = aside(move || {
            let mut data = Vec::new();
            for (chunk, filters) in work {
                if filters.filters.is_empty() {
                    data.extend(evaluator.come_to(chunk.ingested));
                } else {
                    data.extend(evaluator.chunk(&chunk, &filters));
                }
            }
            data.extend(evaluator.take());
            Ok((evaluator, data))
        })
        .await?;
        self.evaluator = evaluator;
        Ok(data)
    }

    async fn fold(&mut self, sink: &dyn MetricSink, position: u64, data: Vec<MetricDatum>) -> Result<(), LogsError> {
        metrics::counter!("opentrail_logs_metric_data_total").increment(data.len() as u64);
        CrashPoint::LogsCounted.reach();
        sink.fold(SOURCE, position, data).await.map_err(|error| LogsError::Unavailable(error.to_string()))?;
        self.folded = self.logs.shared.clock.now();
        self.logs.hold(SOURCE, position / 2);
        let behind = self.logs.shared.last.borrow().saturating_sub(position / 2);
        metrics::gauge!("opentrail_logs_metric_filters_behind_chunks").set(behind as f64);
        Ok(())
    }

    /// The filters of a group, as of the last change of any filter.
    async fn filters(&mut self, group: i64) -> Result<Arc<GroupFilters>, LogsError> {
        if self.changed.has_changed().unwrap_or(false) {
            self.changed.mark_unchanged();
            self.groups.clear();
        }
        if let Some(filters) = self.groups.get(&group) {
            return Ok(Arc::clone(filters));
        }
        if self.groups.len() >= MOST_GROUPS {
            self.groups.clear();
        }
        let versions = self.logs.shared.store.filter_versions(group).await?;
        let filters = aside(move || Ok(Arc::new(GroupFilters::new(versions)))).await?;
        self.groups.insert(group, Arc::clone(&filters));
        Ok(filters)
    }

    /// Finds out again what a process before this one knew of the minute in which the last chunk came in.
    async fn warm_up(&mut self, after: u64, closed: bool) -> Result<(), LogsError> {
        self.evaluator = Evaluator::default();
        let pool = self.logs.shared.store.pool();
        let ingested: Option<i64> =
            sqlx::query_scalar("SELECT ingested FROM chunk WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1")
                .bind(to_i64(after))
                .fetch_optional(pool)
                .await?;
        let Some(ingested) = ingested else { return Ok(()) };
        if closed {
            self.evaluator.was_closed(ingested);
            return Ok(());
        }
        let minute = ingested.div_euclid(60_000) * 60_000;
        let before: Option<i64> = sqlx::query_scalar(
            "SELECT sequence FROM chunk WHERE sequence <= ? AND ingested < ? ORDER BY sequence DESC LIMIT 1",
        )
        .bind(to_i64(after))
        .bind(minute)
        .fetch_optional(pool)
        .await?;
        let mut follower = self.logs.follow(before.map_or(0, |sequence| u64::try_from(sequence).unwrap_or_default()));
        while follower.position() < after {
            let chunks = follower.next_of_now().await?;
            if chunks.is_empty() {
                break;
            }
            let seen: Vec<_> = chunks.into_iter().filter(|chunk| chunk.sequence <= after).collect();
            // What they come to was folded before.
            self.sums(seen).await?;
        }
        Ok(())
    }
}
