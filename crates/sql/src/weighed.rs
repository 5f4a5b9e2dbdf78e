//! What stands below operators that hold or multiply rows without an account of their own.
//!
//! A window over all rows keeps them; an `UNNEST` repeats the rest of a row beside each item.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use crate::functions::tally::{CALL_BYTES, bytes_of, exhausted};

/// What a window makes of each row besides: its value, in a vector that doubles as it grows, and then in a column.
const ROW_BYTES: usize = 200;

/// Batches that a window keeps, and joins to one.
const COPIES: usize = 2;

/// Rows come so many bytes at a time, about, once they are repeated or widened: several operators hold some each. A choice.
pub(crate) const PIECE_BYTES: usize = 8 << 20;

/// The rows of `input`, weighed for the operator above.
#[derive(Debug)]
pub(crate) struct Weighed {
    input: Arc<dyn ExecutionPlan>,
    above: Above,
    properties: Arc<PlanProperties>,
}

/// What is above.
#[derive(Clone, Debug)]
pub(crate) enum Above {
    /// It keeps every batch: what they take is the query's memory.
    Keeps,
    /// It repeats a row for each item of these columns: only so many rows come at once that the result is bounded.
    Repeats(Arc<[usize]>),
    /// It adds constants of so many bytes to each row: only so many rows come at once that these are bounded.
    Widens(usize),
}

impl Weighed {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, above: Above) -> Self {
        let properties = Arc::clone(input.properties());
        Self { input, above, properties }
    }
}

impl DisplayAs for Weighed {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weighed")
    }
}

impl ExecutionPlan for Weighed {
    fn name(&self) -> &str {
        "Weighed"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.above.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let schema = self.input.schema();
        Ok(match &self.above {
            Above::Keeps => {
                // Given back with the stream, which whoever keeps the rows keeps as long.
                let kept = MemoryConsumer::new("rows of a window").register(context.memory_pool());
                let weighed = input.and_then(move |batch| {
                    let fits = kept.try_grow(batch.get_array_memory_size() * COPIES + batch.num_rows() * ROW_BYTES);
                    std::future::ready(fits.map(|()| batch))
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, weighed))
            }
            Above::Widens(bytes) => {
                let rows = (PIECE_BYTES / bytes.max(&1)).max(1);
                let slices = input.flat_map(move |batch| {
                    let slices: Vec<Result<RecordBatch>> = match batch {
                        Ok(batch) if batch.num_rows() > rows => {
                            let slice = |from: usize| Ok(batch.slice(from, rows.min(batch.num_rows() - from)));
                            (0..batch.num_rows()).step_by(rows).map(slice).collect()
                        }
                        batch => vec![batch],
                    };
                    stream::iter(slices)
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, slices))
            }
            Above::Repeats(lists) => {
                let lists = Arc::clone(lists);
                let parts = input.flat_map(move |batch| {
                    let parts: Vec<Result<RecordBatch>> = match batch.and_then(|batch| parts(&batch, &lists)) {
                        Ok(parts) => parts.into_iter().map(Ok).collect(),
                        Err(error) => vec![Err(error)],
                    };
                    stream::iter(parts)
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, parts))
            }
        })
    }
}

/// The batch in pieces that are at most so large once each row is repeated for the items of its lists.
fn parts(batch: &RecordBatch, lists: &[usize]) -> Result<Vec<RecordBatch>> {
    let of_row = |row: usize| lists.iter().map(|list| items(batch.column(*list), row)).max().unwrap_or_default();
    let most = (0..batch.num_rows()).map(of_row).max().unwrap_or_default();
    let others = batch.columns().iter().enumerate().filter(|(column, _)| !lists.contains(column));
    let repeated = others.map(|(_, column)| bytes_of(column)).sum::<usize>().saturating_mul(most);
    match batch.num_rows() {
        _ if repeated <= PIECE_BYTES => Ok(vec![batch.clone()]),
        0 | 1 if repeated <= CALL_BYTES => Ok(vec![batch.clone()]),
        0 | 1 => Err(exhausted()),
        rows => {
            let mut halves = parts(&batch.slice(0, rows / 2), lists)?;
            halves.extend(parts(&batch.slice(rows / 2, rows - rows / 2), lists)?);
            Ok(halves)
        }
    }
}

/// How many items the list in this row has.
fn items(of: &ArrayRef, row: usize) -> usize {
    if of.is_null(row) {
        return 0;
    }
    match of.data_type() {
        DataType::List(_) => of.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => of.as_list::<i64>().value_length(row) as usize,
        DataType::FixedSizeList(_, length) => *length as usize,
        _ => 1,
    }
}
