//! Event data stores: their tables' start, what a crash kept from them, and the end of those whose time has come.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentrail_api::{JournalChange, RetiredStore, Turns, retire_store};
use opentrail_catalog::{Catalog, Versioned};
use opentrail_identity::Directory;
use opentrail_model::Arn;
use opentrail_projection::Feed;
use opentrail_runtime::{Clock, OnError, Shutdown, TaskGroup};
use opentrail_stores::{DataKeys, EventDataStore, StoreChange, StoreError, Stores};
use opentrail_tables::{PrincipalTags, TableError, Tables, TablesDeps, TablesOptions};
use tracing::warn;

use crate::config::StoresSection;
use crate::wiring::Recording;

/// How many times the age of a flush a store without new rows keeps its position to itself.
const POSITION_AGE: u32 = 10;
/// How often it is looked for stores whose time has come.
const RETIRE_EVERY: Duration = Duration::from_secs(60);
/// As often where they have less than that, as in tests.
const RETIRE_AT_LEAST: Duration = Duration::from_millis(500);

/// The tags that users and roles have here.
#[derive(Debug)]
struct DirectoryTags(Arc<Directory>);

impl PrincipalTags for DirectoryTags {
    fn of(&self, arn: &str) -> BTreeMap<String, String> {
        if let Some(role) = self.0.role(arn) {
            return role.tags.clone();
        }
        let user = arn.parse::<Arn>().ok().and_then(|parsed| {
            let account = self.0.account(parsed.account().parse().ok()?)?;
            let name = parsed.resource().strip_prefix("user/")?.rsplit('/').next()?;
            account.user(name).filter(|user| user.arn().as_str() == arn).cloned()
        });
        user.map(|user| user.tags.clone()).unwrap_or_default()
    }
}

/// Resumes the tables and starts their upkeep.
#[expect(clippy::too_many_arguments, reason = "what the tables work with, of which this adds only the options")]
pub(super) async fn start(
    section: &StoresSection,
    dir: &Path,
    catalog: &Arc<dyn Catalog>,
    feed: &Arc<Feed>,
    clock: &Arc<dyn Clock>,
    directory: &Arc<Directory>,
    keys: DataKeys,
    tasks: &TaskGroup,
) -> Result<Tables, TableError> {
    let options = TablesOptions {
        flush_age: section.flush_age,
        position_age: section.flush_age.saturating_mul(POSITION_AGE),
        memory_bytes: usize::try_from(section.memory_bytes).unwrap_or(usize::MAX),
        maintenance_interval: section.maintenance_interval,
        vacuum_age: section.vacuum_age,
        ..TablesOptions::default()
    };
    let deps = TablesDeps {
        catalog: Arc::clone(catalog),
        feed: Arc::clone(feed),
        clock: Arc::clone(clock),
        tags: Arc::new(DirectoryTags(Arc::clone(directory))),
        keys,
        dir: dir.to_owned(),
        options,
        tasks: tasks.clone(),
    };
    let tables = Tables::start(deps).await?;
    tasks.spawn("stores maintenance", OnError::Log, tables.clone().run_maintenance(tasks.shutdown().clone()));
    Ok(tables)
}

/// Changes that a crash between the catalog's commit and the journal's append may have kept from the tables. A version that
/// a table knows already changes nothing.
pub(super) fn reconciliation(stores: &[Versioned<EventDataStore>], tables: &Tables) -> Vec<JournalChange> {
    let gone = tables.stores().into_iter().filter(|key| stores.iter().all(|store| store.value.key != *key));
    let there = stores.iter().map(|store| StoreChange::PutEventDataStore(Box::new(store.value.clone())));
    there.chain(gone.map(StoreChange::DeleteEventDataStore)).map(JournalChange::from).collect()
}

/// Lets stores go that can no longer be restored, until the shutdown begins.
pub(super) async fn retire(
    stores: Stores,
    turns: Turns,
    recording: Recording,
    pending: Duration,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), StoreError> {
    let every = pending.clamp(RETIRE_AT_LEAST, RETIRE_EVERY);
    loop {
        tokio::select! {
            () = shutdown.begun() => return Ok(()),
            () = clock.sleep(every) => {}
        }
        loop {
            match retire_store(&stores, &turns, clock.now()).await {
                Ok(None) => break,
                Ok(Some(RetiredStore { change, turn })) => {
                    recording.append_change(change).await;
                    drop(turn);
                }
                Err(error) => {
                    warn!(%error, "event data stores could not be let go; trying again soon");
                    break;
                }
            }
        }
    }
}
