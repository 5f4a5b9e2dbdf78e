use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, CrashPoint, Random};
use parking_lot::{Mutex, RwLock};
use sqlx::Row;
use tokio::sync::{MutexGuard, Notify};

use super::history::NewItem;
use super::outbox::Outgoing;
use super::plan::Plan;
use super::transition::Transition;
use super::{Alarm, AlarmKey, Problem, StateValue};
use crate::metric::{Datum, MetricName};
use crate::store::{Scope, Store, StoreError};

/// Why an alarm was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An alarm, and what its definition means.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) alarm: Alarm,
    pub(crate) plan: Plan,
    /// Periods before this, in seconds since the epoch, were evaluated when they were over.
    looked: AtomicI64,
}

impl Loaded {
    fn new(alarm: Alarm, plan: Plan) -> Self {
        Self { alarm, plan, looked: AtomicI64::new(i64::MIN) }
    }

    /// Whether the periods up to `closed`, and no later ones, were evaluated.
    pub(super) fn has_looked_at(&self, closed: i64) -> bool {
        self.looked.load(Ordering::Relaxed) == closed
    }

    pub(super) fn note_look(&self, closed: i64) {
        self.looked.store(closed, Ordering::Relaxed);
    }
}

/// All alarms as they are in the file, and who is to be looked at when what changes.
#[derive(Debug, Default)]
struct Registry {
    alarms: BTreeMap<AlarmKey, Arc<Loaded>>,
    /// Alarms that an open period may bring to ALARM, by metric.
    eager: HashMap<(Scope, MetricName), BTreeSet<AlarmKey>>,
    /// Composite alarms, by those that they depend on.
    parents: HashMap<AlarmKey, BTreeSet<AlarmKey>>,
}

/// What the evaluator is to look at.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Now.
    pub(super) dirty: BTreeSet<AlarmKey>,
    /// Later.
    pub(super) due: BTreeMap<AlarmKey, Timestamp>,
}

/// All alarms.
#[derive(Debug)]
pub(crate) struct Alarms {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    registry: RwLock<Registry>,
    /// Held over each change, from reading to what the file and the registry have of it.
    changing: tokio::sync::Mutex<()>,
    /// A change was begun and nobody saw it end: the registry may not be what the file is.
    is_stale: AtomicBool,
    pub(super) work: Mutex<Work>,
    /// There is something to evaluate.
    pub(super) wake: Notify,
    /// There is something in the outbox.
    pub(super) sent: Notify,
}

/// One change of an alarm.
#[derive(Debug)]
pub(crate) struct Change {
    key: AlarmKey,
    /// `None` deletes it.
    alarm: Option<Alarm>,
    items: Vec<NewItem>,
    outgoing: Vec<Outgoing>,
}

impl Change {
    pub(super) fn of(transition: Transition) -> Self {
        let Transition { alarm, items, outgoing, .. } = transition;
        Self { key: alarm.key(), alarm: Some(alarm), items, outgoing }
    }

    /// `alarm` is as it is now; `verb` (`created`, `updated`) says in its history how that came.
    pub(crate) fn configured(alarm: Alarm, now: Timestamp, verb: &str) -> Self {
        let items = vec![NewItem::configured(&alarm, now, verb)];
        Self { key: alarm.key(), alarm: Some(alarm), items, outgoing: Vec::new() }
    }

    /// `alarm` has changed in a way that its history does not tell.
    pub(crate) fn silent(alarm: Alarm) -> Self {
        Self { key: alarm.key(), alarm: Some(alarm), items: Vec::new(), outgoing: Vec::new() }
    }

    pub(crate) fn deleted(alarm: &Alarm, now: Timestamp) -> Self {
        let items = vec![NewItem::configured(alarm, now, "deleted")];
        Self { key: alarm.key(), alarm: None, items, outgoing: Vec::new() }
    }
}

/// The right to change alarms. The registry is what the file has while it is held.
pub(crate) struct Changing<'a> {
    alarms: &'a Alarms,
    _guard: MutexGuard<'a, ()>,
}

/// Says that the registry is stale unless told that all went well.
struct Unseen<'a>(&'a Alarms, bool);

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.is_stale.store(true, Ordering::Release);
        }
    }
}

impl Alarms {
    /// Reads all alarms of the file. Each is evaluated once the evaluator runs.
    pub(crate) async fn open(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        let alarms = Self {
            store,
            clock,
            random,
            registry: RwLock::default(),
            changing: tokio::sync::Mutex::new(()),
            is_stale: AtomicBool::new(false),
            work: Mutex::default(),
            wake: Notify::new(),
            sent: Notify::new(),
        };
        alarms.reload().await?;
        Ok(alarms)
    }

    async fn reload(&self) -> Result<(), StoreError> {
        let rows = sqlx::query("SELECT name, document FROM alarm").fetch_all(self.store.pool()).await?;
        let mut registry = Registry::default();
        for row in rows {
            let damaged =
                |name: String, reason: String| StoreError::Damaged { what: format!("alarm {name}: {reason}") };
            let name: String = row.try_get("name")?;
            let alarm: Alarm = serde_json::from_slice(&row.try_get::<Vec<u8>, _>("document")?)
                .map_err(|error| damaged(name.clone(), error.to_string()))?;
            let plan = Plan::of(&alarm.definition).map_err(|error| damaged(name, error.to_string()))?;
            registry.set(alarm.key(), Some(Arc::new(Loaded::new(alarm, plan))));
        }
        let keys: Vec<AlarmKey> = registry.alarms.keys().cloned().collect();
        *self.registry.write() = registry;
        self.work.lock().dirty.extend(keys);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for the right to change alarms.
    pub(crate) async fn changing(&self) -> Result<Changing<'_>, StoreError> {
        let guard = self.changing.lock().await;
        if self.is_stale.load(Ordering::Acquire) {
            self.reload().await?;
            self.is_stale.store(false, Ordering::Release);
        }
        Ok(Changing { alarms: self, _guard: guard })
    }

    /// The alarm.
    pub(crate) fn find(&self, key: &AlarmKey) -> Option<Arc<Loaded>> {
        self.registry.read().alarms.get(key).cloned()
    }

    /// The alarms of an account in a Region, in the order of their names.
    pub(crate) fn of(&self, scope: &Scope) -> Vec<Arc<Loaded>> {
        let from = AlarmKey { scope: scope.clone(), name: String::new() };
        let registry = self.registry.read();
        let alarms = registry.alarms.range(from..).take_while(|(key, _)| key.scope == *scope);
        alarms.map(|(_, alarm)| alarm.clone()).collect()
    }

    /// The composite alarms that depend on it.
    pub(crate) fn parents(&self, key: &AlarmKey) -> Vec<AlarmKey> {
        self.registry.read().parents.get(key).into_iter().flatten().cloned().collect()
    }

    /// Data have come: alarms that they may bring to ALARM before their period is over are evaluated.
    pub(crate) fn note(&self, data: &[Datum]) {
        let registry = self.registry.read();
        if registry.eager.is_empty() {
            return;
        }
        let mut seen = HashSet::new();
        let mut dirty = BTreeSet::new();
        for datum in data {
            if seen.insert((datum.account, &datum.region, &datum.metric)) {
                let scope = Scope { account: datum.account, region: datum.region.clone() };
                let watching = registry.eager.get(&(scope, datum.metric.clone()));
                dirty.extend(watching.into_iter().flatten().cloned());
            }
        }
        drop(registry);
        self.look_at(dirty);
    }

    /// Has the evaluator look at alarms.
    pub(crate) fn look_at(&self, keys: impl IntoIterator<Item = AlarmKey>) {
        let mut work = self.work.lock();
        let before = work.dirty.len();
        work.dirty.extend(keys);
        if work.dirty.len() > before {
            self.wake.notify_one();
        }
    }
}

impl Changing<'_> {
    /// Makes the changes durable, all or none; then everybody sees them.
    ///
    /// # Cancellation
    /// They may be made or not; the next change finds out.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let alarms = self.alarms;
        let mut unseen = Unseen(alarms, false);
        let mut writing = alarms.store.writing().await?;
        let mut loaded = Vec::with_capacity(changes.len());
        let sends = changes.iter().any(|change| !change.outgoing.is_empty());
        for Change { key, alarm, items, outgoing } in changes {
            match &alarm {
                Some(alarm) => put(&mut writing, alarm).await?,
                None => delete(&mut writing, &key).await?,
            }
            for item in &items {
                item.write(&mut writing).await?;
            }
            for errand in &outgoing {
                errand.write(&mut writing).await?;
            }
            let alarm = alarm.map(|alarm| Plan::of(&alarm.definition).map(|plan| Loaded::new(alarm, plan))).transpose();
            let alarm =
                alarm.map_err(|Problem(reason)| StoreError::Damaged { what: format!("{}: {reason}", key.name) })?;
            loaded.push((key, alarm.map(Arc::new)));
        }
        CrashPoint::MonitoringChange.reach();
        writing.commit().await?;
        CrashPoint::MonitoringChanged.reach();
        {
            let mut registry = alarms.registry.write();
            loaded.into_iter().for_each(|(key, alarm)| registry.set(key, alarm));
        }
        unseen.1 = true;
        if sends {
            alarms.sent.notify_one();
        }
        Ok(())
    }
}

async fn put(writing: &mut crate::store::Writing<'_>, alarm: &Alarm) -> Result<(), StoreError> {
    let document = serde_json::to_vec(alarm).expect("alarms have a JSON form");
    sqlx::query("INSERT OR REPLACE INTO alarm (account, region, name, document) VALUES (?, ?, ?, ?)")
        .bind(alarm.account.to_string())
        .bind(alarm.region.as_str())
        .bind(&alarm.name)
        .bind(document)
        .execute(&mut **writing.transaction())
        .await?;
    Ok(())
}

async fn delete(writing: &mut crate::store::Writing<'_>, key: &AlarmKey) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM alarm WHERE account = ? AND region = ? AND name = ?")
        .bind(key.scope.account.to_string())
        .bind(key.scope.region.as_str())
        .bind(&key.name)
        .execute(&mut **writing.transaction())
        .await?;
    Ok(())
}

impl Registry {
    /// Puts or removes an alarm.
    fn set(&mut self, key: AlarmKey, alarm: Option<Arc<Loaded>>) {
        if let Some(old) = self.alarms.remove(&key) {
            self.index(&key, &old, |keys, key| {
                keys.remove(key);
            });
        }
        if let Some(alarm) = alarm {
            self.index(&key, &alarm, |keys, key| {
                keys.insert(key.clone());
            });
            self.alarms.insert(key, alarm);
        }
    }

    fn index(&mut self, key: &AlarmKey, loaded: &Loaded, change: impl Fn(&mut BTreeSet<AlarmKey>, &AlarmKey)) {
        match &loaded.plan {
            Plan::Metric(plan) if plan.is_certain_early() && loaded.alarm.state.value != StateValue::Alarm => {
                if let Some(metric) = plan.queries.only_metric() {
                    let watched = (key.scope.clone(), metric.metric.clone());
                    let keys = self.eager.entry(watched.clone()).or_default();
                    change(keys, key);
                    if keys.is_empty() {
                        self.eager.remove(&watched);
                    }
                }
            }
            Plan::Metric(_) => {}
            Plan::Composite(plan) => {
                for name in plan.children() {
                    let child = AlarmKey { scope: key.scope.clone(), name: name.to_owned() };
                    let keys = self.parents.entry(child.clone()).or_default();
                    change(keys, key);
                    if keys.is_empty() {
                        self.parents.remove(&child);
                    }
                }
            }
        }
    }
}
