use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{ColumnarValue, Volatility};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, LikeExpr, Literal, NotExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::keys::Sames;

/// Fewer rows than these are judged one by one.
const LEAST_ROWS: usize = 64;

/// What a condition says of a column's texts, which it is asked once for each of them in a batch.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// The one column that it looks at.
    column: Arc<dyn PhysicalExpr>,
    /// The expression over rows that have this column only.
    judge: Arc<dyn PhysicalExpr>,
    texts: SchemaRef,
}

impl Judged {
    /// The expression over rows of this schema, with those parts judged so which look at nothing but one column's texts.
    pub(super) fn within(
        expression: Arc<dyn PhysicalExpr>,
        schema: &Schema,
    ) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
        // From above, so that the largest of nested calls is taken.
        expression.transform_down(|expression| {
            let Some(column) = only_text(&expression, schema) else { return Ok(Transformed::no(expression)) };
            let texts = Arc::new(schema.project(&[column])?);
            let name = texts.field(0).name().clone();
            let judge = expression.transform_up(|part| match part.downcast_ref::<Column>() {
                Some(_) => Ok(Transformed::yes(Arc::new(Column::new(&name, 0)) as Arc<dyn PhysicalExpr>)),
                None => Ok(Transformed::no(part)),
            });
            let (judge, column) = (judge?.data, Arc::new(Column::new(&name, column)));
            Ok(Transformed::new(Arc::new(Self { column, judge, texts }), true, TreeNodeRecursion::Jump))
        })
    }
}

/// The column of texts that a condition looks at, when it is the only one, and all else in it are constants. What is no
/// more than a comparison is as fast without: there is a call in it, or a `LIKE`.
fn only_text(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<usize> {
    // Values that are larger than the texts would be repeated, too.
    let is_condition = condition.data_type(schema).is_ok_and(|of| of == DataType::Boolean);
    let mut calls = false;
    let mut found = None;
    let looks_at_one = condition.apply(|part| {
        if let Some(column) = part.downcast_ref::<Column>() {
            let is_text = *schema.field(column.index()).data_type() == DataType::Utf8View;
            let is_it = *found.get_or_insert(column.index()) == column.index();
            return Ok(if is_text && is_it { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop });
        }
        let call = part.downcast_ref::<ScalarFunctionExpr>();
        let is_sure = call.is_none_or(|call| call.fun().signature().volatility == Volatility::Immutable);
        let is_like = part.downcast_ref::<LikeExpr>().is_some();
        calls |= is_like || call.is_some();
        let is_known =
            is_like || call.is_some() || is::<Literal>(part) || is::<BinaryExpr>(part) || is::<NotExpr>(part);
        Ok(if is_sure && is_known { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    let looks_at_one = looks_at_one.is_ok_and(|end| end == TreeNodeRecursion::Continue);
    found.filter(|_| is_condition && calls && looks_at_one)
}

fn is<E: PhysicalExpr>(part: &Arc<dyn PhysicalExpr>) -> bool {
    part.downcast_ref::<E>().is_some()
}

impl PartialEq for Judged {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.judge.eq(&other.judge)
    }
}

impl Eq for Judged {}

impl Hash for Judged {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.judge.hash(state);
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.judge.fmt(f)
    }
}

impl PhysicalExpr for Judged {
    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        self.judge.return_field(&self.texts)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let texts = self.column.evaluate(batch)?.into_array(rows)?;
        let judge = |texts| self.judge.evaluate(&RecordBatch::try_new(Arc::clone(&self.texts), vec![texts])?);
        if rows < LEAST_ROWS {
            return judge(texts);
        }
        let (mut sames, mut numbers, mut firsts) = (Sames::new(1), Vec::new(), Vec::new());
        sames.number(std::slice::from_ref(&texts), &mut numbers, |row| firsts.push(row as u32));
        if firsts.len() > rows / 2 {
            return judge(texts);
        }
        let judged = match judge(take(&texts, &UInt32Array::from(firsts), None)?)? {
            ColumnarValue::Array(judged) => judged,
            constant => return Ok(constant),
        };
        let numbers: UInt32Array = numbers.into_iter().map(|number| number as u32).collect::<Vec<_>>().into();
        Ok(ColumnarValue::Array(take(&judged, &numbers, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { column: children.swap_remove(0), ..(*self).clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.judge.fmt_sql(f)
    }
}
