use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_event::EventBatch;
use opentrail_model::{Position, Timestamp};
use opentrail_projection::{Projection, ProjectionError};
use opentrail_runtime::CrashPoint;

use crate::file::Effort;
use crate::history::{Shared, blocking};
use crate::row::Row;
use crate::{HistoryError, file};

/// Folds the journal into the Event history. See [`crate::History::open`].
///
/// # Life of a row
/// `apply` puts it into memory: visible. A flush writes the rows of each day to a file, then commits the files with
/// the position they reach, then shows the files and forgets the rows in one step. A crash before the commit leaves
/// files that no commit names, and the rows come again from the journal; after it, the position says that they came.
#[derive(Debug)]
pub struct HistoryProjection {
    shared: Arc<Shared>,
    /// What the table reflects.
    flushed: Position,
    /// What table and memory reflect together.
    applied: Position,
    /// When the first entry after `flushed` was applied.
    waiting_since: Option<Timestamp>,
    /// A commit failed, and may have landed all the same.
    doubtful: bool,
}

impl HistoryProjection {
    pub(crate) fn new(shared: Arc<Shared>, position: Position) -> Self {
        Self { shared, flushed: position, applied: position, waiting_since: None, doubtful: false }
    }

    /// Reads back what the table reflects, when that is in doubt.
    async fn settle(&mut self) -> Result<(), HistoryError> {
        if self.doubtful {
            let mut table = self.shared.table.lock().await;
            table.reload().await?;
            self.flushed = self.shared.show(&table).await?;
            self.applied = self.applied.max(self.flushed);
            self.doubtful = false;
        }
        Ok(())
    }

    /// Moves memory to the table, and the table's position forward.
    async fn flush(&mut self) -> Result<(), HistoryError> {
        self.settle().await?;
        if self.applied == self.flushed {
            self.waiting_since = None;
            return Ok(());
        }
        let through = self.applied;
        let rows = self.shared.view.read().recent.all();
        let count = rows.len();
        let name = format!("flush-{}-{}", self.flushed, through);
        let dir = self.shared.dir.clone();
        // A crash in here leaves files that nothing names.
        let files = blocking(move || {
            let mut days: BTreeMap<String, Vec<Arc<Row>>> = BTreeMap::new();
            for row in rows {
                days.entry(row.day()).or_default().push(row);
            }
            let write = |(day, rows): (String, _)| file::write(&dir, &day, &name, Effort::Quick, file::batches(rows));
            days.into_iter().map(write).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        CrashPoint::HistoryWritten.reach();
        let mut table = self.shared.table.lock().await;
        self.doubtful = true;
        table.append(files.clone(), through, self.shared.clock.now()).await?;
        CrashPoint::HistoryCommitted.reach();
        // A crash from here on is one after the flush: the journal is asked for what follows `through`.
        {
            let mut view = self.shared.view.write();
            view.recent.prune(through);
            for data in files {
                self.shared.footers.trust(&data);
                view.add(data);
            }
        }
        self.doubtful = false;
        self.flushed = through;
        self.waiting_since = None;
        metrics::counter!("opentrail_history_flushed_rows_total").increment(count as u64);
        metrics::gauge!("opentrail_history_recent_rows").set(0.0);
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let options = &self.shared.options;
        let aged = self.waiting_since.is_some_and(|since| now.since(since) >= options.flush_age);
        let view = self.shared.view.read();
        aged || view.recent.rows() >= options.flush_rows || view.recent.raw_bytes() >= options.flush_bytes
    }
}

#[async_trait]
impl Projection for HistoryProjection {
    fn name(&self) -> String {
        "history".into()
    }

    async fn resume(&mut self) -> Result<Position, ProjectionError> {
        self.settle().await.map_err(failed)?;
        Ok(self.flushed)
    }

    async fn apply(&mut self, batch: &Arc<EventBatch>) -> Result<Position, ProjectionError> {
        // After an error the runner begins again at what is durable: what memory holds is not taken twice.
        if batch.through > self.applied {
            let (batch, applied, oldest) = (Arc::clone(batch), self.applied, self.shared.oldest());
            let through = batch.through;
            let (rows, offered) = blocking(move || {
                let batch = batch.since(applied);
                let rows: Vec<Row> = batch.events().filter_map(|event| Row::of(event, oldest)).collect();
                Ok((rows, batch.len()))
            })
            .await
            .map_err(failed)?;
            metrics::counter!("opentrail_history_rows_total").increment(rows.len() as u64);
            metrics::counter!("opentrail_history_skipped_records_total").increment((offered - rows.len()) as u64);
            let mut view = self.shared.view.write();
            view.recent.extend(rows);
            metrics::gauge!("opentrail_history_recent_rows").set(view.recent.rows() as f64);
            drop(view);
            self.applied = through;
            self.waiting_since.get_or_insert(self.shared.clock.now());
        }
        self.idle(self.shared.clock.now()).await
    }

    async fn idle(&mut self, now: Timestamp) -> Result<Position, ProjectionError> {
        if self.is_due(now) {
            self.flush().await.map_err(failed)?;
        }
        Ok(self.flushed)
    }

    async fn finish(&mut self) -> Result<Position, ProjectionError> {
        self.flush().await.map_err(failed)?;
        Ok(self.flushed)
    }
}

fn failed(error: HistoryError) -> ProjectionError {
    if error.is_damage() { ProjectionError::fatal(error) } else { ProjectionError::retry(error) }
}
