//! Files of older layouts, until the upkeep has rewritten them: what they lack is made of their records.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use opentrail_tables::{Snapshot, SnapshotFile, TableError};
use tokio::sync::mpsc::Sender;

use super::provider::{kept_rows, retyped};
use crate::statistics::ScanStatistics;

/// Rows decoded at once: a record may have a megabyte.
const ROWS: usize = 256;

/// A file of an older layout.
#[derive(Clone, Debug)]
pub(super) struct Older {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) file: SnapshotFile,
    pub(super) stored: SchemaRef,
    pub(super) oldest: Option<i64>,
    pub(super) statistics: Option<Arc<ScanStatistics>>,
}

impl PartitionStream for Older {
    fn schema(&self) -> &SchemaRef {
        &self.stored
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.stored), 2);
        let (file, sender) = (self.clone(), stream.tx());
        stream.spawn(async move {
            let rows = file.file.rows(ROWS).await.map_err(|error| file.failed(error))?;
            let read = tokio::task::spawn_blocking(move || file.read(rows, &sender)).await;
            read.map_err(|panic| DataFusionError::External(Box::new(panic)))?
        });
        stream.build()
    }
}

impl Older {
    fn failed(&self, error: TableError) -> DataFusionError {
        if let (TableError::Key(refusal), Some(statistics)) = (&error, &self.statistics) {
            statistics.refuse(refusal.to_string());
        }
        DataFusionError::Execution(format!("file {}: {error}", self.file.path.display()))
    }

    /// Reads until nobody wants more.
    fn read(
        &self,
        reader: ParquetRecordBatchReader,
        sender: &Sender<Result<datafusion::arrow::array::RecordBatch>>,
    ) -> Result<()> {
        let path = &self.file.path;
        let failed =
            |error: &dyn std::fmt::Display| DataFusionError::Execution(format!("file {}: {error}", path.display()));
        if let Some(statistics) = &self.statistics {
            statistics.add(self.file.rows, self.file.size_bytes);
        }
        for rows in reader {
            let rows = rows
                .and_then(|rows| self.snapshot.upgraded(&rows))
                .and_then(|rows| retyped(&rows, &self.stored))
                .and_then(|rows| kept_rows(&rows, self.oldest))
                .map_err(|error| failed(&error))?;
            if sender.blocking_send(Ok(rows)).is_err() {
                break;
            }
        }
        Ok(())
    }
}
