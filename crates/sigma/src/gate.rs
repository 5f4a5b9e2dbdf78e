//! Which events can be found by any rule, told by `eventName` and `eventSource` alone: the others' JSON is not read.
//!
//! The gate may let an event through that no rule finds, never the other way round: a rule's demands are only what its
//! condition cannot be met without.

use std::collections::{BTreeSet, HashMap, HashSet};

use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier, SelectorPattern, SigmaValue,
};

const NAME: &str = "eventName";
const SOURCE: &str = "eventSource";

/// In lower case; `None` asks for nothing.
type Wanted = Option<BTreeSet<String>>;

/// What an event must have so that one rule can find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Demand {
    names: Wanted,
    sources: Wanted,
}

/// The demands of all rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// By name; a source of its own where the rule wants one.
    by_name: HashMap<String, Sources>,
    /// Of rules that want any name.
    sources: HashSet<String>,
    /// There is a rule that wants nothing in particular.
    open: bool,
}

#[derive(Clone, Debug)]
enum Sources {
    Any,
    These(BTreeSet<String>),
}

impl Gate {
    pub(crate) fn admit(&mut self, rule: &Detections) {
        let demand = demand(rule);
        let Some(names) = demand.names else {
            match demand.sources {
                Some(sources) => self.sources.extend(sources),
                None => self.open = true,
            }
            return;
        };
        for name in names {
            let known = self.by_name.entry(name).or_insert_with(|| Sources::These(BTreeSet::new()));
            match (&mut *known, &demand.sources) {
                (Sources::Any, _) => {}
                (Sources::These(_), None) => *known = Sources::Any,
                (Sources::These(sources), Some(more)) => sources.extend(more.iter().cloned()),
            }
        }
    }

    /// Whether a rule may find an event of this name and source. What is `None` is missing or no text, and may be
    /// anything.
    pub(crate) fn lets_in(&self, name: Option<&str>, source: Option<&str>) -> bool {
        let (Some(name), Some(source)) = (name, source) else { return true };
        if self.open {
            return true;
        }
        let source = source.to_lowercase();
        self.sources.contains(&source)
            || match self.by_name.get(&name.to_lowercase()) {
                None => false,
                Some(Sources::Any) => true,
                Some(Sources::These(sources)) => sources.contains(&source),
            }
    }
}

fn demand(rule: &Detections) -> Demand {
    let conditions: Vec<Demand> = rule.conditions.iter().map(|condition| of_condition(condition, rule)).collect();
    any_of(conditions)
}

fn of_condition(condition: &ConditionExpr, rule: &Detections) -> Demand {
    match condition {
        ConditionExpr::Identifier(name) => rule.named.get(name).map(of_detection).unwrap_or_default(),
        ConditionExpr::And(parts) => all_of(parts.iter().map(|part| of_condition(part, rule))),
        ConditionExpr::Or(parts) => any_of(parts.iter().map(|part| of_condition(part, rule))),
        ConditionExpr::Not(_) => Demand::default(),
        ConditionExpr::Selector { quantifier, pattern } => {
            let parts = named(rule, pattern);
            match quantifier {
                Quantifier::All => all_of(parts),
                Quantifier::Any | Quantifier::Count(_) => any_of(parts),
            }
        }
    }
}

fn named(rule: &Detections, pattern: &SelectorPattern) -> Vec<Demand> {
    let found = rule.named.iter().filter(|(name, _)| pattern.matches_detection_name(name));
    found.map(|(_, detection)| of_detection(detection)).collect()
}

fn of_detection(detection: &Detection) -> Demand {
    match detection {
        Detection::AllOf(items) => all_of(items.iter().map(of_item)),
        Detection::And(parts) => all_of(parts.iter().map(of_detection)),
        Detection::AnyOf(parts) => any_of(parts.iter().map(of_detection)),
        // These name members of something else, or any text.
        Detection::ArrayMatch { .. } | Detection::Conditional { .. } | Detection::Keywords(_) => Demand::default(),
    }
}

fn of_item(item: &DetectionItem) -> Demand {
    match item.field.name.as_deref() {
        Some(NAME) => Demand { names: texts(item), sources: None },
        Some(SOURCE) => Demand { names: None, sources: texts(item) },
        _ => Demand::default(),
    }
}

/// The texts that the field is compared with as a whole.
fn texts(item: &DetectionItem) -> Wanted {
    if item.field.modifiers.iter().any(|modifier| *modifier != Modifier::Cased) {
        return None;
    }
    let plain = |value: &SigmaValue| match value {
        SigmaValue::String(text) => text.as_plain().map(|text| text.to_lowercase()),
        _ => None,
    };
    item.values.iter().map(plain).collect()
}

/// What each of them demands is demanded; of several demands the smallest is taken, which is enough.
fn all_of(parts: impl IntoIterator<Item = Demand>) -> Demand {
    let mut all = Demand::default();
    for part in parts {
        tighten(&mut all.names, part.names);
        tighten(&mut all.sources, part.sources);
    }
    all
}

fn tighten(all: &mut Wanted, part: Wanted) {
    let Some(part) = part else { return };
    if all.as_ref().is_none_or(|all| part.len() < all.len()) {
        *all = Some(part);
    }
}

/// Only what every one of them demands is demanded.
fn any_of(parts: impl IntoIterator<Item = Demand>) -> Demand {
    let either = |all: Wanted, part: Wanted| Some(all?.into_iter().chain(part?).collect());
    let joined = parts.into_iter().reduce(|all, part| Demand {
        names: either(all.names, part.names),
        sources: either(all.sources, part.sources),
    });
    joined.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(detection: &str) -> Gate {
        let text = format!("title: t\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n{detection}");
        let mut gate = Gate::default();
        for rule in rsigma_parser::parse_sigma_yaml(&text).unwrap().rules {
            gate.admit(&rule.detection);
        }
        gate
    }

    #[test]
    fn a_rule_of_one_name_and_source_lets_in_nothing_else() {
        let gate = gate("  s: {eventSource: iam.amazonaws.com, eventName: [CreateUser, DeleteUser]}\n  condition: s\n");
        assert!(gate.lets_in(Some("createuser"), Some("IAM.amazonaws.com")));
        assert!(gate.lets_in(None, Some("ec2.amazonaws.com")) && gate.lets_in(Some("X"), None));
        assert!(!gate.lets_in(Some("CreateUser"), Some("ec2.amazonaws.com")));
        assert!(!gate.lets_in(Some("ListUsers"), Some("iam.amazonaws.com")));
    }

    #[test]
    fn wildcards_modifiers_and_negations_demand_nothing() {
        for detection in [
            "  s: {eventName: 'Create*'}\n  condition: s\n",
            "  s: {eventName|contains: Create}\n  condition: s\n",
            "  s: {eventName: CreateUser}\n  condition: not s\n",
            "  s: {eventName: [CreateUser, null]}\n  condition: s\n",
            "  s: {eventName: CreateUser}\n  t: {errorCode: x}\n  condition: s or t\n",
            "  s: {eventName: CreateUser}\n  t: {errorCode: x}\n  condition: 1 of them\n",
            "  s:\n    - eventName: CreateUser\n    - errorCode: x\n  condition: s\n",
            "  s: [CreateUser]\n  condition: s\n",
        ] {
            assert!(gate(detection).lets_in(Some("Other"), Some("s3.amazonaws.com")), "{detection}");
        }
    }

    #[test]
    fn what_is_anded_is_demanded() {
        for detection in [
            "  s: {eventName: A}\n  t: {errorCode: x}\n  condition: s and not t\n",
            "  s_1: {eventName: A}\n  s_2: {errorCode: x}\n  condition: all of s_*\n",
            "  s: {eventName: A}\n  t: {eventName: B}\n  condition: s or t\n",
        ] {
            let gate = gate(detection);
            assert!(gate.lets_in(Some("A"), Some("s")) && !gate.lets_in(Some("C"), Some("s")), "{detection}");
        }
    }
}
