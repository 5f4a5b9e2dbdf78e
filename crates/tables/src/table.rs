use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use opentrail_lake::{DataFile, SealedFile, SealedReader, Table};
use opentrail_model::{Position, Timestamp};
use opentrail_stores::{DataKey, DataKeys, EventConfiguration, EventDataStore, Kind, StoreKey};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::TableError;
use crate::columns::table_spec;
use crate::error::blocking;
use crate::recent::Recent;
use crate::snapshot::SnapshotFile;

/// An open table, as its projection, its upkeep and its readers share it.
#[derive(Debug)]
pub(crate) struct StoreTable {
    pub(crate) key: StoreKey,
    pub(crate) kind: Kind,
    pub(crate) dir: PathBuf,
    /// The log's only writer. Held while committing, and until `recent` shows the commit.
    pub(crate) table: tokio::sync::Mutex<Table>,
    /// What is not in the table yet.
    pub(crate) recent: RwLock<Recent>,
    /// How long events are kept; unknown, and then for ever, until the projection knows the store's settings.
    pub(crate) retention: Mutex<Option<Duration>>,
    /// Held while the table is kept up; false once it is to go.
    pub(crate) upkeep: tokio::sync::Mutex<bool>,
    /// Held while a chunk of an import is added.
    pub(crate) imports: tokio::sync::Mutex<Imports>,
    /// The form in which the store shows events, as far as the projection knows it.
    pub(crate) configuration: Mutex<EventConfiguration>,
    /// The KMS key that seals what is written, as far as the projection knows it.
    pub(crate) kms_key: Mutex<Option<String>>,
    /// Whether the projection knows the store's settings.
    pub(crate) is_known: watch::Sender<bool>,
    /// What opens and seals files.
    pub(crate) keys: DataKeys,
    /// Files found damaged, by their paths: they are not merged.
    pub(crate) damaged: Mutex<HashSet<String>>,
    /// The files of a version of the table, for its readers.
    pub(crate) listed: Mutex<Option<(u64, Arc<[SnapshotFile]>)>>,
    /// Merges begun by this process, which set their files' names apart.
    pub(crate) merges: AtomicU64,
}

/// Where a table stands with imports.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// The table is to go: nothing is imported any more.
    pub(crate) over: bool,
    /// A commit failed, and may have landed all the same.
    pub(crate) doubtful: bool,
}

impl StoreTable {
    /// Opens the table, creating it when there is none. Returns the position that it reflects, too.
    pub(crate) async fn open(
        key: StoreKey,
        kind: Kind,
        dir: PathBuf,
        keys: DataKeys,
    ) -> Result<(Self, Position), TableError> {
        let table = Table::open_or_create(&dir, &table_spec(&key.id.to_string(), kind)).await?;
        let position = table.position().await?;
        let dir = table.dir().to_owned();
        let opened = Self {
            key,
            kind,
            dir,
            table: tokio::sync::Mutex::new(table),
            recent: RwLock::default(),
            retention: Mutex::new(None),
            upkeep: tokio::sync::Mutex::new(true),
            imports: tokio::sync::Mutex::default(),
            configuration: Mutex::default(),
            kms_key: Mutex::default(),
            is_known: watch::Sender::new(false),
            keys,
            damaged: Mutex::default(),
            listed: Mutex::default(),
            merges: AtomicU64::new(0),
        };
        Ok((opened, position))
    }

    /// Reads the log again after a commit that may have landed. What it says is in the table is forgotten in memory, so
    /// that nobody sees it twice. Returns the position that the table reflects.
    pub(crate) async fn reload(&self, writer: &mut Table) -> Result<Position, TableError> {
        writer.reload().await?;
        let position = writer.position().await?;
        self.recent.write().prune(position);
        Ok(position)
    }

    /// From now on the store has these settings.
    pub(crate) fn use_settings(&self, settings: &EventDataStore) {
        *self.retention.lock() = Some(settings.retention());
        *self.configuration.lock() = settings.event_configuration.clone();
        self.kms_key.lock().clone_from(&settings.kms_key);
        self.is_known.send_replace(true);
    }

    /// Whether what is written is sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        self.kms_key.lock().is_some()
    }

    /// The data key that what is written now is sealed with, if the store has a KMS key; whoever reads a store without
    /// being able to have it reads nothing.
    ///
    /// # Errors
    /// [`TableError::Key`] when the KMS key cannot be used.
    pub(crate) async fn data_key(&self) -> Result<Option<DataKey>, TableError> {
        let kms_key = self.kms_key.lock().clone();
        match kms_key {
            None => Ok(None),
            Some(kms_key) => Ok(Some(self.keys.to_seal(&self.key, &kms_key).await?)),
        }
    }

    /// Opens a file, if it is a sealed one.
    pub(crate) async fn unsealed(&self, data: &DataFile) -> Result<Option<SealedReader>, TableError> {
        if !data.is_sealed() {
            return Ok(None);
        }
        let found = {
            let (dir, data) = (self.dir.clone(), data.clone());
            blocking(move || Ok(SealedFile::find(&dir, &data)?)).await?
        };
        let data_key = match self.keys.open(&self.key, found.key()).await {
            Ok(data_key) => data_key,
            Err(refused) => {
                // It may be the file that is wrong, and not the key.
                let (dir, data) = (self.dir.clone(), data.clone());
                blocking(move || Ok(data.verify(&dir)?)).await?;
                return Err(refused.into());
            }
        };
        blocking(move || Ok(Some(found.open(&data_key)?))).await
    }

    /// Reads the log again if a commit may have landed.
    pub(crate) async fn settle(&self) -> Result<(), TableError> {
        let mut writer = self.table.lock().await;
        if writer.is_doubtful() {
            self.reload(&mut writer).await?;
        }
        Ok(())
    }

    /// Events before this moment are no longer kept.
    pub(crate) fn oldest(&self, now: Timestamp) -> Option<Timestamp> {
        self.retention.lock().map(|retention| now - retention)
    }
}
