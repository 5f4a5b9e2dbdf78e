//! A table whose rows come from elsewhere, a page at a time, while a query reads it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use datafusion::arrow::array::{RecordBatchOptions, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;
use opentrail_model::Timestamp;

use crate::error::StatementError;
use crate::types::TIMESTAMP;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// A whole number.
    Number,
    /// A point in time.
    Time,
}

/// A value; of another kind than its column's it is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// No value.
    Null,
    /// Of a column of texts.
    Text(String),
    /// Of a column of lists.
    Texts(Vec<String>),
    /// Of a column of numbers.
    Number(i64),
    /// Of a column of times.
    Time(Timestamp),
}

/// Some rows, and where the next ones are.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// A value for each column.
    pub rows: Vec<Vec<Cell>>,
    /// What to ask for the next page with; `None` behind the last.
    pub next: Option<u64>,
}

/// Where the rows of a table come from.
#[async_trait]
pub trait Pages: fmt::Debug + Send + Sync + 'static {
    /// Names, in lower case, and kinds.
    fn columns(&self) -> &'static [(&'static str, ColumnKind)];

    /// The first page, or the one that another says is next.
    ///
    /// # Errors
    /// Why there is none, for the client. The query fails.
    async fn page(&self, at: Option<u64>) -> Result<Page, String>;
}

/// The table of `pages`, for [`Engine::plan`](crate::Engine::plan). Each scan reads it from its first page on.
///
/// # Errors
/// When two columns have one name.
pub fn paged_table(pages: Arc<dyn Pages>) -> Result<Arc<dyn TableProvider>, StatementError> {
    let fields = pages.columns().iter().map(|(name, kind)| Field::new(*name, kind.data_type(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let partition: Arc<dyn PartitionStream> = Arc::new(Partition { pages, schema: Arc::clone(&schema) });
    Ok(Arc::new(StreamingTable::try_new(schema, vec![partition])?))
}

impl ColumnKind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Texts => DataType::new_list(DataType::Utf8, true),
            Self::Number => DataType::Int64,
            Self::Time => TIMESTAMP,
        }
    }
}

#[derive(Debug)]
struct Partition {
    pages: Arc<dyn Pages>,
    schema: SchemaRef,
}

/// Which page is to be read.
enum At {
    First,
    Next(u64),
    End,
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (pages, schema) = (Arc::clone(&self.pages), Arc::clone(&self.schema));
        let batches = stream::try_unfold(At::First, move |at| {
            let (pages, schema) = (Arc::clone(&pages), Arc::clone(&schema));
            async move {
                let from = match at {
                    At::First => None,
                    At::Next(from) => Some(from),
                    At::End => return Ok(None),
                };
                let page = pages.page(from).await.map_err(DataFusionError::Execution)?;
                let batch = batch(pages.columns(), schema, page.rows)?;
                Ok(Some((batch, page.next.map_or(At::End, At::Next))))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

fn batch(
    columns: &[(&str, ColumnKind)],
    schema: SchemaRef,
    rows: Vec<Vec<Cell>>,
) -> Result<RecordBatch, DataFusionError> {
    let number = rows.len();
    let mut values: Vec<_> = rows.into_iter().map(Vec::into_iter).collect();
    let mut arrays = Vec::with_capacity(columns.len());
    for (_, kind) in columns {
        let cells = values.iter_mut().map(|row| row.next().unwrap_or(Cell::Null));
        arrays.push(array(*kind, cells));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(number));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

fn array(kind: ColumnKind, cells: impl Iterator<Item = Cell>) -> ArrayRef {
    match kind {
        ColumnKind::Text => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
            Cell::Text(text) => Some(text),
            _ => None,
        }))),
        ColumnKind::Texts => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                match cell {
                    Cell::Texts(texts) => lists.append_value(texts.into_iter().map(Some)),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
        ColumnKind::Number => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
            Cell::Number(number) => Some(number),
            _ => None,
        }))),
        ColumnKind::Time => Arc::new(TimestampMicrosecondArray::from_iter(cells.map(|cell| match cell {
            Cell::Time(time) => Some(time.as_millis().saturating_mul(1000)),
            _ => None,
        }))),
    }
}
