//! What holds a running query: joins that multiply rows give way to others, and stop once nobody wants their rows.
//!
//! A task ends where it yields, and a plan yields where it reads. A join whose inputs are read pairs their rows for hours
//! without reading again. So each gives way as a scan does for every batch it makes, and asks before it judges pairs whether
//! the query is still wanted: a condition that no pair meets makes no batch. So does each column that is computed, and is
//! weighed besides. Whatever reads or multiplies rows yields the processor between batches.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::sort_properties::ExprProperties;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::WindowAggExec;

use crate::functions::tally::{Room, bytes_of, exhausted};
use crate::weighed::{Above, PIECE_BYTES, Weighed};
use crate::yielding::Yielding;

/// So many joins above one another give way. Each spends a unit of what a task may do before it must yield (128 of
/// Tokio's), for every batch that passes through all of them: with more joins than units no batch would arrive.
const MOST_GIVING_WAY: usize = 32;

/// Whether a query's rows are still wanted. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leash(pub(crate) Arc<AtomicBool>);

impl Leash {
    /// Nobody wants the rows any more.
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `plan`, held by this.
    pub(crate) fn hold(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        self.hold_below(plan, 0)
    }

    /// `above` joins give way already.
    fn hold_below(&self, plan: Arc<dyn ExecutionPlan>, above: usize) -> Result<Arc<dyn ExecutionPlan>> {
        let multiplies = plan.downcast_ref::<NestedLoopJoinExec>().is_some()
            || plan.downcast_ref::<HashJoinExec>().is_some()
            || plan.downcast_ref::<CrossJoinExec>().is_some()
            || plan.downcast_ref::<UnnestExec>().is_some();
        let below = above + usize::from(multiplies);
        let children: Result<Vec<_>> =
            plan.children().into_iter().map(|child| self.hold_below(Arc::clone(child), below)).collect();
        if plan.children().is_empty() {
            return Ok(Arc::new(Yielding::new(plan)));
        }
        let plan = replace_children_if_necessary(plan, children?)?;
        let held: Arc<dyn ExecutionPlan> = if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(|filter| self.hold_filter(filter));
            Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)
        } else if let Some(join) = plan.downcast_ref::<HashJoinExec>()
            && let Some(filter) = &join.filter
        {
            Arc::new(join.builder().with_filter(Some(self.hold_filter(filter))).build()?)
        } else if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let constants = projection.expr().iter().filter_map(|column| column.expr.downcast_ref::<Literal>());
            let bytes: usize = constants.map(|constant| constant.value().size()).sum();
            let input: Arc<dyn ExecutionPlan> = match bytes {
                0..LARGE => Arc::clone(projection.input()),
                bytes => Arc::new(Weighed::new(Arc::clone(projection.input()), Above::Widens(bytes))),
            };
            Arc::new(ProjectionExec::try_new(self.hold_projection(projection), input)?)
        } else if let Some(unnest) = plan.downcast_ref::<UnnestExec>() {
            let lists = unnest.list_column_indices().iter().map(|list| list.index_in_input_schema).collect();
            let weighed = Weighed::new(Arc::clone(unnest.input()), Above::Repeats(lists));
            replace_children_if_necessary(Arc::clone(&plan), vec![Arc::new(weighed)])?
        } else if let Some(window) = plan.downcast_ref::<WindowAggExec>() {
            let weighed = Weighed::new(Arc::clone(window.input()), Above::Keeps);
            replace_children_if_necessary(Arc::clone(&plan), vec![Arc::new(weighed)])?
        } else {
            plan
        };
        let gives_way = multiplies && above < MOST_GIVING_WAY;
        let held: Arc<dyn ExecutionPlan> = if multiplies { Arc::new(Yielding::new(held)) } else { held };
        Ok(if gives_way { Arc::new(CooperativeExec::new(held)) } else { held })
    }

    /// The columns that are computed, each of which asks and is weighed.
    fn hold_projection(&self, projection: &ProjectionExec) -> Vec<ProjectionExpr> {
        let mut is_first = true;
        let mut hold = |expr: &Arc<dyn PhysicalExpr>| -> Arc<dyn PhysicalExpr> {
            if expr.downcast_ref::<Column>().is_some() {
                return Arc::clone(expr);
            }
            let weighing = if std::mem::take(&mut is_first) { Weighing::First } else { Weighing::Further };
            Arc::new(Held { leash: self.clone(), condition: Arc::clone(expr), weighing: Some(weighing) })
        };
        let exprs = projection.expr().iter();
        exprs.map(|column| ProjectionExpr { expr: hold(&column.expr), alias: column.alias.clone() }).collect()
    }

    fn hold_filter(&self, filter: &JoinFilter) -> JoinFilter {
        let condition = Held { leash: self.clone(), condition: Arc::clone(filter.expression()), weighing: None };
        JoinFilter::new(Arc::new(condition), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }
}

/// Constants of so many bytes do not stand in all rows of a batch at once.
pub(crate) const LARGE: usize = 8 << 10;

/// Bytes of all columns that are computed for a batch. A choice.
const COMPUTED_BYTES: usize = 512 << 20;

thread_local! {
    /// Those of the batch whose columns this thread computes, one right after the other.
    static COMPUTED: Cell<usize> = const { Cell::new(0) };
}

/// Which of a batch's computed columns it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weighing {
    First,
    Further,
}

impl Weighing {
    fn take(self, value: &ColumnarValue, rows: usize) -> Result<()> {
        let bytes = match value {
            ColumnarValue::Array(array) => bytes_of(array),
            ColumnarValue::Scalar(constant) => constant.size().saturating_mul(rows),
        };
        let before = if self == Self::First { 0 } else { COMPUTED.get() };
        COMPUTED.set(before.saturating_add(bytes));
        if COMPUTED.get() > COMPUTED_BYTES {
            return Err(exhausted());
        }
        match value {
            // It does not stand in all rows yet.
            ColumnarValue::Scalar(_) => Room::check(bytes),
            ColumnarValue::Array(_) if bytes >= PIECE_BYTES => Room::check(bytes),
            ColumnarValue::Array(_) => Ok(()),
        }
    }
}

/// A condition, or a column, that fails once its query is not wanted any more.
#[derive(Debug)]
struct Held {
    leash: Leash,
    condition: Arc<dyn PhysicalExpr>,
    weighing: Option<Weighing>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Held {}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl PhysicalExpr for Held {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.leash.is_cut() {
            return exec_err!("the query is not wanted any more");
        }
        let value = self.condition.evaluate(batch)?;
        if let Some(weighing) = self.weighing {
            weighing.take(&value, batch.num_rows())?;
        }
        Ok(value)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn get_properties(&self, children: &[ExprProperties]) -> Result<ExprProperties> {
        Ok(children[0].clone())
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([condition]) => Ok(Arc::new(Self { leash: self.leash.clone(), condition, weighing: self.weighing })),
            Err(others) => exec_err!("a held condition is one, not {}", others.len()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
