//! Values that repeat, told by where they lie.
//!
//! A Parquet file keeps each of a column's texts once, as a rule, and rows as numbers of them; read as views, rows of the
//! same value point to the same bytes. Whether two rows have the same value is then known without looking at it: a text is
//! judged once ([`Judged`]), and rows are counted together before anybody looks at what they have in common ([`Grouped`]).
//! Views that point elsewhere may still be the same text, so that nothing here says that two values differ.
//!
//! [`exploit`] puts both into a plan.

mod groups;
mod keys;
mod texts;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

use self::groups::Grouped;
use self::texts::Judged;

/// The plan, with what is faster where values repeat.
pub(crate) fn exploit(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let node = |plan: Arc<dyn ExecutionPlan>| {
        if let Some(grouped) = plan.downcast_ref::<AggregateExec>().and_then(Grouped::instead_of) {
            return Ok(Transformed::yes(Arc::new(grouped) as Arc<dyn ExecutionPlan>));
        }
        let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
        let judged = Judged::within(Arc::clone(filter.predicate()), &filter.input().schema())?;
        if !judged.transformed {
            return Ok(Transformed::no(plan));
        }
        let filter = FilterExecBuilder::from(filter).with_predicate(judged.data).build()?;
        Ok(Transformed::yes(Arc::new(filter) as Arc<dyn ExecutionPlan>))
    };
    Ok(plan.transform_up(node)?.data)
}

#[cfg(test)]
mod tests;
