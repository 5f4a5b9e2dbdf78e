//! A running query and its rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;

use crate::error::RunError;
use crate::plan::Query;
use crate::statistics::{ScanStatistics, Statistics};
use crate::text::text;

/// Rows that are text at a time: a row may have a record of a quarter megabyte.
const CHUNK: usize = 256;

type Row = Vec<Option<String>>;

/// The rows of a running query.
///
/// # Cancellation
///
/// Dropping it ends the query at its next batch.
#[derive(Debug)]
pub struct Rows {
    rows: Receiver<Message>,
    task: AbortHandle,
    scanned: Arc<ScanStatistics>,
    plan: Arc<Mutex<Option<Arc<dyn ExecutionPlan>>>>,
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
        let workers = Arc::clone(&query.workers);
        let task = workers.spawn(async move {
            let last = match produce(query, &running, &sender).await {
                Ok(()) => Message::End,
                Err(error) => Message::Failed(error),
            };
            // Nobody listens to a query that was dropped.
            _ = sender.send(last).await;
        });
        Self { rows, task, scanned, plan, is_complete: false }
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
        let matched = self.plan.lock().as_ref().map_or(0, |plan| matched(plan, None));
        Statistics {
            events_scanned: self.scanned.events(),
            events_matched: matched,
            bytes_scanned: self.scanned.bytes(),
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn produce(
    query: Query,
    running: &Mutex<Option<Arc<dyn ExecutionPlan>>>,
    sender: &Sender<Message>,
) -> Result<(), RunError> {
    let plan = query.state.query_planner().create_physical_plan(&query.plan, &query.state).await?;
    *running.lock() = Some(Arc::clone(&plan));
    let mut batches = execute_stream(plan, query.state.task_ctx())?;
    while let Some(batch) = batches.try_next().await? {
        for start in (0..batch.num_rows()).step_by(CHUNK) {
            let rows = render(&batch.slice(start, CHUNK.min(batch.num_rows() - start)))?;
            if sender.send(Message::Rows(rows)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
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

/// The events that passed the filter nearest to each scan; all of them where there is none.
fn matched(plan: &Arc<dyn ExecutionPlan>, filter: Option<u64>) -> u64 {
    let rows = || plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0) as u64;
    let children = plan.children();
    if children.is_empty() {
        return filter.unwrap_or_else(rows);
    }
    // Behind a join or an aggregation the rows are no events any more.
    let filter = if plan.downcast_ref::<FilterExec>().is_some() {
        Some(rows())
    } else if children.len() == 1 && plan.maintains_input_order().len() == 1 && plan.schema() == children[0].schema() {
        filter
    } else {
        None
    };
    children.into_iter().map(|child| matched(child, filter)).sum()
}
