//! Rules made ready to run.

use std::sync::Arc;

use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use rsigma_parser::{Detection, Modifier, SigmaRule, SigmaValue};
use serde_json::Value;

use crate::correlate::{CorrelationSpec, Source};
use crate::document::{self, Document};
use crate::gate::Gate;
use crate::phrase::phrase;
use crate::record::Members;
use crate::rule::{RuleKind, items};
use crate::{Reason, Refused, Rule, RuleHead, Unreadable};

/// Rules of one set.
pub const MOST_RULES: usize = 2_000;

/// Rules that run together over records.
pub struct RuleSet {
    engine: Engine,
    pub(crate) heads: Vec<Arc<RuleHead>>,
    gate: Gate,
    members: Members,
    pub(crate) correlations: Vec<Correlation>,
    /// By rule: the correlations that it feeds, and as which of their rules.
    pub(crate) feeds: Vec<Vec<(usize, Source)>>,
    /// Whether what the rule finds is a finding by itself.
    pub(crate) speaks: Vec<bool>,
}

/// A correlation rule of a set.
#[derive(Debug)]
pub(crate) struct Correlation {
    /// Its number among all rules.
    pub(crate) rule: usize,
    pub(crate) spec: CorrelationSpec,
    /// By which its groups are kept: another version of the rule begins anew.
    pub(crate) version: String,
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet").field("rules", &self.heads.len()).finish_non_exhaustive()
    }
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::of(&[]).0
    }
}

/// Reads the rules in files of the given names and texts; of each that is none, or does not run here, says why.
pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> (Vec<Rule>, Vec<Refused>) {
    let (mut rules, mut refused) = (Vec::<Rule>::new(), Vec::new());
    for (file, text) in files {
        for document in document::split(file, text, &mut refused) {
            let named = Document { text: String::new(), ..document.clone() };
            match Rule::read(document) {
                Ok(rule) => match rules.iter().find(|known| known.head.id == rule.head.id) {
                    Some(known) => refused.push(named.refused(Reason::Duplicate(known.head.title.clone()))),
                    None => rules.push(rule),
                },
                Err(reason) => refused.push(named.refused(reason)),
            }
        }
    }
    (rules, refused)
}

impl RuleSet {
    /// Reads the rules in files and makes them ready; of each that does not run here, says why.
    pub fn load<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> (Self, Vec<Refused>) {
        let (rules, mut refused) = read(files);
        let (set, more) = Self::of(&rules);
        refused.extend(more);
        (set, refused)
    }

    /// Makes rules ready. A correlation without its rules is refused, and whatever refers to it.
    pub fn of(rules: &[Rule]) -> (Self, Vec<Refused>) {
        let (engine, failed) = compile(rules);
        let mut set = Self {
            engine,
            heads: rules.iter().map(|rule| Arc::new(rule.head.clone())).collect(),
            gate: Gate::default(),
            members: Members::default(),
            correlations: Vec::new(),
            feeds: vec![Vec::new(); rules.len()],
            speaks: vec![true; rules.len()],
        };
        for rule in rules {
            match &rule.kind {
                RuleKind::Detection(detection) => {
                    set.gate.admit(&detection.detection);
                    add_members(&mut set.members, detection);
                }
                RuleKind::Correlation(spec) => spec.fields().for_each(|field| set.members.add(field)),
            }
        }
        let unresolved = set.connect(rules, &failed);
        let refused = failed.into_iter().map(|(number, reason)| rules[number].document.refused(reason));
        (set, refused.chain(unresolved).collect())
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// How many rules there are, refused ones not counted.
    pub fn len(&self) -> usize {
        self.engine.rule_count() + self.correlations.len()
    }

    /// Whether any rule may find an event of this name and source; `None` where the record has none that is a text.
    pub fn may_match(&self, event_name: Option<&str>, event_source: Option<&str>) -> bool {
        !self.is_empty() && self.gate.lets_in(event_name, event_source)
    }

    /// The rules that find the record, in the order in which they were given; correlations aside.
    ///
    /// # Errors
    /// [`Unreadable`] when the record is no JSON object.
    pub fn matches(&self, record: &[u8]) -> Result<Vec<Arc<RuleHead>>, Unreadable> {
        let (_, found) = self.evaluate(record)?;
        Ok(found.into_iter().map(|rule| Arc::clone(&self.heads[rule])).collect())
    }

    /// The record as far as rules read it, and the numbers of the rules that find it, growing.
    pub(crate) fn evaluate(&self, record: &[u8]) -> Result<(Value, Vec<usize>), Unreadable> {
        let event = self.members.read(record)?;
        // The number of a rule stands where the engine has its id.
        let found = self.engine.evaluate(&JsonEvent::borrow(&event));
        let mut rules: Vec<usize> =
            found.iter().filter_map(|found| found.header.rule_id.as_ref()?.parse().ok()).collect();
        rules.sort_unstable();
        rules.dedup();
        Ok((event, rules))
    }

    /// Ties correlations to their rules. One may refer to another one, never in a circle.
    fn connect(&mut self, rules: &[Rule], failed: &[(usize, Reason)]) -> Vec<Refused> {
        let mut usable: Vec<bool> = rules.iter().map(|rule| matches!(rule.kind, RuleKind::Detection(_))).collect();
        failed.iter().for_each(|(number, _)| usable[*number] = false);
        let mut open: Vec<usize> =
            (0..rules.len()).filter(|rule| matches!(rules[*rule].kind, RuleKind::Correlation(_))).collect();
        // Each round ties those whose rules are all there; what is left refers to nothing, or to itself.
        loop {
            let before = open.len();
            open.retain(|number| {
                let RuleKind::Correlation(spec) = &rules[*number].kind else { return false };
                let found: Option<Vec<usize>> = spec.rules.iter().map(|name| resolve(rules, &usable, name)).collect();
                let Some(found) = found else { return true };
                usable[*number] = true;
                self.tie(*number, &rules[*number], spec, &found);
                false
            });
            if open.len() == before {
                break;
            }
        }
        let missing =
            |spec: &CorrelationSpec| spec.rules.iter().find(|name| resolve(rules, &usable, name).is_none()).cloned();
        open.iter()
            .filter_map(|number| {
                let RuleKind::Correlation(spec) = &rules[*number].kind else { return None };
                Some(rules[*number].document.refused(Reason::Unresolved(missing(spec).unwrap_or_default())))
            })
            .collect()
    }

    fn tie(&mut self, number: usize, rule: &Rule, spec: &CorrelationSpec, sources: &[usize]) {
        let correlation = self.correlations.len();
        for (place, source) in sources.iter().enumerate() {
            // At most 64, which was checked.
            let place = Source(u8::try_from(place).unwrap_or(u8::MAX));
            // A rule that one correlation silences speaks when another one wants it to.
            let silenced_before = !self.feeds[*source].is_empty() && !self.speaks[*source];
            let first = self.feeds[*source].is_empty();
            self.feeds[*source].push((correlation, place));
            self.speaks[*source] = spec.generate || !(first || silenced_before);
        }
        let version = crate::finding::finding_id(&[&rule.head.id, &rule.document.text]);
        self.correlations.push(Correlation { rule: number, spec: spec.clone(), version });
    }
}

/// The number of the rule that a correlation means.
fn resolve(rules: &[Rule], usable: &[bool], name: &str) -> Option<usize> {
    let by_id = rules.iter().position(|rule| rule.head.id == name);
    by_id.or_else(|| rules.iter().position(|rule| rule.head.is_called(name))).filter(|rule| usable[*rule])
}

/// The engine, and the numbers of the rules that it does not take.
fn compile(rules: &[Rule]) -> (Engine, Vec<(usize, Reason)>) {
    let mut engine = Engine::new();
    let numbered: Vec<(usize, SigmaRule)> = rules
        .iter()
        .enumerate()
        .filter_map(|(number, rule)| match &rule.kind {
            RuleKind::Detection(detection) => {
                // Every match clones what the engine has about the rule.
                let id = Some(number.to_string());
                let mut rule = SigmaRule { id, title: String::new(), tags: Vec::new(), ..(**detection).clone() };
                phrase(&mut rule);
                Some((number, rule))
            }
            RuleKind::Correlation(_) => None,
        })
        .collect();
    let errors = engine.add_rules(numbered.iter().map(|(_, rule)| rule));
    let failed =
        errors.into_iter().filter_map(|(at, error)| Some((numbered.get(at)?.0, Reason::Invalid(error.to_string()))));
    (engine, failed.collect())
}

fn add_members(members: &mut Members, rule: &SigmaRule) {
    for detection in rule.detection.named.values() {
        if has_keywords(detection) {
            *members = Members::All;
        }
        items(detection, &mut |item| {
            match &item.field.name {
                Some(path) => members.add(path),
                None => *members = Members::All,
            }
            if item.field.modifiers.contains(&Modifier::FieldRef) {
                for value in &item.values {
                    if let SigmaValue::String(path) = value {
                        members.add(&path.original);
                    }
                }
            }
        });
    }
}

fn has_keywords(detection: &Detection) -> bool {
    match detection {
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => true,
        Detection::AllOf(_) => false,
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().any(has_keywords),
    }
}
