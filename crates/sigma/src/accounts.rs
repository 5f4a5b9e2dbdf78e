//! The rules of every account as they apply along the journal, and what their correlations have seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_event::{Event, EventBatch};
use opentrail_model::{AccountId, Position, Source, Timestamp};

use crate::correlate::{Group, GroupKey};
use crate::finding::{About, event_id, short};
use crate::run::Found;
use crate::store::StoredRule;
use crate::{Correlator, Finding, Rule, RuleSet};

/// Findings after which a batch is interrupted to save them.
const MOST_FINDINGS: usize = 1_000;
/// How far an event's time may be ahead of when it was received; with one from further ahead everything else in a
/// correlation would be late.
const AHEAD: Duration = Duration::from_secs(300);
/// After so many entries of the journal correlations are pruned: at the same ones on every replay.
const PRUNED_EVERY: u64 = 1 << 16;

/// One account's rules.
#[derive(Debug, Default)]
struct Account {
    /// Each set applies to what comes after its position, up to that of the next.
    epochs: Vec<(Position, Arc<RuleSet>)>,
    correlator: Correlator,
}

/// All accounts.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    accounts: BTreeMap<AccountId, Account>,
    pruned: u64,
}

/// What came of a part of a batch.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) findings: Vec<Finding>,
    /// The row to go on with; `None` when the batch is done.
    pub(crate) next: Option<usize>,
    /// All up to here is looked at.
    pub(crate) position: Position,
}

impl Accounts {
    /// Everything as it was at `position`.
    pub(crate) fn restored(
        position: Position,
        rules: Vec<StoredRule>,
        groups: Vec<(AccountId, GroupKey, Group)>,
    ) -> Self {
        let mut by_account = BTreeMap::<AccountId, Vec<StoredRule>>::new();
        for rule in rules {
            by_account.entry(rule.account).or_default().push(rule);
        }
        let mut seen = BTreeMap::<AccountId, Vec<(GroupKey, Group)>>::new();
        for (account, key, group) in groups {
            seen.entry(account).or_default().push((key, group));
        }
        let mut accounts = Self { accounts: BTreeMap::new(), pruned: position.0 / PRUNED_EVERY };
        for (account, rules) in by_account {
            accounts.set_rules(account, position, &rules);
        }
        for (account, groups) in seen {
            accounts.accounts.entry(account).or_default().correlator = Correlator::restored(groups);
        }
        accounts
    }

    /// The account's rules are these, in all versions; all up to `position` is looked at.
    pub(crate) fn set_rules(&mut self, account: AccountId, position: Position, rules: &[StoredRule]) {
        self.accounts.entry(account).or_default().epochs = epochs(position, rules);
    }

    /// Looks at the batch from row `from` on.
    pub(crate) fn fold(&mut self, batch: &EventBatch, from: usize) -> Folded {
        let mut findings = Vec::new();
        for row in from..batch.len() {
            let event = batch.event(row);
            if findings.len() >= MOST_FINDINGS {
                let position = batch.event(row - 1).position();
                // An entry is one record, so that nothing of `position` is left.
                return Folded { findings, next: Some(row), position };
            }
            self.prune(event.position());
            if !matches!(event.source(), Source::Channel | Source::StoreInsights)
                && let Some(account) = self.accounts.get_mut(&event.account())
            {
                account.look_at(event, &mut findings);
            }
        }
        Folded { findings, next: None, position: batch.through }
    }

    fn prune(&mut self, position: Position) {
        let now = position.0 / PRUNED_EVERY;
        if now == self.pruned {
            return;
        }
        self.pruned = now;
        for account in self.accounts.values_mut() {
            let mut spans = BTreeMap::new();
            for correlation in account.epochs.iter().flat_map(|(_, set)| &set.correlations) {
                spans.insert(correlation.version.as_str(), correlation.spec.span);
            }
            account.correlator.prune(|version| spans.get(version).copied());
        }
    }

    /// What correlations have seen since the last time; `None` where a group is gone.
    pub(crate) fn take_changes(&mut self) -> Vec<(AccountId, GroupKey, Option<Group>)> {
        let changes = self.accounts.iter_mut().flat_map(|(account, state)| {
            state.correlator.take_changes().into_iter().map(|(key, group)| (*account, key, group))
        });
        changes.collect()
    }

    /// How many groups have changed.
    pub(crate) fn changes(&self) -> usize {
        self.accounts.values().map(|account| account.correlator.changes()).sum()
    }
}

impl Account {
    fn look_at(&mut self, event: Event<'_>, findings: &mut Vec<Finding>) {
        let position = event.position();
        let Some((_, set)) = self.epochs.iter().rev().find(|(since, _)| *since < position) else { return };
        if !set.may_match(event.name(), event.event_source()) {
            return;
        }
        let evaluated = match set.evaluate(event.raw()) {
            Ok((_, rules)) if rules.is_empty() => return,
            Ok(evaluated) => evaluated,
            Err(error) => {
                metrics::counter!("opentrail_sigma_unreadable_records_total").increment(1);
                tracing::debug!(%position, %error, "a record cannot be looked at by rules");
                return;
            }
        };
        let (value, rules) = evaluated;
        let record = Bytes::copy_from_slice(event.raw());
        let about = About {
            event_id: event_id(event.id(), &record),
            time: time(event),
            account: event.account(),
            region: event.region().map(short),
        };
        let found = Found { set, event: &value, about: &about, record: &record };
        findings.extend(found.findings(&rules, &mut self.correlator));
    }
}

/// When the event happened, or where it does not say so in earnest, when it was received.
fn time(event: Event<'_>) -> Timestamp {
    let received = event.received();
    event.time().filter(|time| *time <= received + AHEAD).unwrap_or(received)
}

fn epochs(position: Position, rules: &[StoredRule]) -> Vec<(Position, Arc<RuleSet>)> {
    let mut changes: BTreeSet<Position> =
        rules.iter().flat_map(|rule| [Some(rule.since), rule.until]).flatten().collect();
    // What applied before is over.
    if let Some(first) = changes.range(..=position).next_back().copied() {
        changes = changes.split_off(&first);
    }
    changes.into_iter().map(|since| (since, Arc::new(set_at(since, rules)))).collect()
}

/// The rules that apply to what comes right after the position.
fn set_at(position: Position, rules: &[StoredRule]) -> RuleSet {
    let applies = |rule: &&StoredRule| rule.since <= position && rule.until.is_none_or(|until| until > position);
    let read: Vec<Rule> = rules.iter().filter(applies).filter_map(reread).collect();
    let (set, refused) = RuleSet::of(&read);
    for refused in refused {
        tracing::error!(rule = refused.rule, reason = %refused.reason, "a loaded rule cannot be run any more; load it again");
    }
    set
}

/// A stored rule was read when it was loaded; another version of the server may see it otherwise.
pub(crate) fn reread(stored: &StoredRule) -> Option<Rule> {
    match Rule::parse(&stored.file, &stored.text) {
        Ok(mut rule) => {
            rule.document.label.clone_from(&stored.title);
            Some(rule)
        }
        Err(reason) => {
            tracing::error!(rule = stored.id, %reason, "a loaded rule cannot be run any more; load it again");
            None
        }
    }
}
