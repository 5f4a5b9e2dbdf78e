use arrow_array::RecordBatch;
use opentrail_model::Position;

/// A store's rows that its table does not hold yet.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Rows, and the position of the last.
    batches: Vec<(Position, RecordBatch)>,
    rows: usize,
    size_bytes: usize,
}

impl Recent {
    pub(crate) fn push(&mut self, through: Position, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.size_bytes += batch.get_array_memory_size();
        self.batches.push((through, batch));
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn all(&self) -> Vec<RecordBatch> {
        self.batches.iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// Forgets what the table holds.
    pub(crate) fn prune(&mut self, through: Position) {
        self.batches.retain(|(last, _)| *last > through);
        self.rows = self.batches.iter().map(|(_, batch)| batch.num_rows()).sum();
        self.size_bytes = self.batches.iter().map(|(_, batch)| batch.get_array_memory_size()).sum();
    }
}
