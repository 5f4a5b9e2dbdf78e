//! The rules in memory, ready to look at events: what the catalog holds, as of the last change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use opentrail_model::{AccountId, Position};
use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};
use parking_lot::RwLock;

use crate::envelope::Envelope;
use crate::outbox::{Matched, NewInvocation};
use crate::place::{BusPlace, DEFAULT};
use crate::rule::{Rule, RuleState, Target};

/// The rules of every bus that has any.
#[derive(Debug, Default)]
pub(crate) struct Book {
    buses: RwLock<HashMap<BusPlace, Arc<Page>>>,
}

/// The rules of one bus.
#[derive(Debug, Default)]
pub(crate) struct Page {
    rules: BTreeMap<String, Arc<Ready>>,
    set: PatternSet<String>,
}

/// A rule that looks at events.
#[derive(Debug)]
struct Ready {
    arn: Arc<str>,
    state: RuleState,
    since: Position,
    /// The pattern as it was given, and as it was read.
    text: String,
    pattern: EventPattern,
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
        Self { buses: RwLock::new(pages.collect()) }
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
        for rule in rules.iter().filter(|rule| rule.state != RuleState::Disabled && !rule.targets.is_empty()) {
            let arn = rule.place().arn();
            let known = old.and_then(|old| old.rules.get(&rule.name)).filter(|old| old.text == rule.event_pattern);
            let pattern =
                match known.map_or_else(|| EventPattern::parse(&rule.event_pattern), |old| Ok(old.pattern.clone())) {
                    Ok(pattern) => pattern,
                    Err(error) => {
                        tracing::error!(rule = arn, %error, "the rule takes no events: its pattern is not understood");
                        continue;
                    }
                };
            let ready = Arc::new(Ready {
                arn: arn.into(),
                state: rule.state,
                since: rule.since,
                text: rule.event_pattern.clone(),
                pattern: pattern.clone(),
                targets: rule.targets.iter().cloned().map(Arc::new).collect(),
            });
            page.set.insert(rule.name.clone(), pattern);
            page.rules.insert(rule.name.clone(), ready);
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
        let invocation = |rule: &Arc<Ready>, target: &Arc<Target>| NewInvocation {
            rule: Arc::clone(&rule.arn),
            target: Arc::clone(target),
            hops,
        };
        rules.flat_map(|rule| rule.targets.iter().map(move |target| invocation(rule, target))).collect()
    }
}
