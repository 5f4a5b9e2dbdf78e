//! What a correlation rule asks for.

use std::collections::BTreeMap;

use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode,
};

use super::group::MOST_GROUP_ENTRIES;
use crate::Reason;

/// Rules that one correlation refers to: a set of them is the bits of a number.
const MOST_RULES: usize = 64;
/// Fields by which it groups.
const MOST_FIELDS: usize = 16;
/// How long a time it may look at.
const MOST_SPAN_SECS: u64 = 30 * 86_400;

/// A correlation rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CorrelationSpec {
    pub(crate) kind: Kind,
    /// Ids or names of the rules whose findings count, in order.
    pub(crate) rules: Vec<String>,
    /// Fields or aliases.
    pub(crate) group_by: Vec<String>,
    /// By alias: the field of each rule.
    aliases: BTreeMap<String, BTreeMap<String, String>>,
    /// Milliseconds.
    pub(crate) span: i64,
    /// The rules' own findings are wanted as well.
    pub(crate) generate: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// So many events.
    EventCount { at_least: u64 },
    /// So many different values of these fields, taken together.
    ValueCount { fields: Vec<String>, at_least: u64 },
    /// Rules that find something within the time.
    Temporal { order: Order, wanted: Wanted },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    AsListed,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wanted {
    All,
    /// `a and (b or c)`, by rules.
    These(ConditionExpr),
}

/// Where an entry of a group comes from: which of the correlation's rules found the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source(pub(crate) u8);

impl CorrelationSpec {
    pub(crate) fn of(rule: &CorrelationRule) -> Result<Self, Reason> {
        let span_secs = rule.timespan.seconds;
        if span_secs == 0 || span_secs > MOST_SPAN_SECS {
            return unsupported("its timespan is not between a second and 30 days");
        }
        if rule.window != WindowMode::Sliding || rule.gap.is_some() {
            return unsupported("its window is not the sliding one of the specification");
        }
        for (count, most, what) in [
            (rule.rules.len(), MOST_RULES, "the number of rules that it refers to"),
            (rule.group_by.len(), MOST_FIELDS, "the number of fields that it groups by"),
        ] {
            if count > most {
                return Err(Reason::TooLarge { what, most });
            }
        }
        if rule.rules.is_empty() {
            return Err(Reason::Invalid("it refers to no rule".to_owned()));
        }
        let aliases: BTreeMap<String, BTreeMap<String, String>> = rule
            .aliases
            .iter()
            .map(|alias| (alias.alias.clone(), alias.mapping.clone().into_iter().collect()))
            .collect();
        if let Some(name) =
            rule.aliases.iter().flat_map(|alias| alias.mapping.keys()).find(|name| !rule.rules.contains(name))
        {
            return Err(Reason::Invalid(format!("an alias maps '{name}', which is none of its rules")));
        }
        Ok(Self {
            kind: kind(rule)?,
            rules: rule.rules.clone(),
            group_by: rule.group_by.clone(),
            aliases,
            span: i64::try_from(span_secs * 1000).unwrap_or(i64::MAX),
            generate: rule.generate,
        })
    }

    /// The field that stands for `name` in events that `rule` finds; `None` where the alias does not say.
    pub(crate) fn field<'s>(&'s self, name: &'s str, rule: &str) -> Option<&'s str> {
        match self.aliases.get(name) {
            Some(mapping) => mapping.get(rule).map(String::as_str),
            None => Some(name),
        }
    }

    /// Every field that it reads.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        let counted = match &self.kind {
            Kind::ValueCount { fields, .. } => fields.as_slice(),
            Kind::EventCount { .. } | Kind::Temporal { .. } => &[],
        };
        let aliased = self.aliases.values().flat_map(BTreeMap::values);
        self.group_by.iter().chain(counted).chain(aliased).map(String::as_str)
    }

    /// Whether rules with these bits are what a temporal condition wants.
    pub(super) fn is_met_by(&self, wanted: &Wanted, rules: u64) -> bool {
        match wanted {
            Wanted::All => rules.count_ones() as usize == self.rules.len(),
            Wanted::These(condition) => self.holds(condition, rules),
        }
    }

    fn holds(&self, condition: &ConditionExpr, rules: u64) -> bool {
        match condition {
            ConditionExpr::And(parts) => parts.iter().all(|part| self.holds(part, rules)),
            ConditionExpr::Or(parts) => parts.iter().any(|part| self.holds(part, rules)),
            ConditionExpr::Identifier(name) => {
                self.rules.iter().position(|rule| rule == name).is_some_and(|bit| rules & (1 << bit) != 0)
            }
            // Refused when it was read.
            ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => false,
        }
    }
}

fn kind(rule: &CorrelationRule) -> Result<Kind, Reason> {
    let order = match rule.correlation_type {
        CorrelationType::EventCount => return Ok(Kind::EventCount { at_least: threshold(rule)?.0 }),
        CorrelationType::ValueCount => {
            let (at_least, fields) = threshold(rule)?;
            if fields.is_empty() || fields.len() > MOST_FIELDS {
                return Err(Reason::Invalid("a value_count names the field whose values it counts".to_owned()));
            }
            return Ok(Kind::ValueCount { fields, at_least });
        }
        CorrelationType::Temporal => Order::Any,
        CorrelationType::TemporalOrdered => Order::AsListed,
        other => return unsupported(&format!("correlations of type {} are not run", other.as_str())),
    };
    let wanted = match &rule.condition {
        CorrelationCondition::Threshold { .. } => Wanted::All,
        CorrelationCondition::Extended(_) if order == Order::AsListed => {
            return unsupported("the order of a condition's rules is not said by it; leave the condition away");
        }
        CorrelationCondition::Extended(condition) => {
            names(condition, &rule.rules)?;
            Wanted::These(condition.clone())
        }
    };
    let mut known = rule.rules.clone();
    known.sort_unstable();
    known.dedup();
    if known.len() < rule.rules.len() {
        return Err(Reason::Invalid("it refers to a rule twice".to_owned()));
    }
    Ok(Kind::Temporal { order, wanted })
}

/// What a count has to reach, and the fields of it. That a count stays below something is known only when the time is over.
fn threshold(rule: &CorrelationRule) -> Result<(u64, Vec<String>), Reason> {
    let CorrelationCondition::Threshold { predicates, field, .. } = &rule.condition else {
        return Err(Reason::Invalid("its condition is a mapping, e.g. gte: 10".to_owned()));
    };
    let mut at_least = 0;
    for (operator, count) in predicates {
        at_least = at_least.max(match operator {
            ConditionOperator::Gte => *count,
            ConditionOperator::Gt => count.saturating_add(1),
            _ => return unsupported("its condition is not gte or gt; others hold only once the time is over"),
        });
    }
    if at_least == 0 || at_least > MOST_GROUP_ENTRIES as u64 {
        return Err(Reason::Unsupported(format!("its condition counts to 0 or beyond {MOST_GROUP_ENTRIES}")));
    }
    Ok((at_least, field.clone().unwrap_or_default()))
}

fn names(condition: &ConditionExpr, rules: &[String]) -> Result<(), Reason> {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().try_for_each(|part| names(part, rules)),
        ConditionExpr::Identifier(name) if rules.contains(name) => Ok(()),
        ConditionExpr::Identifier(name) => {
            Err(Reason::Invalid(format!("its condition names '{name}', which is none of its rules")))
        }
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => {
            unsupported("its condition has more than 'and', 'or' and names of rules")
        }
    }
}

fn unsupported<T>(why: &str) -> Result<T, Reason> {
    Err(Reason::Unsupported(why.to_owned()))
}
