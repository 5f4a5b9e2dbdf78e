//! How stores come and go: follows the journal for their first change and their last.

use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{CatalogExt, Change, Expect};
use opentrail_event::Control;
use opentrail_journal::ReadError;
use opentrail_lake::remove_table;
use opentrail_model::Position;
use opentrail_projection::Progress;
use opentrail_runtime::{CrashPoint, Shutdown};
use opentrail_stores::{EventDataStore, StoreChange, StoreKey};
use tracing::{error, info, warn};

use crate::TableError;
use crate::error::blocking;
use crate::state::{SUPERVISOR, SUPERVISOR_KEY, TABLES, TableState};
use crate::tables::Context;

/// How often the supervisor's position is saved when nothing else makes it.
const SAVE_EVERY: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

/// Starts the projections of new stores and ends those of deleted ones.
pub(crate) struct Supervisor {
    context: Arc<Context>,
    progress: Progress,
    /// Everything up to here is durably taken note of.
    seen: Position,
    /// Stores that are gone and whose tables may not be.
    dropped: Vec<StoreKey>,
}

impl Supervisor {
    pub(crate) fn new(context: Arc<Context>, progress: Progress, seen: Position, dropped: Vec<StoreKey>) -> Self {
        Self { context, progress, seen, dropped }
    }

    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        while let Err(error) = self.follow(&shutdown).await {
            if shutdown.has_begun() {
                return;
            }
            warn!(%error, "following changes of event data stores failed and will be tried again");
            tokio::select! {
                () = self.context.deps.clock.sleep(RETRY) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    async fn follow(&mut self, shutdown: &Shutdown) -> Result<(), TableError> {
        self.remove_dropped().await?;
        let mut read = self.seen;
        let mut saved = self.context.deps.clock.now();
        loop {
            let batch = tokio::select! {
                biased;
                () = shutdown.begun() => return self.save(read).await,
                batch = self.context.deps.feed.next(read) => batch,
            };
            let batch = match batch {
                Err(ReadError::Trimmed { after, trimmed }) => {
                    error!(%after, %trimmed, "changes of event data stores were trimmed away unseen; going on after them");
                    read = trimmed;
                    continue;
                }
                batch => batch?,
            };
            for control in &batch.controls {
                match StoreChange::from_bytes(&control.body) {
                    Some(StoreChange::PutEventDataStore(store)) => self.appear(control, &store).await?,
                    Some(StoreChange::DeleteEventDataStore(key)) => self.disappear(control, &key).await?,
                    None => {}
                }
            }
            read = batch.through;
            let now = self.context.deps.clock.now();
            if now.since(saved) >= SAVE_EVERY {
                self.save(read).await?;
                saved = now;
            }
        }
    }

    /// Sees to it that the store has a table, which begins just before the entry.
    async fn appear(&mut self, control: &Control, store: &EventDataStore) -> Result<(), TableError> {
        let key = &store.key;
        if self.context.is_known(key) || control.position <= self.seen {
            return Ok(());
        }
        let catalog = &self.context.deps.catalog;
        let state = match catalog.find::<TableState>(TABLES, &key.to_string()).await? {
            // The commit went through when it was last tried, only its answer was lost.
            Some(known) => known.value,
            None => {
                // A crash before this commit sees the entry again; after it, the table is known and resumes.
                let begin = Position(control.position.0.saturating_sub(1));
                let state = TableState { begin, kind: Some(store.kind()), settings: None, dropped: false };
                CrashPoint::TablesTable.reach();
                catalog.commit(vec![state.put(key), saved(control.position)]).await?;
                CrashPoint::TablesTableMade.reach();
                state
            }
        };
        self.context.spawn(key.clone(), state);
        self.passed(control.position);
        Ok(())
    }

    /// Takes the store's table away.
    async fn disappear(&mut self, control: &Control, key: &StoreKey) -> Result<(), TableError> {
        self.context.end(key).await;
        let catalog = &self.context.deps.catalog;
        if let Some(known) = catalog.find::<TableState>(TABLES, &key.to_string()).await? {
            let state = TableState { dropped: true, ..known.value };
            CrashPoint::TablesDrop.reach();
            catalog.commit(vec![state.put(key), saved(control.position)]).await?;
            CrashPoint::TablesDropped.reach();
            self.passed(control.position);
            self.dropped.push(key.clone());
            self.remove_dropped().await?;
        }
        Ok(())
    }

    /// Removes what is left of stores that are gone; what fails is tried again.
    async fn remove_dropped(&mut self) -> Result<(), TableError> {
        while let Some(key) = self.dropped.last().cloned() {
            self.remove(&key).await?;
            self.dropped.pop();
        }
        Ok(())
    }

    /// Deletes the files of a store that is gone, then the last that is known of it.
    async fn remove(&self, key: &StoreKey) -> Result<(), TableError> {
        let dir = self.context.table_dir(key);
        blocking(move || Ok(remove_table(&dir)?)).await?;
        CrashPoint::TablesRemoved.reach();
        let forget = Change::delete(TABLES, key.to_string(), Expect::Anything);
        self.context.deps.catalog.commit(vec![forget]).await?;
        info!(store.id = %key.id, "an event data store is gone, and its events with it");
        Ok(())
    }

    async fn save(&mut self, position: Position) -> Result<(), TableError> {
        if position > self.seen {
            self.context.deps.catalog.commit(vec![saved(position)]).await?;
            self.passed(position);
        }
        Ok(())
    }

    fn passed(&mut self, position: Position) {
        self.seen = position;
        self.progress.advance(position);
    }
}

fn saved(position: Position) -> Change {
    Change::put(SUPERVISOR, SUPERVISOR_KEY, Expect::Anything, &position)
}
