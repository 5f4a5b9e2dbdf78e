//! The digest chains of a trail: one per account and Region, each a document of its own, and which is due next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentrail_catalog::{Change, Expect};
use opentrail_model::{AccountId, OrganizationId, Region, Timestamp};
use opentrail_trails::{Trail, TrailKey};

use crate::back_off::BackOff;
use crate::chain::Chain;
use crate::state::{CHAINS, chain_name};

/// Chains by [`chain_name`]. What is changed here is durable with the next commit of the worker.
#[derive(Debug)]
pub(super) struct Chains {
    interval: Duration,
    all: BTreeMap<String, Chain>,
    /// Of chains whose digest failed, or may have arrived before a crash.
    backoffs: BTreeMap<String, BackOff>,
    /// When each chain next needs work, in the order of time.
    due: BTreeSet<(Timestamp, String)>,
    /// The same by name.
    due_of: BTreeMap<String, Timestamp>,
    /// The chains that changed since the last commit.
    changed: BTreeSet<String>,
}

impl Chains {
    /// The chains as they are stored; digests of `pending` ones are on their way.
    pub(super) fn new<'p>(
        interval: Duration,
        stored: BTreeMap<String, Chain>,
        pending: impl Iterator<Item = &'p String>,
    ) -> Self {
        let mut chains = Self {
            interval,
            all: stored,
            // What was on its way at a crash may have arrived.
            backoffs: pending.map(|name| (name.clone(), BackOff::in_doubt())).collect(),
            due: BTreeSet::new(),
            due_of: BTreeMap::new(),
            changed: BTreeSet::new(),
        };
        for name in chains.all.keys().cloned().collect::<Vec<_>>() {
            chains.schedule(&name);
        }
        chains
    }

    pub(super) fn get(&self, name: &str) -> Option<&Chain> {
        self.all.get(name)
    }

    /// The chain that needs work first, and when.
    pub(super) fn next(&self) -> Option<(&str, Timestamp)> {
        self.due.first().map(|(at, name)| (name.as_str(), *at))
    }

    pub(super) fn are_closed(&self) -> bool {
        self.all.values().all(|chain| !chain.open)
    }

    pub(super) fn backoff(&self, name: &str) -> Option<&BackOff> {
        self.backoffs.get(name)
    }

    /// Changes how the chain's digest is tried again.
    pub(super) fn delay(&mut self, name: &str, change: impl FnOnce(&mut BackOff)) {
        change(self.backoffs.entry(name.to_owned()).or_default());
        self.schedule(name);
    }

    /// The chain after its digest was delivered, or given up.
    pub(super) fn advanced(&mut self, name: &str, chain: Chain) {
        self.backoffs.remove(name);
        self.all.insert(name.to_owned(), chain);
        self.touch(name);
    }

    /// Makes sure that the chain of `account` and `region` is open; its digests are to lie below `organization`.
    pub(super) fn open(
        &mut self,
        account: AccountId,
        region: &Region,
        organization: Option<&OrganizationId>,
        now: Timestamp,
    ) {
        let name = chain_name(account, region);
        let chain = self.all.entry(name.clone());
        let chain =
            chain.and_modify(|chain| chain.open(now)).or_insert_with(|| Chain::new(account, region.clone(), now));
        chain.organization = organization.cloned();
        self.touch(&name);
    }

    /// What becomes of the chains when the trail is `after` and was `before`: no trail is one that makes no digests.
    pub(super) fn obey(&mut self, before: Option<&Trail>, after: Option<&Trail>, now: Timestamp) {
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            let Some(chain) = self.all.get_mut(&name) else { continue };
            match after {
                Some(trail) if trail.logs(chain.account) => {
                    // From here on its digests lie where its log files do. The chain goes on.
                    let organization = trail.organization.as_ref().map(|organization| &organization.id);
                    if chain.organization.as_ref() != organization {
                        chain.organization = organization.cloned();
                        self.touch(&name);
                    }
                }
                _ if chain.open => {
                    chain.close(now);
                    self.touch(&name);
                }
                _ => {}
            }
        }
        let Some(trail) = after else { return };
        let organization = trail.organization.as_ref().map(|organization| &organization.id);
        let joined = |account: &AccountId| before.is_none_or(|before| !before.logs(*account));
        for account in trail.accounts().filter(joined) {
            self.open(account, &trail.key.home_region, organization, now);
        }
    }

    /// The changes that store what was changed since this was last asked.
    pub(super) fn take_changes(&mut self, trail: &TrailKey) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let put = |name: String| {
            let chain = self.all.get(&name)?;
            Some(Change::put(CHAINS, format!("{trail}/{name}"), Expect::Anything, chain))
        };
        changed.into_iter().filter_map(put).collect()
    }

    /// Sees to it that every chain is stored with the next commit.
    pub(super) fn store_all(&mut self) {
        self.changed = self.all.keys().cloned().collect();
    }

    fn touch(&mut self, name: &str) {
        self.changed.insert(name.to_owned());
        self.schedule(name);
    }

    fn schedule(&mut self, name: &str) {
        if let Some(at) = self.due_of.remove(name) {
            self.due.remove(&(at, name.to_owned()));
        }
        let Some(due) = self.all.get(name).and_then(|chain| chain.due(self.interval)) else { return };
        let retry = self.backoffs.get(name).and_then(BackOff::next);
        let at = retry.map_or(due, |retry| retry.max(due));
        self.due.insert((at, name.to_owned()));
        self.due_of.insert(name.to_owned(), at);
    }
}
