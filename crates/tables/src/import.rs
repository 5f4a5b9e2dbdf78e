//! Events of an import on their way into a store's table, past the journal.
//!
//! They come in chunks, numbered from 1 in each import. A chunk's files, its number and the count of all rows ever
//! imported go into one commit, so that the table itself says which chunks it has: whoever imports may be killed at any
//! instruction, and asks [`Tables::imported`] then. Between chunks flushes and merges have their turn. (ADR 25.)
//!
//! Imported rows have no position in the journal. Theirs are below zero, from -1 downwards, each given once in a table:
//! they never meet those of the journal, and rows of one time are in an order that does not change.

use std::num::NonZero;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use futures::future::try_join_all;
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_lake::{DataFile, Mark};
use opentrail_model::{AccountId, Position, Source, Timestamp};
use opentrail_runtime::CrashPoint;
use opentrail_stores::{EventConfiguration, Kind, StoreKey};
use uuid::Uuid;

use crate::budget::Share;
use crate::columns::{Kept, Rows, rows};
use crate::error::blocking;
use crate::file::Days;
use crate::selection::time_of;
use crate::shown::shown;
use crate::table::{Imports, StoreTable};
use crate::tables::OPENING;
use crate::{PrincipalTags, TableError, Tables};

/// Names the count of rows ever imported in `txn` actions.
const COUNT: &str = "opentrail-imported";
/// Fewer events than these are not worth another thread.
const PIECE_EVENTS: usize = 1024;

/// Events that an import adds at once.
#[derive(Clone, Debug)]
pub struct ImportChunk {
    /// `ImportId`.
    pub import: Uuid,
    /// Which chunk of the import it is, from 1.
    pub number: u64,
    /// The rows' `received`: when the import takes the events.
    pub received: Timestamp,
    /// The events, in the order that their rows are to have among those of the same time.
    pub events: Vec<ImportedEvent>,
}

/// An event as a log file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedEvent {
    /// Whose event it is.
    pub account: AccountId,
    /// Its JSON, untouched.
    pub raw: Bytes,
}

impl Tables {
    /// The last chunk of the import that the store's table has; 0 when it has none.
    ///
    /// # Errors
    /// [`TableError::Missing`] for a store without a table; when the table's log cannot be read.
    pub async fn imported(&self, key: &StoreKey, import: Uuid) -> Result<u64, TableError> {
        self.for_import(key).await?.imported(import).await
    }

    /// Adds the events of a chunk to the store's table: readers see all of them or none. Whose retention is over is for
    /// the caller to leave out.
    ///
    /// # Errors
    /// [`TableError::Missing`] for a store without a table. After any other error the chunk may be there all the same:
    /// [`Self::imported`] says.
    pub async fn import(&self, key: &StoreKey, chunk: ImportChunk) -> Result<(), TableError> {
        self.for_import(key).await?.import(chunk, self.tags(), self.share(), self.clock().now()).await
    }

    async fn for_import(&self, key: &StoreKey) -> Result<Arc<StoreTable>, TableError> {
        let table = self.opened(key).await?.ok_or_else(|| TableError::Missing { store: key.id.to_string() })?;
        // Before that nobody can say whether rows are to be sealed.
        let mut is_known = table.is_known.subscribe();
        let clock = self.clock();
        tokio::select! {
            biased;
            // The table has the sender.
            _ = is_known.wait_for(|known| *known) => Ok(table),
            () = clock.sleep(OPENING) => Err(TableError::Opening { store: key.id.to_string() }),
        }
    }
}

impl StoreTable {
    /// See [`Tables::imported`].
    pub(crate) async fn imported(&self, import: Uuid) -> Result<u64, TableError> {
        let mut imports = self.imports.lock().await;
        self.settle_imports(&mut imports).await?;
        Ok(self.table.lock().await.mark(&app_id(import)).await?.unwrap_or_default())
    }

    /// See [`Tables::import`]. What is held in memory meanwhile is the `share`'s.
    pub(crate) async fn import(
        &self,
        chunk: ImportChunk,
        tags: Arc<dyn PrincipalTags>,
        mut share: Share,
        now: Timestamp,
    ) -> Result<(), TableError> {
        let mut imports = self.imports.lock().await;
        if imports.over {
            return Err(TableError::Missing { store: self.key.id.to_string() });
        }
        self.settle_imports(&mut imports).await?;
        // Only whoever holds `imports` changes the count.
        let count = self.table.lock().await.mark(COUNT).await?.unwrap_or_default();
        let after = count + chunk.events.len() as u64;
        share.set(chunk.events.iter().map(|event| event.raw.len()).sum());

        let name = format!("import-{}-{}", chunk.import, chunk.number);
        let mark = Mark { app_id: app_id(chunk.import), version: chunk.number };
        let batches = self.rows_of(chunk, tags, after).await?;
        share.set(batches.iter().map(RecordBatch::get_array_memory_size).sum());
        // A crash in here leaves files that nothing names.
        let files = self.write(name, batches).await?;
        CrashPoint::TablesImportWritten.reach();
        let mut writer = self.table.lock().await;
        imports.doubtful = true;
        writer.append_marked(files, vec![mark, Mark { app_id: COUNT.to_owned(), version: after }], now).await?;
        CrashPoint::TablesImported.reach();
        imports.doubtful = false;
        *self.imported.lock() = Some(now);
        Ok(())
    }

    /// Reads back what the table has, when that is in doubt.
    async fn settle_imports(&self, imports: &mut Imports) -> Result<(), TableError> {
        if imports.doubtful {
            let mut writer = self.table.lock().await;
            self.reload(&mut writer).await?;
            imports.doubtful = false;
        }
        Ok(())
    }

    /// The rows of the chunk, made on all processors. `after` is the count of imported rows with these.
    async fn rows_of(
        &self,
        chunk: ImportChunk,
        tags: Arc<dyn PrincipalTags>,
        after: u64,
    ) -> Result<Vec<RecordBatch>, TableError> {
        // An old event is not enriched with what is known today: a choice.
        let configuration =
            EventConfiguration { context_key_selectors: Vec::new(), ..self.configuration.lock().clone() };
        let configuration = Arc::new(configuration);
        let ImportChunk { received, events, .. } = chunk;
        let piece = events.len().div_ceil(processors()).max(PIECE_EVENTS);
        let mut left = events.into_iter();
        let (mut pieces, mut number) = (Vec::new(), after);
        loop {
            let events: Vec<ImportedEvent> = left.by_ref().take(piece).collect();
            if events.is_empty() {
                break;
            }
            let count = events.len() as u64;
            let (kind, configuration, tags) = (self.kind, Arc::clone(&configuration), Arc::clone(&tags));
            pieces.push(blocking(move || decode(kind, &configuration, &*tags, received, number, events)));
            number -= count;
        }
        let mut batches = Vec::new();
        for Rows { batch, odd } in try_join_all(pieces).await? {
            metrics::counter!("opentrail_tables_imported_rows_total").increment(batch.num_rows() as u64);
            if odd > 0 {
                let store = self.key.id.to_string();
                metrics::counter!("opentrail_tables_odd_members_total", "store" => store).increment(odd);
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    /// Writes the rows to files, each of a day, several at a time.
    async fn write(&self, name: String, batches: Vec<RecordBatch>) -> Result<Vec<DataFile>, TableError> {
        let (kind, dir, key) = (self.kind, self.dir.clone(), self.data_key().await?.map(Arc::new));
        let days = Arc::new(blocking(move || Days::of(&name, kind, batches)).await?.divided(processors()));
        let writers = (0..processors().min(days.len())).map(|writer| {
            let (days, dir, key) = (Arc::clone(&days), dir.clone(), key.clone());
            blocking(move || {
                let mine = (writer..days.len()).step_by(processors());
                mine.map(|day| days.write(&dir, day, key.as_deref())).collect::<Result<Vec<_>, _>>()
            })
        });
        Ok(try_join_all(writers).await?.into_iter().flatten().collect())
    }
}

/// Names the import in `txn` actions.
fn app_id(import: Uuid) -> String {
    format!("opentrail-import/{import}")
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The rows of events, the first of which has the position -`number`.
fn decode(
    kind: Kind,
    configuration: &EventConfiguration,
    tags: &dyn PrincipalTags,
    received: Timestamp,
    number: u64,
    events: Vec<ImportedEvent>,
) -> Result<Rows, TableError> {
    // The two's complement: as an i64, which the column is of, it is below zero. It grows with the rows, as batches want.
    let first = number.wrapping_neg();
    let entry = |(row, ImportedEvent { account, raw }): (u64, ImportedEvent)| Entry {
        position: Position(first.wrapping_add(row)),
        source: Source::Import,
        account,
        received,
        body: raw,
    };
    let entries: Vec<Entry> = (0..).zip(events).map(entry).collect();
    let batch = EventBatch::decode_without_resources(Position(first.wrapping_sub(1)), &entries);
    let kept = |row: usize| {
        let event = batch.event(row);
        Kept { row, time: time_of(event), shown: shown(event.raw(), configuration, tags) }
    };
    let kept: Vec<Kept> = (0..batch.len()).map(kept).collect();
    rows(kind, &batch, &kept)
        .map_err(|error| TableError::Damaged { file: "an import's chunk".into(), reason: error.to_string() })
}
