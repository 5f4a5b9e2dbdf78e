use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::CommitBuilder;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::kernel::{Action, Add, MetadataExt, Remove, StructType, Transaction};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt;
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::CrashPoint;
use url::Url;

use crate::durable::{DurableStore, is_staged};
use crate::{DataFile, LakeError, disk, schema};

/// The directory in a table's that has its log.
pub(crate) const LOG: &str = "_delta_log";

/// What a table is to be, for its creation and to recognise it later.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name in the metadata.
    pub name: String,
    /// Names the writer in `txn` actions. Never changes: the resume position is found by it.
    pub app_id: String,
    /// The columns, partition columns included, in types that Delta has.
    pub schema: SchemaRef,
    /// Which of the columns are in the paths and not in the files.
    pub partition_columns: Vec<String>,
    /// Which of the columns may have another type in a table made by an older version: its owner does not read them
    /// from files of that time.
    pub retyped_columns: Vec<String>,
}

/// What another writer than the owner says of its files in the commit that adds them; of each name the last counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Names the writer. Another one than the owner's.
    pub app_id: String,
    /// How far it is.
    pub version: u64,
}

/// A Delta table in a local directory, with one writer: this value.
///
/// # Promises
/// 1. A change is durable once its method returns `Ok`, and readers of the log see it whole or not at all.
/// 2. The position stored last is read back by [`Self::position`] and belongs to exactly the rows committed with it
///    and before it.
/// 3. After an error the change may or may not have happened: [`Self::reload`] and look at the position.
#[derive(Debug)]
pub struct Table {
    dir: PathBuf,
    app_id: String,
    partition_columns: Vec<String>,
    table: DeltaTable,
    /// A commit failed, and may have landed all the same.
    doubtful: bool,
}

impl Table {
    /// Opens the table in `dir`, creating it (and the directory) when there is none. Columns, and parts of columns, that an
    /// older table lacks are added to it in a commit of their own.
    ///
    /// # Errors
    /// When the directory cannot be used, or holds a table with columns that `spec` has not or has in another type.
    pub async fn open_or_create(dir: &Path, spec: &TableSpec) -> Result<Self, LakeError> {
        disk::create_dir_all(dir).map_err(LakeError::io(dir))?;
        let dir = dir.canonicalize().map_err(LakeError::io(dir))?;
        let url = Url::from_directory_path(&dir)
            .map_err(|()| LakeError::Form { dir: dir.clone(), reason: "the path is not absolute".into() })?;
        let failed = |source| LakeError::Table { dir: dir.clone(), source: Box::new(source) };
        let columns: StructType = spec
            .schema
            .as_ref()
            .try_into_kernel()
            .map_err(|error| LakeError::Form { dir: dir.clone(), reason: format!("no Delta schema: {error}") })?;
        let mut table = DeltaTableBuilder::from_url(url.clone())
            .and_then(|builder| builder.with_storage_backend(Arc::new(DurableStore::new()), url).build())
            .map_err(failed)?;
        if table.verify_deltatable_existence().await.map_err(failed)? {
            sync_log(&dir).await?;
            table.load().await.map_err(failed)?;
            let found = table.snapshot().map_err(failed)?.schema();
            if *found != columns {
                let known = |name: &str| spec.retyped_columns.iter().any(|retyped| retyped == name);
                if let Err(reason) = schema::grows_to(&found, &columns, known) {
                    return Err(LakeError::Form { dir, reason });
                }
                alter(&mut table, &columns).await.map_err(failed)?;
            }
        } else {
            table = CreateBuilder::new()
                .with_log_store(table.log_store())
                .with_table_name(&spec.name)
                .with_columns(columns.fields().cloned())
                .with_partition_columns(&spec.partition_columns)
                .with_configuration([
                    ("delta.logRetentionDuration", Some("interval 1 days")),
                    ("delta.checkpointInterval", Some("50")),
                ])
                .with_save_mode(SaveMode::ErrorIfExists)
                .await
                .map_err(failed)?;
        }
        let partition_columns = spec.partition_columns.clone();
        Ok(Self { dir, app_id: spec.app_id.clone(), partition_columns, table, doubtful: false })
    }

    /// The table's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The version of the last commit seen.
    pub fn version(&self) -> u64 {
        self.table.version().unwrap_or_default()
    }

    /// The files that make up the table at this version.
    pub fn files(&self) -> Result<Vec<DataFile>, LakeError> {
        let state = self.table.snapshot().map_err(|error| self.failed(error))?;
        let files = state.log_data().into_iter().map(|file| DataFile {
            path: file.path().into_owned(),
            partition: file.partition_values_map().into_iter().filter_map(|(k, v)| Some((k, v?))).collect(),
            size_bytes: u64::try_from(file.size()).unwrap_or_default(),
            stats: file.stats(),
        });
        Ok(files.collect())
    }

    /// The journal position that the rows reflect; [`Position::START`] for a table never appended to.
    pub async fn position(&self) -> Result<Position, LakeError> {
        Ok(Position(self.mark(&self.app_id).await?.unwrap_or_default()))
    }

    /// What was last said under this name.
    pub async fn mark(&self, app_id: &str) -> Result<Option<u64>, LakeError> {
        let state = self.table.snapshot().map_err(|error| self.failed(error))?;
        let version = state
            .transaction_version(self.table.log_store().as_ref(), app_id)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(version.and_then(|version| u64::try_from(version).ok()))
    }

    /// Adds files (none is allowed, to move the position only) and stores `through` as the position, in one commit.
    pub async fn append(&mut self, files: Vec<DataFile>, through: Position, now: Timestamp) -> Result<(), LakeError> {
        let mark = Mark { app_id: self.app_id.clone(), version: through.0 };
        self.append_marked(files, vec![mark], now).await
    }

    /// Adds files that do not come from the journal, and what their writer says of them, in one commit. The position stays.
    pub async fn append_marked(
        &mut self,
        files: Vec<DataFile>,
        marks: Vec<Mark>,
        now: Timestamp,
    ) -> Result<(), LakeError> {
        let actions = files.iter().map(|file| add(file, now, DataChange::Yes)).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(self.partition_columns.clone()),
            predicate: None,
        };
        self.commit(actions, operation, marks).await
    }

    /// Puts `added` in the place of `removed`, whose rows they hold, in one commit. The position stays.
    pub async fn replace(
        &mut self,
        removed: &[DataFile],
        added: Vec<DataFile>,
        now: Timestamp,
    ) -> Result<(), LakeError> {
        let mut actions: Vec<Action> = removed.iter().map(|file| remove(file, now, DataChange::No)).collect();
        actions.extend(added.iter().map(|file| add(file, now, DataChange::No)));
        let target_size = added.iter().map(|file| file.size_bytes).max().unwrap_or_default();
        let operation =
            DeltaOperation::Optimize { predicate: None, target_size: i64::try_from(target_size).unwrap_or(i64::MAX) };
        self.commit(actions, operation, Vec::new()).await
    }

    /// Takes whole files out, in one commit. The bytes go with a later [`Self::vacuum`].
    pub async fn delete(&mut self, removed: &[DataFile], now: Timestamp) -> Result<(), LakeError> {
        let actions = removed.iter().map(|file| remove(file, now, DataChange::Yes)).collect();
        self.commit(actions, DeltaOperation::Delete { predicate: None }, Vec::new()).await
    }

    /// Reads the log again, for what was committed since, or by a commit that was reported failed. What it then finds is
    /// durable.
    pub async fn reload(&mut self) -> Result<(), LakeError> {
        sync_log(&self.dir).await?;
        let loaded = self.table.load().await;
        loaded.map_err(|error| LakeError::Table { dir: self.dir.clone(), source: Box::new(error) })?;
        self.doubtful = false;
        Ok(())
    }

    /// Whether a commit was reported failed and [`Self::reload`] has not yet said what became of it.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Deletes Parquet files that no commit up to this version names as active and that left the table, or were written
    /// if they never were of it, `older_than` ago, directories left empty, and what puts to the log have left behind.
    /// Returns how many files went. While a commit is in doubt nothing goes: it may name any of them.
    ///
    /// `older_than` must exceed the longest read and the longest time from writing a file to its commit.
    pub async fn vacuum(&self, older_than: Duration, now: Timestamp) -> Result<usize, LakeError> {
        if self.doubtful {
            return Ok(0);
        }
        let active: HashSet<PathBuf> = self.files()?.into_iter().map(|file| self.dir.join(file.path)).collect();
        let left = self.left().await?;
        let dir = self.dir.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(&dir, &active, &left, older_than, now)).await;
        swept.map_err(|error| LakeError::io(&self.dir)(std::io::Error::other(error)))?
    }

    /// When files left the table, as far back as its log keeps it.
    async fn left(&self) -> Result<HashMap<PathBuf, Timestamp>, LakeError> {
        let state = self.table.snapshot().map_err(|error| self.failed(error))?;
        let log = self.table.log_store();
        let mut removed = state.all_tombstones(log.as_ref());
        let mut left = HashMap::new();
        while let Some(file) = removed.try_next().await.map_err(|error| self.failed(error))? {
            let time = Timestamp::from_millis(file.deletion_timestamp().unwrap_or_default());
            left.insert(self.dir.join(&*file.path()), time);
        }
        Ok(left)
    }

    async fn commit(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        marks: Vec<Mark>,
    ) -> Result<(), LakeError> {
        let transaction = |mark: Mark| Transaction::new(mark.app_id, i64::try_from(mark.version).unwrap_or(i64::MAX));
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_application_transactions(marks.into_iter().map(transaction).collect());
        let state = self.table.snapshot().map_err(|error| self.failed(error))?;
        self.doubtful = true;
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(state), self.table.log_store(), operation)
            .await;
        let committed = committed.map_err(|error| self.failed(error))?;
        // The commit's own post-hook has read the state already; taking it saves a second read of the log.
        self.table.state = Some(committed.snapshot());
        self.doubtful = false;
        metrics::counter!("opentrail_lake_commits_total", "table" => self.app_id.clone()).increment(1);
        Ok(())
    }

    fn failed(&self, source: DeltaTableError) -> LakeError {
        LakeError::Table { dir: self.dir.clone(), source: Box::new(source) }
    }
}

/// Gives the table other columns, in one commit. A crash before it finds the old ones and begins again.
async fn alter(table: &mut DeltaTable, columns: &StructType) -> Result<(), DeltaTableError> {
    let state = table.snapshot()?;
    let metadata = state.metadata().clone().with_schema(columns)?;
    let fields = columns.fields().cloned().collect();
    let committed = CommitBuilder::from(CommitProperties::default().with_max_retries(0))
        .with_actions(vec![Action::Metadata(metadata)])
        .build(Some(state), table.log_store(), DeltaOperation::AddColumn { fields })
        .await?;
    table.state = Some(committed.snapshot());
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DataChange {
    Yes,
    No,
}

fn partition_values(file: &DataFile) -> std::collections::HashMap<String, Option<String>> {
    file.partition.iter().map(|(column, value)| (column.clone(), Some(value.clone()))).collect()
}

fn add(file: &DataFile, now: Timestamp, change: DataChange) -> Action {
    Action::Add(Add {
        path: file.path.clone(),
        partition_values: partition_values(file),
        size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
        modification_time: now.as_millis(),
        data_change: change == DataChange::Yes,
        stats: file.stats.clone(),
        ..Add::default()
    })
}

fn remove(file: &DataFile, now: Timestamp, change: DataChange) -> Action {
    Action::Remove(Remove {
        path: file.path.clone(),
        data_change: change == DataChange::Yes,
        deletion_timestamp: Some(now.as_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(partition_values(file)),
        size: i64::try_from(file.size_bytes).ok(),
        ..Remove::default()
    })
}

/// Makes durable what the log's directory shows: a name that a commit reported failed has left there, or one that died
/// before it was synced, may not be. The journal forgets what a table has.
async fn sync_log(dir: &Path) -> Result<(), LakeError> {
    let log = dir.join(LOG);
    let synced = tokio::task::spawn_blocking(move || disk::sync_dir(&log)).await;
    synced.map_err(|error| LakeError::io(dir)(std::io::Error::other(error)))?
}

fn sweep(
    dir: &Path,
    active: &HashSet<PathBuf>,
    left: &HashMap<PathBuf, Timestamp>,
    older_than: Duration,
    now: Timestamp,
) -> Result<usize, LakeError> {
    let mut deleted = 0;
    for entry in disk::read_dir(dir).map_err(LakeError::io(dir))? {
        let partition = entry.map_err(LakeError::io(dir))?.path();
        if !partition.is_dir() {
            continue;
        }
        let is_log = partition.file_name().is_some_and(|name| name == LOG);
        let mut others = 0;
        for entry in disk::read_dir(&partition).map_err(LakeError::io(&partition))? {
            let entry = entry.map_err(LakeError::io(&partition))?;
            let path = entry.path();
            let modified = match entry.metadata().and_then(|metadata| metadata.modified()) {
                // Given its own name, or deleted, meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                modified => modified.map_err(LakeError::io(&path))?,
            };
            let written = Timestamp::EPOCH + modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let age = now.since(left.get(&path).copied().unwrap_or(written).max(written));
            let useless = match is_log {
                true => entry.file_name().to_str().is_some_and(is_staged),
                false => path.extension().is_some_and(|e| e == "parquet") && !active.contains(&path),
            };
            if useless && age >= older_than {
                disk::remove_file(&path).map_err(LakeError::io(&path))?;
                deleted += 1;
                CrashPoint::LakeSwept.reach();
            } else {
                others += 1;
            }
        }
        if others == 0 {
            // A flush may have just put a file there: then the system refuses, which is right.
            let _ = disk::remove_dir(&partition);
        }
    }
    Ok(deleted)
}
