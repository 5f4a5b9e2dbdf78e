use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::interleave;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties};
use futures::{TryStreamExt, stream};

use super::keys::{MOST_COLUMNS, Sames, has_keys};

/// So many groups are handed on at once: that many are found again in the processor's own memory.
const MOST_GROUPS: usize = 4096;
/// Memory that the texts of groups may hold until these are handed on.
const MOST_HELD_BYTES: usize = 16 << 20;

/// The first step of an aggregation, for whoever merges groups above: puts rows together whose group columns have the same
/// keys. Groups are handed on whenever there are many, so that one may come several times; no more memory is needed than for
/// these, whatever the rows are.
#[derive(Clone, Debug)]
pub(super) struct Grouped {
    input: Arc<dyn ExecutionPlan>,
    columns: Vec<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// That of what `aggregates` have in hand.
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl Grouped {
    /// What does the work of the aggregation faster; `None` when that is not known.
    pub(super) fn instead_of(aggregation: &AggregateExec) -> Option<Self> {
        let group_by = aggregation.group_expr();
        let input = Arc::clone(aggregation.input());
        let is_plain = *aggregation.mode() == AggregateMode::Partial
            && group_by.is_single()
            && (1..=MOST_COLUMNS).contains(&group_by.expr().len())
            && *aggregation.input_order_mode() == InputOrderMode::Linear
            && aggregation.limit_options().is_none()
            && aggregation.filter_expr().iter().all(Option::is_none);
        let aggregates = aggregation.aggr_expr().to_vec();
        let are_plain = aggregates.iter().all(|aggregate| {
            !aggregate.is_distinct() && aggregate.order_bys().is_empty() && aggregate.groups_accumulator_supported()
        });
        let columns: Vec<_> = group_by.expr().iter().map(|(column, _)| Arc::clone(column)).collect();
        let schema = input.schema();
        let have_keys = columns.iter().all(|column| column.data_type(&schema).is_ok_and(|of| has_keys(&of)));
        let (schema, properties) = (aggregation.schema(), Arc::clone(aggregation.properties()));
        (is_plain && are_plain && have_keys).then_some(Self { input, columns, aggregates, schema, properties })
    }
}

impl DisplayAs for Grouped {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grouped")
    }
}

impl ExecutionPlan for Grouped {
    fn name(&self) -> &str {
        "Grouped"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for column in &self.columns {
            if f(column)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: children.swap_remove(0), ..(*self).clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let held = MemoryConsumer::new("groups").register(context.memory_pool());
        let groups = Groups::new(self.clone(), held)?;
        let batches = stream::try_unfold((Some(input), groups), async |(mut input, mut groups)| {
            while let Some(rows) = &mut input {
                match rows.try_next().await? {
                    Some(batch) => groups.add(&batch)?,
                    None => input = None,
                }
                if groups.are_many() || input.is_none() {
                    let batch = groups.take()?;
                    return Ok(Some((batch, (input, groups))));
                }
            }
            Ok(None)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// The groups in hand.
struct Groups {
    of: Grouped,
    /// What each aggregate is of.
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    sames: Sames,
    /// The group columns of batches that groups began in; keys point there.
    began: Vec<Vec<ArrayRef>>,
    /// Where each group began: the batch and the row.
    places: Vec<(usize, usize)>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    held_bytes: usize,
    held: MemoryReservation,
    is_over: bool,
    /// Of the rows in hand.
    numbers: Vec<usize>,
}

impl Groups {
    fn new(of: Grouped, held: MemoryReservation) -> Result<Self> {
        let arguments = of.aggregates.iter().map(|aggregate| aggregate.expressions()).collect();
        let accumulators = of.accumulators()?;
        let (sames, began, places, numbers) = (Sames::new(of.columns.len()), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { of, arguments, sames, began, places, accumulators, held_bytes: 0, held, is_over: false, numbers })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let columns = self.of.columns.iter().map(|column| column.evaluate(batch)?.into_array(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let number = self.began.len();
        let known = self.places.len();
        self.sames.number(&columns, &mut self.numbers, |row| self.places.push((number, row)));
        for (accumulator, arguments) in self.accumulators.iter_mut().zip(&self.arguments) {
            let values = arguments.iter().map(|argument| argument.evaluate(batch)?.into_array(rows));
            accumulator.update_batch(&values.collect::<Result<Vec<_>>>()?, &self.numbers, None, self.places.len())?;
        }
        if self.places.len() > known {
            self.held_bytes += columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
            self.began.push(columns);
        }
        // Whoever cannot have more hands on what there is.
        let accumulated: usize = self.accumulators.iter().map(|accumulator| accumulator.size()).sum();
        self.is_over = self.held.try_resize(self.held_bytes + accumulated).is_err();
        Ok(())
    }

    /// Whether they are to be taken.
    fn are_many(&self) -> bool {
        self.is_over || self.places.len() >= MOST_GROUPS || self.held_bytes >= MOST_HELD_BYTES
    }

    /// All of them, as the schema has them. Others begin with the next rows.
    fn take(&mut self) -> Result<RecordBatch> {
        if self.places.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.of.schema)));
        }
        let mut columns = Vec::with_capacity(self.of.schema.fields().len());
        for number in 0..self.of.columns.len() {
            let began: Vec<_> = self.began.iter().map(|columns| &*columns[number]).collect();
            columns.push(interleave(&began, &self.places)?);
        }
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        self.accumulators = self.of.accumulators()?;
        self.sames.clear();
        self.began.clear();
        self.places.clear();
        (self.held_bytes, self.is_over) = (0, false);
        self.held.free();
        Ok(RecordBatch::try_new(Arc::clone(&self.of.schema), columns)?)
    }
}

impl Grouped {
    fn accumulators(&self) -> Result<Vec<Box<dyn GroupsAccumulator>>> {
        self.aggregates.iter().map(|aggregate| aggregate.create_groups_accumulator()).collect()
    }
}
