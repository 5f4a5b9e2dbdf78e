//! Correlation rules: what other rules find, counted over a time and by group.
//!
//! A [`CorrelationSpec`] says what is counted, a `Group` holds what was found for one set of the group's values, and the
//! [`Correlator`] has all groups, within bounds. All of it goes by the time of the events and by the order in which they
//! come, never by a clock: the same records give the same findings again.
//! (Sigma Correlation Rules Specification 2.)

mod group;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use group::{Entry, Group, Window};
pub(crate) use spec::{CorrelationSpec, Kind, Source};

/// Groups of one account, of all correlation rules together.
const MOST_GROUPS: usize = 20_000;
/// What they hold together.
const MOST_ENTRIES: usize = 200_000;
/// What is left where one of the two is passed, in hundredths.
const KEPT_PERCENT: usize = 90;

/// Which group: the rule's version, and the values by which it groups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct GroupKey {
    pub(crate) rule: String,
    pub(crate) group: String,
}

/// What correlation rules have seen so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Correlator {
    groups: BTreeMap<GroupKey, Group>,
    entries: usize,
    /// Changed since [`Correlator::take_changes`].
    changed: BTreeSet<GroupKey>,
}

impl Correlator {
    /// One that has seen what was stored.
    pub(crate) fn restored(groups: impl IntoIterator<Item = (GroupKey, Group)>) -> Self {
        let groups: BTreeMap<GroupKey, Group> = groups.into_iter().collect();
        let entries = groups.values().map(Group::len).sum();
        Self { groups, entries, changed: BTreeSet::new() }
    }

    /// Takes in what a rule of the correlation found. Answers with the window that now meets its condition.
    pub(crate) fn observe(&mut self, key: &GroupKey, spec: &CorrelationSpec, entry: Entry) -> Option<Window> {
        let group = self.groups.entry(key.clone()).or_default();
        let before = group.len();
        let (taken, window) = group.observe(spec, entry);
        self.entries = self.entries + group.len() - before;
        if taken {
            self.changed.insert(key.clone());
        }
        if self.groups.len() > MOST_GROUPS || self.entries > MOST_ENTRIES {
            self.shed();
        }
        window
    }

    /// Gives up the groups that have seen nothing for longest.
    fn shed(&mut self) {
        let mut ages: Vec<(i64, GroupKey)> =
            self.groups.iter().map(|(key, group)| (group.newest(), key.clone())).collect();
        ages.sort_unstable();
        let mut shed = 0_u64;
        for (_, key) in ages {
            let few = self.groups.len() * 100 <= MOST_GROUPS * KEPT_PERCENT;
            if few && self.entries * 100 <= MOST_ENTRIES * KEPT_PERCENT {
                break;
            }
            if let Some(group) = self.groups.remove(&key) {
                self.entries -= group.len();
                self.changed.insert(key);
                shed += 1;
            }
        }
        metrics::counter!("opentrail_sigma_groups_dropped_total", "reason" => "bound").increment(shed);
    }

    /// Forgets what belongs to rules that are no more, and groups that have seen nothing for so long that no window holds
    /// their events together with any of the newest. `span_of` answers in milliseconds.
    pub(crate) fn prune(&mut self, span_of: impl Fn(&str) -> Option<i64>) {
        let newest = self.groups.values().map(Group::newest).max().unwrap_or(i64::MIN);
        let is_over =
            |(key, group): &(&GroupKey, &Group)| span_of(&key.rule).is_none_or(|span| group.is_over(newest, span));
        let gone: Vec<GroupKey> = self.groups.iter().filter(is_over).map(|(key, _)| key.clone()).collect();
        for key in gone {
            if let Some(group) = self.groups.remove(&key) {
                self.entries -= group.len();
            }
            self.changed.insert(key);
        }
    }

    /// What changed since the last time; `None` where a group is gone.
    pub(crate) fn take_changes(&mut self) -> Vec<(GroupKey, Option<Group>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key.clone(), self.groups.get(&key).cloned())).collect()
    }

    /// How many groups have changed.
    pub(crate) fn changes(&self) -> usize {
        self.changed.len()
    }

    /// How many groups there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether nothing was seen yet.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
