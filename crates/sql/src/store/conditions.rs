//! What conditions say of files and of columns that they do not name.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::scalar::ScalarValue;
use opentrail_model::Timestamp;
use opentrail_tables::SnapshotFile;

use super::provider::{TIME, column};

/// Columns of their own with what parts of `useridentity` hold, statistics and Bloom filters included.
const IDENTITY: [(&str, &str); 2] = [("arn", "userarn"), ("accesskeyid", "accesskeyid")];

/// For each file, whether it may have rows that meet the conditions, by the times of its events.
pub(super) fn wanted(files: &[SnapshotFile], shown: &SchemaRef, conditions: &[Arc<dyn PhysicalExpr>]) -> Vec<bool> {
    let mut wanted = vec![true; files.len()];
    for condition in conditions {
        let condition = Arc::clone(condition);
        let pruned = PruningPredicateBuilder::new().with_file_schema(Arc::clone(shown)).try_build(condition);
        let pruned = pruned.and_then(|condition| condition.prune(&Times(files)));
        if let Ok(pruned) = pruned {
            wanted.iter_mut().zip(pruned).for_each(|(wanted, may)| *wanted &= may);
        }
    }
    wanted
}

/// The filters that can be judged by what is known of files. Others are judged where rows are read.
pub(super) fn physical(
    state: &dyn Session,
    schema: &SchemaRef,
    filters: &[Expr],
) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let schema = DFSchema::try_from(Arc::clone(schema))?;
    Ok(filters.iter().filter_map(|filter| state.create_physical_expr(filter.clone(), &schema).ok()).collect())
}

/// What files say of their events' times.
struct Times<'a>(&'a [SnapshotFile]);

impl Times<'_> {
    fn bound(&self, of: &Column, bound: impl Fn((Timestamp, Timestamp)) -> Timestamp) -> Option<ArrayRef> {
        let micros = |file: &SnapshotFile| file.times.map(|times| bound(times).as_millis().saturating_mul(1000));
        let bounds = || self.0.iter().map(micros).collect::<TimestampMicrosecondArray>();
        (of.name == TIME).then(|| Arc::new(bounds()) as ArrayRef)
    }
}

impl PruningStatistics for Times<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |(first, _)| first)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |(_, last)| last)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIME).then(|| Arc::new(UInt64Array::from(vec![0; self.0.len()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.0.iter().map(|file| Some(file.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Conditions upon columns of their own that follow from those upon `useridentity`: Parquet knows row groups by the one and
/// not by the other.
pub(super) fn implied(filters: &[Expr]) -> Vec<Expr> {
    filters.iter().filter_map(implied_by).collect()
}

fn implied_by(filter: &Expr) -> Option<Expr> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (implied_by(left), implied_by(right)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (left, right) => left.or(right),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(implied_by(left)?.or(implied_by(right)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            equal(left, right).or_else(|| equal(right, left))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let values: Option<Vec<Expr>> = list.iter().map(|value| text(value).cloned()).collect();
            Some(column(own_column(expr)?).in_list(values?, false))
        }
        _ => None,
    }
}

fn equal(part: &Expr, value: &Expr) -> Option<Expr> {
    Some(column(own_column(part)?).eq(text(value)?.clone()))
}

/// The column that holds what `part` is.
fn own_column(part: &Expr) -> Option<&'static str> {
    let Expr::ScalarFunction(call) = part else { return None };
    let [Expr::Column(of), Expr::Literal(name, _)] = &call.args[..] else { return None };
    let name = name.try_as_str().flatten()?;
    let is_identity = call.name() == "get_field" && of.name == "useridentity";
    IDENTITY.iter().find(|(part, _)| is_identity && *part == name).map(|(_, column)| *column)
}

/// A text that is not empty: an empty key is null in its column.
fn text(value: &Expr) -> Option<&Expr> {
    let Expr::Literal(literal, _) = value else { return None };
    literal.try_as_str().flatten().filter(|text| !text.is_empty()).map(|_| value)
}
