use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use async_trait::async_trait;
use opentrail_catalog::{Catalog, CatalogExt};
use opentrail_event::{Control, EventBatch};
use opentrail_model::{Position, Timestamp};
use opentrail_projection::{Progress, Projection, ProjectionError};
use opentrail_runtime::{Clock, CrashPoint};
use opentrail_stores::{DataKey, DataKeys, EventDataStore, StoreChange, StoreKey};
use tokio::sync::watch;

use crate::TableError;
use crate::budget::Share;
use crate::columns::{Kept, Rows, rows};
use crate::error::blocking;
use crate::file::write_days;
use crate::selection::{Selection, time_of};
use crate::shown::{PrincipalTags, shown};
use crate::state::{TABLES, TableState};
use crate::table::StoreTable;
use crate::tables::TablesOptions;

/// What a store's projection works with.
pub(crate) struct Surroundings {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: TablesOptions,
    /// Where the table is, or is to be.
    pub(crate) dir: PathBuf,
    pub(crate) share: Share,
    pub(crate) tags: Arc<dyn PrincipalTags>,
    pub(crate) keys: DataKeys,
    /// Whoever looks after the tables finds this one here once it is open.
    pub(crate) opened: watch::Sender<Option<Arc<StoreTable>>>,
    /// The journal's last position when this process began: no table can reflect more.
    pub(crate) tail: Position,
    /// Holds the journal back until the runner does.
    pub(crate) starting: Option<Progress>,
}

/// Folds the journal into one store's table.
///
/// # Life of a row
/// `apply` selects it by the settings that hold at its position, and puts it into memory. A flush writes the rows of each
/// day to a file, then commits the files with the position they reach, then forgets the rows. A crash before the commit
/// leaves files that no commit names, and the rows come again from the journal; after it, the position says that they came.
///
/// # A change of settings
/// All that came before it is committed, then the catalog gets the new settings, then they hold. A crash in between goes on
/// with the old ones, up to the same change.
///
/// # A KMS key that cannot be used
/// What memory holds is forgotten, as the journal has it, and nothing more is taken until the key can be used: the
/// store costs no memory while it waits.
pub(crate) struct StoreProjection {
    key: StoreKey,
    around: Surroundings,
    table: Option<Arc<StoreTable>>,
    state: TableState,
    selection: Option<Arc<Selection>>,
    /// What the table reflects.
    flushed: Position,
    /// What table and memory reflect together.
    applied: Position,
    /// When the first entry after `flushed` was applied.
    waiting_since: Option<Timestamp>,
    /// A commit failed, and may have landed all the same.
    doubtful: bool,
    /// The store's KMS key could not be used when it was last needed.
    locked: bool,
}

impl StoreProjection {
    pub(crate) fn new(key: StoreKey, state: TableState, around: Surroundings) -> Self {
        let begin = state.begin;
        Self {
            key,
            around,
            table: None,
            state,
            selection: None,
            flushed: begin,
            applied: begin,
            waiting_since: None,
            doubtful: false,
            locked: false,
        }
    }

    /// The open table.
    async fn table(&mut self) -> Result<Arc<StoreTable>, TableError> {
        if let Some(table) = &self.table {
            return Ok(Arc::clone(table));
        }
        let (key, kind, dir) = (self.key.clone(), self.state.kind(), self.around.dir.clone());
        let (table, position) = StoreTable::open(key, kind, dir, self.around.keys.clone()).await?;
        if position > self.around.tail {
            let (store, tail) = (self.key.id.to_string(), self.around.tail);
            return Err(TableError::JournalBehind { store, position, tail });
        }
        self.flushed = position.max(self.state.begin);
        self.applied = self.flushed;
        let table = Arc::new(table);
        self.table = Some(Arc::clone(&table));
        if let Some(settings) = self.state.settings.clone() {
            self.use_settings(settings);
        }
        self.around.opened.send_replace(Some(Arc::clone(&table)));
        Ok(table)
    }

    fn use_settings(&mut self, settings: EventDataStore) {
        if let Some(table) = &self.table {
            table.use_settings(&settings);
        }
        self.selection = Some(Arc::new(Selection::of(settings)));
    }

    /// Reads back what the table reflects, when that is in doubt.
    async fn settle(&mut self) -> Result<(), TableError> {
        let table = self.table().await?;
        if self.doubtful {
            let mut writer = table.table.lock().await;
            self.flushed = table.reload(&mut writer).await?.max(self.state.begin);
            self.applied = self.applied.max(self.flushed);
            drop(writer);
            self.weigh(&table);
            self.doubtful = false;
        }
        Ok(())
    }

    fn weigh(&mut self, table: &StoreTable) {
        self.around.share.set(table.recent.read().size_bytes());
    }

    /// Takes the records in (`applied`, `through`].
    async fn take(&mut self, batch: &Arc<EventBatch>, through: Position) -> Result<(), TableError> {
        if through <= self.applied {
            return Ok(());
        }
        let table = self.table().await?;
        if let Some(selection) = &self.selection {
            let (batch, selection, after) = (Arc::clone(batch), Arc::clone(selection), self.applied);
            let (oldest, tags) = (table.oldest(self.around.clock.now()), Arc::clone(&self.around.tags));
            let kind = table.kind;
            let found = blocking(move || {
                let selected = selection.rows(&batch, batch.rows(after, through));
                let configuration = &selection.store.event_configuration;
                let kept = |row: usize| {
                    let event = batch.event(row);
                    let time = time_of(event);
                    oldest.is_none_or(|oldest| time >= oldest).then(|| {
                        let shown = shown(event.raw(), configuration, &*tags);
                        Kept { row, time, shown }
                    })
                };
                let kept: Vec<Kept> = selected.into_iter().filter_map(kept).collect();
                if kept.is_empty() {
                    return Ok(None);
                }
                rows(kind, &batch, &kept).map(Some).map_err(|error| TableError::Damaged {
                    file: "the journal's batch".into(),
                    reason: error.to_string(),
                })
            });
            if let Some(Rows { batch, odd }) = found.await? {
                metrics::counter!("opentrail_tables_rows_total").increment(batch.num_rows() as u64);
                if odd > 0 {
                    let store = self.key.id.to_string();
                    metrics::counter!("opentrail_tables_odd_members_total", "store" => store).increment(odd);
                }
                table.recent.write().push(through, batch);
                // Nobody else adds rows, and only what was flushed is taken away.
                let last = table.recent.read().joinable();
                if let Some(last) = last {
                    let count = last.len();
                    let joined = blocking(move || join(&last)).await?;
                    table.recent.write().join(count, joined);
                }
                self.weigh(&table);
            }
        }
        self.applied = through;
        self.waiting_since.get_or_insert(self.around.clock.now());
        Ok(())
    }

    /// Goes on by other settings, after `control`.
    async fn obey(&mut self, control: &Control, settings: EventDataStore) -> Result<(), TableError> {
        let known = self.state.settings.as_ref().map_or(0, |known| known.version);
        if settings.version > known {
            self.flush().await?;
            let state = TableState { settings: Some(settings.clone()), ..self.state.clone() };
            CrashPoint::TablesObey.reach();
            self.around.catalog.commit(vec![state.put(&self.key)]).await?;
            CrashPoint::TablesObeyed.reach();
            self.state = state;
            self.use_settings(settings);
        }
        self.applied = self.applied.max(control.position);
        self.waiting_since.get_or_insert(self.around.clock.now());
        Ok(())
    }

    /// Moves memory to the table, and the table's position forward.
    async fn flush(&mut self) -> Result<(), TableError> {
        self.settle().await?;
        if self.applied == self.flushed {
            self.waiting_since = None;
            return Ok(());
        }
        let (table, through) = (self.table().await?, self.applied);
        let recent = table.recent.read().all();
        let count = table.recent.read().rows();
        // Without a row there is nothing to seal, and a position may move on.
        let key = if recent.is_empty() { None } else { self.data_key(&table).await? };
        let (name, dir, kind) = (format!("flush-{}-{through}", self.flushed), table.dir.clone(), table.kind);
        // A crash in here leaves files that nothing names.
        let files = match recent.is_empty() {
            true => Vec::new(),
            false => blocking(move || write_days(&dir, &name, kind, &recent, key.as_ref())).await?,
        };
        if !files.is_empty() {
            CrashPoint::TablesWritten.reach();
        }
        let any = !files.is_empty();
        let mut writer = table.table.lock().await;
        self.doubtful = true;
        writer.append(files, through, self.around.clock.now()).await?;
        if any {
            CrashPoint::TablesCommitted.reach();
        }
        // A crash from here on is one after the flush: the journal is asked for what follows `through`.
        table.recent.write().prune(through);
        drop(writer);
        self.weigh(&table);
        self.doubtful = false;
        self.flushed = through;
        self.waiting_since = None;
        metrics::counter!("opentrail_tables_flushed_rows_total").increment(count as u64);
        Ok(())
    }

    /// The key to seal with. Without it the rows in memory go, and come again from the journal.
    async fn data_key(&mut self, table: &StoreTable) -> Result<Option<DataKey>, TableError> {
        let key = table.data_key().await;
        if let Err(TableError::Key(_)) = &key {
            table.recent.write().clear();
            self.weigh(table);
            (self.applied, self.waiting_since, self.locked) = (self.flushed, None, true);
        }
        key
    }

    /// Returns once the store's KMS key can be used again, if it could not be.
    async fn unlock(&mut self) -> Result<(), TableError> {
        if self.locked {
            let table = self.table().await?;
            self.data_key(&table).await?;
            self.locked = false;
        }
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let options = &self.around.options;
        let (rows, size_bytes) = match &self.table {
            Some(table) => {
                let recent = table.recent.read();
                (recent.rows(), recent.size_bytes())
            }
            None => (0, 0),
        };
        // A position alone can wait: it only lets the journal forget.
        let age = if rows > 0 { options.flush_age } else { options.position_age };
        let aged = self.waiting_since.is_some_and(|since| now.since(since) >= age);
        aged || rows >= options.flush_rows || size_bytes >= options.flush_bytes || self.around.share.is_too_large()
    }
}

fn join(batches: &[RecordBatch]) -> Result<RecordBatch, TableError> {
    concat_batches(&batches[0].schema(), batches)
        .map_err(|error| TableError::Damaged { file: "the rows in memory".into(), reason: error.to_string() })
}

#[async_trait]
impl Projection for StoreProjection {
    fn name(&self) -> String {
        format!("stores/{}", self.key)
    }

    async fn resume(&mut self) -> Result<Position, ProjectionError> {
        if self.table.is_none() {
            // The settings as they are durable, whatever this process last meant to write.
            let stored = self.around.catalog.find::<TableState>(TABLES, &self.key.to_string()).await;
            if let Some(stored) = stored.map_err(ProjectionError::retry)? {
                self.state = stored.value;
            }
        }
        self.settle().await.map_err(ProjectionError::retry)?;
        self.around.starting = None;
        Ok(self.flushed)
    }

    async fn apply(&mut self, batch: &Arc<EventBatch>) -> Result<Position, ProjectionError> {
        self.unlock().await.map_err(ProjectionError::retry)?;
        // After an error the runner begins again at what is durable: what memory holds is not taken twice.
        for control in &batch.controls {
            if control.position <= self.applied {
                continue;
            }
            let Some(StoreChange::PutEventDataStore(store)) = StoreChange::from_bytes(&control.body) else { continue };
            if store.key == self.key {
                self.take(batch, Position(control.position.0.saturating_sub(1)))
                    .await
                    .map_err(ProjectionError::retry)?;
                self.obey(control, *store).await.map_err(ProjectionError::retry)?;
            }
        }
        self.take(batch, batch.through).await.map_err(ProjectionError::retry)?;
        self.idle(self.around.clock.now()).await
    }

    async fn idle(&mut self, now: Timestamp) -> Result<Position, ProjectionError> {
        self.unlock().await.map_err(ProjectionError::retry)?;
        if self.is_due(now) {
            self.flush().await.map_err(ProjectionError::retry)?;
        }
        Ok(self.flushed)
    }

    async fn finish(&mut self) -> Result<Position, ProjectionError> {
        self.flush().await.map_err(ProjectionError::retry)?;
        Ok(self.flushed)
    }
}
