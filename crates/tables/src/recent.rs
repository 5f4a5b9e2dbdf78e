use arrow_array::RecordBatch;
use opentrail_model::Position;

/// So many batches are joined at once, or more.
const JOINED: usize = 16;
/// See [`Recent::joinable`].
const GROWTH: usize = 4;
/// Batches of so many rows stay by themselves.
const LARGE_ROWS: usize = 4096;

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

    /// The last batches, if they are many small ones: a batch costs kilobytes, however few its rows. What is joined is
    /// [`GROWTH`] times as large as each of them, so that a row is joined with others a few times at most.
    pub(crate) fn joinable(&self) -> Option<Vec<RecordBatch>> {
        let (mut total, mut most, mut joinable) = (0, 0, None);
        let small = self.batches.iter().rev().map(|(_, batch)| batch.num_rows()).take_while(|rows| *rows < LARGE_ROWS);
        for (count, rows) in (1..).zip(small) {
            (total, most) = (total + rows, most.max(rows));
            if count >= JOINED && total >= GROWTH * most {
                joinable = Some(count);
            }
        }
        Some(self.batches[self.batches.len() - joinable?..].iter().map(|(_, batch)| batch.clone()).collect())
    }

    /// Puts `joined` in the place of the last `count` batches, whose rows it has.
    pub(crate) fn join(&mut self, count: usize, joined: RecordBatch) {
        let Some((through, _)) = self.batches.last() else { return };
        let through = *through;
        self.batches.truncate(self.batches.len() - count);
        self.batches.push((through, joined));
        self.measure();
    }

    /// Forgets what the table holds.
    pub(crate) fn prune(&mut self, through: Position) {
        self.batches.retain(|(last, _)| *last > through);
        self.measure();
    }

    /// Forgets everything: the journal has it.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn measure(&mut self) {
        self.rows = self.batches.iter().map(|(_, batch)| batch.num_rows()).sum();
        self.size_bytes = self.batches.iter().map(|(_, batch)| batch.get_array_memory_size()).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;
    use arrow_select::concat::concat_batches;

    use super::*;

    #[test]
    fn small_batches_become_few_and_lose_nothing() {
        let mut recent = Recent::default();
        let mut copied = 0;
        for n in 0..5000i64 {
            let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![n])) as _)]).unwrap();
            recent.push(Position(n.cast_unsigned()), batch);
            if let Some(last) = recent.joinable() {
                let joined = concat_batches(&last[0].schema(), &last).unwrap();
                copied += joined.num_rows();
                recent.join(last.len(), joined);
            }
        }
        assert!(recent.batches.len() <= 6 * JOINED, "{}", recent.batches.len());
        assert!(copied <= 7 * 5000, "{copied}");
        let all = concat_batches(&recent.all()[0].schema(), &recent.all()).unwrap();
        let expected = Int64Array::from_iter_values(0..5000);
        assert_eq!((all.column(0).as_ref(), recent.rows()), (&expected as &dyn arrow_array::Array, 5000));
        recent.prune(Position(4999));
        assert_eq!((recent.rows(), recent.size_bytes()), (0, 0));
    }
}
