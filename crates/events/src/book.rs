//! The rules in memory, ready to look at events: what the catalog holds, as of the last change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};
use parking_lot::RwLock;
use tokio::sync::Notify;

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
    set: PatternSet<String>,
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
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let mut buses: HashMap<BusPlace, Vec<Rule>> = HashMap::new();
        for rule in rules {
            buses.entry(rule.bus.clone()).or_default().push(rule);
        }
        let pages = buses.into_iter().map(|(place, rules)| (place, Arc::new(Page::new(&rules, None))));
        Self { buses: RwLock::new(pages.collect()), changed: Notify::new() }
    }

    /// Takes over all rules of a bus, as they are in the catalog now. Whoever looks at an event after this looks with them.
    pub(crate) fn replace(&self, bus: &BusPlace, rules: &[Rule]) {
        let page = Arc::new(Page::new(rules, self.page(bus).as_deref()));
        let mut buses = self.buses.write();
        if page.rules.is_empty() {
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
    fn new(rules: &[Rule], old: Option<&Self>) -> Self {
        let mut page = Self::default();
        for rule in rules.iter().filter(|rule| rule.state != RuleState::Disabled) {
            let ready = Ready::new(rule, old.and_then(|old| old.rules.get(&rule.name)).map(|old| &**old));
            if ready.targets.is_empty() && ready.schedule.is_none() {
                continue;
            }
            if let Some((_, pattern)) = &ready.pattern {
                page.set.insert(rule.name.clone(), pattern.clone());
            }
            page.rules.insert(rule.name.clone(), Arc::new(ready));
        }
        page
    }

    /// What the rules make of a record that stands at `position`.
    pub(crate) fn take_record(
        &self,
        envelope: &Envelope<'_>,
        (position, kind): (Position, Kind),
        scratch: &mut Scratch,
    ) -> Option<Matched> {
        let takes = |rule: &Ready| {
            let takes_all = rule.state == RuleState::EnabledWithAllCloudtrailManagementEvents;
            position > rule.since && (kind == Kind::Other || takes_all)
        };
        let invocations = self.take(&envelope.event(), takes, 0, scratch);
        (!invocations.is_empty()).then(|| Matched { body: envelope.body(), invocations })
    }

    /// What the rules make of an event of an application.
    pub(crate) fn take_event(&self, envelope: &Envelope<'_>, scratch: &mut Scratch) -> Option<Matched> {
        let invocations = self.take(&envelope.event(), |_| true, 0, scratch);
        (!invocations.is_empty()).then(|| Matched { body: envelope.body(), invocations })
    }

    /// What the rules make of an event that came over `hops` buses before.
    pub(crate) fn take_whole(&self, body: &Bytes, hops: u32, scratch: &mut Scratch) -> Matched {
        Matched { body: body.clone(), invocations: self.take(&Event::Whole(body), |_| true, hops, scratch) }
    }

    fn take(
        &self,
        event: &Event<'_>,
        takes: impl Fn(&Ready) -> bool,
        hops: u32,
        scratch: &mut Scratch,
    ) -> Vec<NewInvocation> {
        let matching = self.set.matches(event, scratch).filter_map(|name| self.rules.get(name));
        let rules = matching.filter(|rule| takes(rule));
        rules.flat_map(|rule| rule.invocations(hops)).collect()
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
