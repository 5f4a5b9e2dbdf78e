//! The rules in memory, ready to look at events: what the catalog holds, as of the last change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::archive::Archive;
use crate::archivist::is_replayed;
use crate::envelope::Envelope;
use crate::outbox::{Matched, NewInvocation};
use crate::place::{BusPlace, DEFAULT};
use crate::rule::{Rule, RuleState, Target};
use crate::schedule::{InvalidSchedule, Schedule};

/// The rules of every bus that has any.
#[derive(Debug, Default)]
pub(crate) struct Book {
    buses: RwLock<HashMap<BusPlace, Arc<Page>>>,
    changed: Notify,
}

/// The rules of one bus.
#[derive(Debug, Default)]
pub(crate) struct Page {
    rules: BTreeMap<String, Arc<Ready>>,
    archives: BTreeMap<String, Shelf>,
    set: PatternSet<Taker>,
}

/// Who takes events, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Taker {
    Rule(String),
    Archive(String),
}

/// An archive that keeps events.
#[derive(Debug)]
struct Shelf {
    key: Arc<str>,
    since: Position,
    /// Whether it keeps all: then it has no pattern in the set.
    keeps_all: bool,
}

/// Which events are looked at.
#[derive(Clone, Copy, Debug)]
enum Looked<'a> {
    /// A record at a position.
    Record(Position, Kind),
    /// Something that was put.
    Put,
    /// Something that a replay sends again, to these rules, or to all if there are none.
    Again(&'a [String]),
}

/// A rule that looks at events, or makes some.
#[derive(Debug)]
pub(crate) struct Ready {
    arn: Arc<str>,
    state: RuleState,
    since: Position,
    /// The pattern as it was given, and as it was read.
    pattern: Option<(String, EventPattern)>,
    /// The schedule, and since when it holds.
    schedule: Option<(Schedule, Timestamp)>,
    targets: Vec<Arc<Target>>,
}

/// Which of CloudTrail's events a record is, as states of rules tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A management event that only reads.
    ReadOnlyManagement,
    /// Any other.
    Other,
}

impl Book {
    /// The book of these rules. One whose pattern is no longer understood takes no events, which is logged.
    pub(crate) fn new(rules: Vec<Rule>, archives: Vec<Archive>) -> Self {
        let mut buses: HashMap<BusPlace, (Vec<Rule>, Vec<Archive>)> = HashMap::new();
        for rule in rules {
            buses.entry(rule.bus.clone()).or_default().0.push(rule);
        }
        for archive in archives {
            buses.entry(archive.bus.clone()).or_default().1.push(archive);
        }
        let page = |(place, (rules, archives)): (BusPlace, (Vec<Rule>, Vec<Archive>))| {
            (place, Arc::new(Page::new(&rules, archives.iter(), None)))
        };
        let pages = buses.into_iter().map(page);
        Self { buses: RwLock::new(pages.collect()), changed: Notify::new() }
    }

    /// Takes over all rules and archives of a bus, as they are in the catalog now. Whoever looks at an event after this
    /// looks with them.
    pub(crate) fn replace<'a>(&self, bus: &BusPlace, rules: &[Rule], archives: impl Iterator<Item = &'a Archive>) {
        let page = Arc::new(Page::new(rules, archives, self.page(bus).as_deref()));
        let mut buses = self.buses.write();
        if page.rules.is_empty() && page.archives.is_empty() {
            buses.remove(bus);
        } else {
            buses.insert(bus.clone(), page);
        }
        self.changed.notify_one();
    }

    /// Waits until rules may have changed since the last time this returned. Only one may wait.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The rules that make events of their own.
    pub(crate) fn scheduled(&self) -> Vec<Arc<Ready>> {
        let is_scheduled = |rule: &&Arc<Ready>| rule.schedule.is_some();
        self.buses.read().values().flat_map(|page| page.rules.values().filter(is_scheduled).cloned()).collect()
    }

    /// The rules of a bus, if it has any that look at events.
    pub(crate) fn page(&self, bus: &BusPlace) -> Option<Arc<Page>> {
        self.buses.read().get(bus).cloned()
    }

    /// The rules of the default bus there, as [`Self::page`].
    pub(crate) fn default_page(&self, account: AccountId, region: &str) -> Option<Arc<Page>> {
        let region = region.parse().ok()?;
        self.page(&BusPlace { account, region, name: DEFAULT.to_owned() })
    }

    /// Whether no rule looks at anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.buses.read().is_empty()
    }
}

impl Page {
    /// The page of these rules. Patterns that `old` has read are not read again.
    fn new<'a>(rules: &[Rule], archives: impl Iterator<Item = &'a Archive>, old: Option<&Self>) -> Self {
        let mut page = Self::default();
        for rule in rules.iter().filter(|rule| rule.state != RuleState::Disabled) {
            let ready = Ready::new(rule, old.and_then(|old| old.rules.get(&rule.name)).map(|old| &**old));
            if ready.targets.is_empty() && ready.schedule.is_none() {
                continue;
            }
            if let Some((_, pattern)) = &ready.pattern {
                page.set.insert(Taker::Rule(rule.name.clone()), pattern.clone());
            }
            page.rules.insert(rule.name.clone(), Arc::new(ready));
        }
        for archive in archives {
            page.keep(archive);
        }
        page
    }

    fn keep(&mut self, archive: &Archive) {
        let pattern = archive.event_pattern.as_deref().map(EventPattern::parse).transpose();
        let pattern = match pattern {
            Ok(pattern) => pattern,
            Err(error) => {
                let archive = archive.arn();
                tracing::error!(archive, %error, "the archive keeps no events: its pattern is not understood");
                return;
            }
        };
        let shelf = Shelf { key: archive.shelf().into(), since: archive.since, keeps_all: pattern.is_none() };
        if let Some(pattern) = pattern {
            self.set.insert(Taker::Archive(archive.name.clone()), pattern);
        }
        self.archives.insert(archive.name.clone(), shelf);
    }

    /// What the rules make of a record that stands at `position`.
    pub(crate) fn take_record(
        &self,
        envelope: &Envelope<'_>,
        (position, kind): (Position, Kind),
        scratch: &mut Scratch,
    ) -> Option<Matched> {
        self.take(&envelope.event(), || envelope.body(), Looked::Record(position, kind), 0, scratch)
    }

    /// What the rules make of an event of an application.
    pub(crate) fn take_event(&self, envelope: &Envelope<'_>, scratch: &mut Scratch) -> Option<Matched> {
        self.take(&envelope.event(), || envelope.body(), Looked::Put, 0, scratch)
    }

    /// What the rules make of an event that came over `hops` buses before.
    pub(crate) fn take_whole(&self, body: &Bytes, hops: u32, scratch: &mut Scratch) -> Option<Matched> {
        self.take(&Event::Whole(body), || body.clone(), Looked::Put, hops, scratch)
    }

    /// What these rules, or all if there are none, make of an event that a replay sends again.
    pub(crate) fn take_again(&self, body: &Bytes, rules: &[String], scratch: &mut Scratch) -> Option<Matched> {
        self.take(&Event::Whole(body), || body.clone(), Looked::Again(rules), 0, scratch)
    }

    /// `None` when nobody takes it.
    fn take(
        &self,
        event: &Event<'_>,
        body: impl FnOnce() -> Bytes,
        looked: Looked<'_>,
        hops: u32,
        scratch: &mut Scratch,
    ) -> Option<Matched> {
        let keeps_all = self.archives.values().filter(|shelf| shelf.keeps_all && shelf.takes(looked));
        let mut archives: Vec<Arc<str>> = keeps_all.map(|shelf| Arc::clone(&shelf.key)).collect();
        let mut invocations = Vec::new();
        for taker in self.set.matches(event, scratch) {
            match taker {
                Taker::Rule(name) => {
                    let rule = self.rules.get(name).filter(|rule| rule.takes(looked));
                    invocations.extend(rule.into_iter().flat_map(|rule| rule.invocations(hops)));
                }
                Taker::Archive(name) => {
                    let shelf = self.archives.get(name).filter(|shelf| shelf.takes(looked));
                    archives.extend(shelf.map(|shelf| Arc::clone(&shelf.key)));
                }
            }
        }
        if archives.is_empty() && invocations.is_empty() {
            return None;
        }
        let body = body();
        // It may have come from another bus, where it was sent again.
        if is_replayed(&body) {
            archives.clear();
        }
        Some(Matched { body, invocations, archives })
    }
}

impl Shelf {
    /// Archives see what rules in the state `ENABLED` see. (User Guide, "Archiving events": an archive has such a rule.)
    fn takes(&self, looked: Looked<'_>) -> bool {
        match looked {
            Looked::Record(position, kind) => position > self.since && kind == Kind::Other,
            Looked::Put => true,
            Looked::Again(_) => false,
        }
    }
}

impl Ready {
    /// What is not understood is left out and logged: the rule takes no events, or makes none. `old` is the rule as it was.
    fn new(rule: &Rule, old: Option<&Self>) -> Self {
        let arn = rule.place().arn();
        let known = old.and_then(|old| old.pattern.clone());
        let pattern = rule.event_pattern.clone().and_then(|text| match known {
            Some((known, pattern)) if known == text => Some((text, pattern)),
            _ => match EventPattern::parse(&text) {
                Ok(pattern) => Some((text, pattern)),
                Err(error) => {
                    tracing::error!(rule = arn, %error, "the rule takes no events: its pattern is not understood");
                    None
                }
            },
        });
        let schedule = rule.schedule.as_ref().and_then(|scheduled| match scheduled.expression.parse() {
            Ok(schedule) => Some((schedule, scheduled.since)),
            Err(InvalidSchedule) => {
                tracing::error!(rule = arn, "the rule makes no events: its schedule is not understood");
                None
            }
        });
        let targets = rule.targets.iter().cloned().map(Arc::new).collect();
        Self { arn: arn.into(), state: rule.state, since: rule.since, pattern, schedule, targets }
    }

    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    fn takes(&self, looked: Looked<'_>) -> bool {
        match looked {
            Looked::Record(position, kind) => {
                let takes_all = self.state == RuleState::EnabledWithAllCloudtrailManagementEvents;
                position > self.since && (kind == Kind::Other || takes_all)
            }
            Looked::Put => true,
            Looked::Again(rules) => rules.is_empty() || rules.iter().any(|rule| *rule == *self.arn),
        }
    }

    /// The schedule, and since when it holds.
    pub(crate) fn schedule(&self) -> Option<&(Schedule, Timestamp)> {
        self.schedule.as_ref()
    }

    /// One of each target, for an event that came over `hops` buses before.
    pub(crate) fn invocations(&self, hops: u32) -> impl Iterator<Item = NewInvocation> + '_ {
        let invocation =
            move |target: &Arc<Target>| NewInvocation { rule: Arc::clone(&self.arn), target: Arc::clone(target), hops };
        self.targets.iter().map(invocation)
    }
}
