use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use opentrail_lake::Table;
use opentrail_model::{Position, Timestamp};
use opentrail_stores::StoreKey;
use parking_lot::{Mutex, RwLock};

use crate::TableError;
use crate::columns::table_spec;
use crate::recent::Recent;

/// An open table, as its projection, its upkeep and its readers share it.
#[derive(Debug)]
pub(crate) struct StoreTable {
    pub(crate) key: StoreKey,
    pub(crate) dir: PathBuf,
    /// The log's only writer. Held while committing, and until `recent` shows the commit.
    pub(crate) table: tokio::sync::Mutex<Table>,
    /// What is not in the table yet.
    pub(crate) recent: RwLock<Recent>,
    /// How long events are kept; unknown, and then for ever, until the projection knows the store's settings.
    pub(crate) retention: Mutex<Option<Duration>>,
    /// Held while the table is kept up; false once it is to go.
    pub(crate) upkeep: tokio::sync::Mutex<bool>,
    /// Files found damaged, by their paths: they are not merged.
    pub(crate) damaged: Mutex<HashSet<String>>,
    /// Merges begun by this process, which set their files' names apart.
    pub(crate) merges: AtomicU64,
}

impl StoreTable {
    /// Opens the table, creating it when there is none. Returns the position that it reflects, too.
    pub(crate) async fn open(key: StoreKey, dir: PathBuf) -> Result<(Self, Position), TableError> {
        let table = Table::open_or_create(&dir, &table_spec(&key.id.to_string())).await?;
        let position = table.position().await?;
        let dir = table.dir().to_owned();
        let opened = Self {
            key,
            dir,
            table: tokio::sync::Mutex::new(table),
            recent: RwLock::default(),
            retention: Mutex::new(None),
            upkeep: tokio::sync::Mutex::new(true),
            damaged: Mutex::default(),
            merges: AtomicU64::new(0),
        };
        Ok((opened, position))
    }

    /// Events before this moment are no longer kept.
    pub(crate) fn oldest(&self, now: Timestamp) -> Option<Timestamp> {
        self.retention.lock().map(|retention| now - retention)
    }
}
