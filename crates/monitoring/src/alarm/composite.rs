//! Composite alarms: their state out of others', and actions that another alarm holds back.
//! (CloudWatch User Guide, "Create a composite alarm", "Alarm suppression".)

use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plan::{CompositePlan, Suppressor};
use super::{AlarmKey, State, StateValue, long_time};
use crate::store::Scope;

/// What holds actions back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SuppressedBy {
    WaitPeriod,
    ExtensionPeriod,
    Alarm,
}

impl SuppressedBy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WaitPeriod => "WaitPeriod",
            Self::ExtensionPeriod => "ExtensionPeriod",
            Self::Alarm => "Alarm",
        }
    }
}

/// A change of state whose actions are held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The state before.
    pub(crate) old: State,
    /// When it changed.
    pub(crate) since: Timestamp,
}

/// What a composite alarm holds back, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suppression {
    pub(crate) held: Option<Held>,
    pub(crate) by: Option<SuppressedBy>,
    /// When the suppressor left ALARM, as far as it held something back before.
    released: Option<Timestamp>,
}

/// What is to be done with what is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// Nothing yet; look again then, or when the suppressor changes.
    Hold(Option<Timestamp>),
    /// Perform the actions.
    Perform,
}

impl Suppression {
    /// Looks at the suppressor and the time. When it is [`Release::Perform`], nothing is held back any more.
    pub(super) fn settle(&mut self, suppressor: Option<(&Suppressor, Option<StateValue>)>, now: Timestamp) -> Release {
        let Some(held) = &self.held else {
            *self = Self::default();
            return Release::Hold(None);
        };
        let Some((suppressor, state)) = suppressor else {
            return self.perform();
        };
        if state == Some(StateValue::Alarm) {
            self.by = Some(SuppressedBy::Alarm);
            self.released = None;
            return Release::Hold(None);
        }
        let (by, until) = match self.by {
            Some(SuppressedBy::Alarm | SuppressedBy::ExtensionPeriod) => {
                // A clock that went back must not hold for longer than the period.
                let released = self.released.unwrap_or(now).min(now);
                self.released = Some(released);
                (SuppressedBy::ExtensionPeriod, released + suppressor.extension)
            }
            Some(SuppressedBy::WaitPeriod) | None => (SuppressedBy::WaitPeriod, held.since.min(now) + suppressor.wait),
        };
        if now >= until {
            return self.perform();
        }
        self.by = Some(by);
        Release::Hold(Some(until))
    }

    fn perform(&mut self) -> Release {
        *self = Self::default();
        Release::Perform
    }
}

/// The state that the rule gives, by the states of other alarms of the same account and Region, and why.
pub(super) fn state(
    plan: &CompositePlan,
    scope: &Scope,
    old: &State,
    states: &impl Fn(&str) -> Option<State>,
    now: Timestamp,
) -> State {
    let value = |alarm: &str| states(alarm).map(|state| state.value);
    let new = if plan.rule.holds(&value) { StateValue::Alarm } else { StateValue::Ok };
    if new == old.value {
        return old.clone();
    }
    // The child that changed last is what did it.
    let mut children: Vec<(String, State)> = plan
        .rule
        .alarms()
        .into_iter()
        .filter_map(|name| Some((AlarmKey { scope: scope.clone(), name: name.to_owned() }.arn(), states(name)?)))
        .collect();
    children.sort_by_key(|(_, state)| std::cmp::Reverse(state.transitioned));
    let reason = match children.first() {
        Some((arn, state)) => {
            let when = state.transitioned.format("%A %d %B, %Y %H:%M:%S UTC");
            format!("{arn} transitioned to {} at {when}", state.value)
        }
        None => format!("The rule is {}", if new == StateValue::Alarm { "TRUE" } else { "FALSE" }),
    };
    let told = |(arn, state): &(String, State)| json!({ "arn": arn, "state": { "value": state.value, "timestamp": long_time(state.transitioned) } });
    let triggering: Value = children.iter().take(10).map(told).collect();
    State {
        value: new,
        reason: reason.chars().take(1023).collect(),
        reason_data: Some(json!({ "triggeringAlarms": triggering }).to_string()).filter(|data| data.len() <= 4000),
        updated: now,
        transitioned: now,
    }
}
