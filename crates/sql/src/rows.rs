//! A running query and its rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;

use crate::error::RunError;
use crate::functions::tally::bytes_of;
use crate::leash::{LARGE, Leash};
use crate::plan::Query;
use crate::repeats;
use crate::statistics::{ScanStatistics, Statistics};
use crate::text::text;
use crate::weighed::PIECE_BYTES;
use crate::yielding::Yielding;

/// Rows that are text at a time: a row may have a record of a quarter megabyte.
const CHUNK: usize = 256;

/// Bytes that become text at a time, about: a row may have far more.
const CHUNK_BYTES: usize = 32 << 20;

type Row = Vec<Option<String>>;

/// The rows of a running query.
///
/// # Cancellation
///
/// Dropping it ends the query at its next batch.
#[derive(Debug)]
pub struct Rows {
    rows: Receiver<Message>,
    task: Option<AbortHandle>,
    scanned: Arc<ScanStatistics>,
    plan: Arc<Mutex<Option<Arc<dyn ExecutionPlan>>>>,
    leash: Leash,
    is_complete: bool,
}

#[derive(Debug)]
enum Message {
    Rows(Vec<Row>),
    Failed(RunError),
    End,
}

impl Rows {
    pub(crate) fn start(query: Query) -> Self {
        // One chunk waits while the next is made: the query goes as fast as its reader.
        let (sender, rows) = mpsc::channel(1);
        let scanned = Arc::clone(&query.statistics);
        let plan = Arc::new(Mutex::new(None));
        let running = Arc::clone(&plan);
        let crews = Arc::clone(&query.crews);
        let leash = Leash::default();
        let (held, read) = (leash.clone(), Arc::clone(&scanned));
        let refused = sender.clone();
        let task = crews.spawn(async move {
            let last = match produce(query, &held, &running, &sender).await {
                Ok(()) => Message::End,
                Err(error) => {
                    let refusal = read.refusal().map(|why| RunError::Failed(why.to_owned()));
                    Message::Failed(refusal.unwrap_or(error))
                }
            };
            // Nobody listens to a query that was dropped.
            _ = sender.send(last).await;
        });
        let task = task.inspect_err(|error| {
            // The channel is empty.
            _ = refused.try_send(Message::Failed(RunError::Internal(format!("no threads: {error}"))));
        });
        let task = task.ok();
        Self { rows, task, scanned, plan, leash, is_complete: false }
    }

    /// Some more rows as Lake's text forms, a value per column, `None` for NULL; `None` after the last.
    ///
    /// # Errors
    ///
    /// When the query fails; it has no more rows then.
    ///
    /// # Cancellation
    ///
    /// Safe: no row is lost.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, RunError> {
        if self.is_complete {
            return Ok(None);
        }
        match self.rows.recv().await {
            Some(Message::Rows(rows)) => Ok(Some(rows)),
            Some(Message::End) => {
                self.is_complete = true;
                Ok(None)
            }
            Some(Message::Failed(error)) => {
                self.is_complete = true;
                Err(error)
            }
            None => {
                self.is_complete = true;
                Err(RunError::Internal("the query's task ended early".to_owned()))
            }
        }
    }

    /// What it has read so far.
    pub fn statistics(&self) -> Statistics {
        let matched = self.plan.lock().as_ref().map_or(0, matched);
        Statistics {
            events_scanned: self.scanned.events(),
            events_matched: matched,
            bytes_scanned: self.scanned.bytes(),
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.leash.cut();
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn produce(
    mut query: Query,
    leash: &Leash,
    running: &Mutex<Option<Arc<dyn ExecutionPlan>>>,
    sender: &Sender<Message>,
) -> Result<(), RunError> {
    let config = std::mem::take(query.state.config_mut());
    let rows = rows_at_a_time(&query.plan)?.min(config.batch_size());
    *query.state.config_mut() = config.with_batch_size(rows);
    let plan = query.state.query_planner().create_physical_plan(&query.plan, &query.state).await?;
    let plan = leash.hold(repeats::exploit(plan)?)?;
    *running.lock() = Some(Arc::clone(&plan));
    let mut batches = execute_stream(plan, query.state.task_ctx())?;
    while let Some(batch) = batches.try_next().await? {
        let bytes: usize = batch.columns().iter().map(|column| bytes_of(column)).sum();
        let chunk = (CHUNK_BYTES / (bytes / batch.num_rows().max(1)).max(1)).clamp(1, CHUNK);
        for start in (0..batch.num_rows()).step_by(chunk) {
            let rows = render(&batch.slice(start, chunk.min(batch.num_rows() - start)))?;
            if sender.send(Message::Rows(rows)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// So many that large constants, beside all of them at once, stay small: operators fill batches up to this number.
fn rows_at_a_time(plan: &LogicalPlan) -> Result<usize, RunError> {
    let mut bytes = 0_usize;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(constant, _) = part
                    && constant.size() >= LARGE
                {
                    bytes = bytes.saturating_add(constant.size());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok((PIECE_BYTES / bytes.max(1)).max(1))
}

fn render(batch: &RecordBatch) -> Result<Vec<Row>, RunError> {
    let plain = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, value) => cast(column, value),
        _ => Ok(Arc::clone(column)),
    };
    let columns = batch.columns().iter().map(plain).collect::<Result<Vec<_>, _>>();
    let columns = columns.map_err(|error| RunError::Internal(error.to_string()))?;
    let row = |row| columns.iter().map(|column| text(column, row)).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The events that passed the conditions upon the scans: of each scan what the filter above it let through, or all of it.
fn matched(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let children = plan.children();
    let is_last = children.is_empty() || plan.downcast_ref::<FilterExec>().is_some() && has_events(children[0]);
    if is_last { rows_of(plan) } else { children.into_iter().map(matched).sum() }
}

/// Whether the plan's rows are events of scans: behind a join or an aggregation they are not.
fn has_events(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let children = plan.children();
    let passes = children.is_empty()
        || plan.downcast_ref::<FilterExec>().is_some()
        || plan.downcast_ref::<ProjectionExec>().is_some()
        || plan.downcast_ref::<UnionExec>().is_some()
        || plan.downcast_ref::<RepartitionExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan.downcast_ref::<CooperativeExec>().is_some()
        || plan.downcast_ref::<Yielding>().is_some();
    passes && children.into_iter().all(has_events)
}

/// How many rows the plan has given so far; all of them where it counts none, as for rows in memory.
fn rows_of(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let counted = plan.metrics().and_then(|metrics| metrics.output_rows());
    let known = || match StatisticsContext::new().compute(&**plan, &StatisticsArgs::new()).ok()?.num_rows {
        Precision::Exact(rows) => Some(rows),
        _ => None,
    };
    counted.or_else(known).unwrap_or_default() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use opentrail_model::Timestamp;

    use super::*;
    use crate::{Engine, EngineOptions, Statement};

    /// Whatever a query computes, others have threads of their own; and it ends once nobody wants its rows.
    #[tokio::test]
    async fn an_endless_query_keeps_nobody_waiting_and_ends_when_it_is_dropped() {
        let numbers = "UNNEST(sequence(1, 10000))";
        let spill = tempfile::tempdir().unwrap();
        let options = EngineOptions {
            memory_bytes: 1 << 30,
            spill_directory: spill.path().to_owned(),
            spill_bytes: 0,
            threads: 1,
            process_bytes: usize::MAX,
            in_use: || 0,
        };
        let engine = Engine::new(&options).unwrap();
        let run = |sql: &str| {
            let statement = Statement::parse(sql).unwrap();
            engine.plan(&statement, BTreeMap::new(), Timestamp::EPOCH).unwrap().run()
        };
        for endless in [
            // A nested loop, whose condition no pair meets.
            format!(
                "SELECT count(*) FROM {numbers} a(x), {numbers} b(y), {numbers} c(z), {numbers} d(w) WHERE x + y + z + w < 0"
            ),
            // Pairs without a condition.
            format!("SELECT sum(x * y) FROM {numbers} a(x), {numbers} b(y), {numbers} c(z), {numbers} d(w)"),
            // A hash join of one key, whose condition no pair meets.
            format!(
                "SELECT count(*) FROM (SELECT x, x % 1 AS k FROM {numbers} a(x) CROSS JOIN {numbers} c(z)) a \
                 JOIN (SELECT y, y % 1 AS k FROM {numbers} b(y) CROSS JOIN {numbers} d(w)) b ON a.k = b.k AND a.x + b.y < 0"
            ),
            // The same with all pairs.
            format!(
                "SELECT sum(x * y) FROM (SELECT x, x % 1 AS k FROM {numbers} a(x)) a \
                 JOIN (SELECT y, y % 1 AS k FROM {numbers} b(y) CROSS JOIN {numbers} d(w)) b ON a.k = b.k"
            ),
        ] {
            let mut rows = run(&endless);
            assert!(tokio::time::timeout(Duration::from_millis(500), rows.next()).await.is_err(), "{endless}");
            let ran = tokio::time::timeout(Duration::from_secs(20), run("SELECT 1").next()).await;
            assert_eq!(ran.expect(&endless).unwrap().map(|rows| rows.len()), Some(1));
            let held = Arc::downgrade(&rows.leash.0);
            drop(rows);
            let ended = async {
                while held.strong_count() > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), ended).await.expect(&endless);
        }
    }
}
