use async_trait::async_trait;
use opentrail_model::Position;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{AppendError, Appended, Entry, Journal, NewEntry, ReadError, TrimError};

/// A journal in memory: every promise but that of surviving the process. For tests.
#[derive(Debug)]
pub struct MemoryJournal {
    state: Mutex<State>,
    tail: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct State {
    /// Batches, each with its entries.
    batches: Vec<Vec<Entry>>,
    trimmed: Position,
    closed: bool,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self { state: Mutex::default(), tail: watch::Sender::new(Position::START) }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, batch: Vec<NewEntry>) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let first = self.tail().next();
        let entries: Vec<Entry> = (first.0..)
            .zip(batch)
            .map(|(position, new)| Entry {
                position: Position(position),
                source: new.source,
                account: new.account,
                received: new.received,
                body: new.body,
            })
            .collect();
        let last = entries.last().map_or(self.tail(), |entry| entry.position);
        state.batches.push(entries);
        self.tail.send_replace(last);
        Ok(Appended { first, last })
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        let state = self.state.lock();
        if after < state.trimmed {
            return Err(ReadError::Trimmed { after, trimmed: state.trimmed });
        }
        let mut out = Vec::new();
        let mut size = 0;
        for batch in &state.batches {
            for entry in batch.iter().filter(|entry| entry.position > after) {
                size += entry.body.len();
                out.push(entry.clone());
            }
            if size >= max_bytes && !out.is_empty() {
                break;
            }
        }
        Ok(out)
    }

    fn tail(&self) -> Position {
        *self.tail.borrow()
    }

    async fn wait_past(&self, position: Position) {
        // The sender lives in `self`, so waiting cannot fail while this future is polled.
        let _ = self.tail.subscribe().wait_for(|tail| *tail > position).await;
    }

    fn trimmed(&self) -> Position {
        self.state.lock().trimmed
    }

    async fn trim(&self, through: Position) -> Result<(), TrimError> {
        let mut state = self.state.lock();
        let gone =
            state.batches.iter().take_while(|batch| batch.last().is_none_or(|entry| entry.position <= through)).count();
        if let Some(last) = gone.checked_sub(1).and_then(|i| state.batches[i].last()) {
            state.trimmed = last.position;
            state.batches.drain(..gone);
        }
        Ok(())
    }

    async fn close(&self) {
        self.state.lock().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::journal_contract!(memory, (MemoryJournal::default(), ()));
}
