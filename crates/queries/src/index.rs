//! What is known of every query without asking the catalog: enough to list and count them, and how those that are under
//! way are getting on.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::Shutdown;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{Alias, Query, QueryKey, QueryStatus, Scanned};

/// A query that is queued or running.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Begins when somebody cancels it.
    pub(crate) cancel: Shutdown,
    state: Mutex<(Option<Timestamp>, Scanned)>,
}

impl Progress {
    /// It begins to run at `now`.
    pub(crate) fn start(&self, now: Timestamp) {
        self.state.lock().0 = Some(now);
    }

    /// It has read so much.
    pub(crate) fn scanned(&self, scanned: Scanned) {
        self.state.lock().1 = scanned;
    }

    /// Since when it runs, and what it read.
    pub(crate) fn so_far(&self) -> (Option<Timestamp>, Scanned) {
        *self.state.lock()
    }
}

/// What is known of a query.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) created: Timestamp,
    pub(crate) stores: Vec<Uuid>,
    pub(crate) alias: Option<Alias>,
    pub(crate) state: State,
}

#[derive(Clone, Debug)]
pub(crate) enum State {
    UnderWay(Arc<Progress>),
    Ended(QueryStatus),
}

impl Entry {
    pub(crate) fn of(query: &Query) -> Self {
        let state = match &query.ended {
            Some(ended) => State::Ended(ended.status),
            None => State::UnderWay(Arc::default()),
        };
        let stores = query.stores.iter().map(|store| store.id).collect();
        Self { created: query.created, stores, alias: query.alias.clone(), state }
    }

    pub(crate) fn status(&self) -> QueryStatus {
        match &self.state {
            State::Ended(status) => *status,
            State::UnderWay(progress) if progress.so_far().0.is_some() => QueryStatus::Running,
            State::UnderWay(_) => QueryStatus::Queued,
        }
    }
}

/// All queries by key.
#[derive(Debug, Default)]
pub(crate) struct Index(Mutex<BTreeMap<QueryKey, Entry>>);

impl Index {
    /// Adds a query.
    pub(crate) fn insert(&self, key: QueryKey, entry: Entry) {
        self.0.lock().insert(key, entry);
    }

    /// Adds queries of one account and Region that are under way, unless there would be more than `limit` of them then.
    pub(crate) fn admit(&self, queries: Vec<(QueryKey, Entry)>, limit: usize) -> bool {
        let Some((QueryKey { account, region, .. }, _)) = queries.first() else { return true };
        let mut entries = self.0.lock();
        let under_way = |(_, entry): &(&QueryKey, &Entry)| matches!(entry.state, State::UnderWay(_));
        if of_place(&entries, *account, region).filter(under_way).count() + queries.len() > limit {
            return false;
        }
        entries.extend(queries);
        true
    }

    pub(crate) fn remove(&self, key: &QueryKey) {
        self.0.lock().remove(key);
    }

    pub(crate) fn find(&self, key: &QueryKey) -> Option<Entry> {
        self.0.lock().get(key).cloned()
    }

    /// Says how a query ended; its progress, if it was under way.
    pub(crate) fn end(&self, key: &QueryKey, status: QueryStatus) -> Option<Arc<Progress>> {
        let mut entries = self.0.lock();
        let state = std::mem::replace(&mut entries.get_mut(key)?.state, State::Ended(status));
        match state {
            State::UnderWay(progress) => Some(progress),
            State::Ended(_) => None,
        }
    }

    /// The queries of an account in a Region.
    pub(crate) fn of_account(&self, account: AccountId, region: &Region) -> Vec<(QueryKey, Entry)> {
        let entries = self.0.lock();
        of_place(&entries, account, region).map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }

    /// The latest of the account's queries in a Region for which `meant` holds.
    pub(crate) fn latest(
        &self,
        account: AccountId,
        region: &Region,
        meant: impl Fn(&Entry) -> bool,
    ) -> Option<QueryKey> {
        let entries = self.0.lock();
        let all = of_place(&entries, account, region).filter(|(_, entry)| meant(entry));
        all.max_by_key(|(key, entry)| (entry.created, key.id)).map(|(key, _)| key.clone())
    }

    /// Those that have ended and were created at `until` or before.
    pub(crate) fn old(&self, until: Timestamp) -> Vec<QueryKey> {
        let entries = self.0.lock();
        let old = |entry: &Entry| matches!(entry.state, State::Ended(_)) && entry.created <= until;
        entries.iter().filter(|(_, entry)| old(entry)).map(|(key, _)| key.clone()).collect()
    }
}

fn of_place<'a>(
    entries: &'a BTreeMap<QueryKey, Entry>,
    account: AccountId,
    region: &Region,
) -> impl Iterator<Item = (&'a QueryKey, &'a Entry)> {
    let first = QueryKey { account, region: region.clone(), id: Uuid::nil() };
    let region = region.clone();
    entries.range(first..).take_while(move |(key, _)| key.account == account && key.region == region)
}
