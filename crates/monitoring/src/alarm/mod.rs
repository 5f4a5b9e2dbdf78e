//! Alarms: what they watch, what state they are in, and what follows from a change of it.
//!
//! [`Alarm`] is the stored document; [`Plan`] what its definition means. [`decide`](decide::decide) is CloudWatch's rule of
//! how data, and missing data, make a state. [`Alarms`] holds all of them, evaluates, and commits each transition together
//! with its history and with what goes to its actions; [`Dispatcher`] brings that to them.

mod alarms;
mod composite;
mod decide;
mod dispatch;
mod evaluate;
mod history;
mod notification;
mod outbox;
mod plan;
mod reason;
mod regions;
mod rule;
mod transition;

use std::collections::BTreeMap;
use std::fmt;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_wire::cloudwatch::{PutCompositeAlarmInput, PutMetricAlarmInput};
use serde::{Deserialize, Serialize};

pub(crate) use alarms::{Alarms, Change, ChangeError, Loaded};
pub(crate) use composite::Suppression;
pub(crate) use dispatch::Dispatcher;
pub use dispatch::{ActionError, AlarmActions};
pub(crate) use history::{HistoryItem, HistoryQuery};
pub use notification::AlarmNotification;
pub(crate) use plan::{Plan, Problem};

use crate::store::Scope;

/// What an alarm is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StateValue {
    /// Within its threshold.
    #[serde(rename = "OK")]
    Ok,
    /// Outside.
    #[serde(rename = "ALARM")]
    Alarm,
    /// Nothing can be said.
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl StateValue {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    /// From the API's spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData].into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for StateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A state, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) value: StateValue,
    pub(crate) reason: String,
    /// JSON.
    pub(crate) reason_data: Option<String>,
    /// When value or reason last changed.
    pub(crate) updated: Timestamp,
    /// When the value last changed.
    pub(crate) transitioned: Timestamp,
}

impl State {
    /// Of an alarm that nobody has looked at yet.
    pub(crate) fn unchecked(now: Timestamp) -> Self {
        Self {
            value: StateValue::InsufficientData,
            reason: UNCHECKED.to_owned(),
            reason_data: None,
            updated: now,
            transitioned: now,
        }
    }

    pub(crate) fn is_unchecked(&self) -> bool {
        self.reason == UNCHECKED
    }
}

const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// What an alarm watches and does, as its caller put it; tags are kept beside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Definition {
    Metric(Box<PutMetricAlarmInput>),
    Composite(Box<PutCompositeAlarmInput>),
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) name: String,
    pub(crate) definition: Definition,
    pub(crate) tags: BTreeMap<String, String>,
    /// When the definition last changed.
    pub(crate) configured: Timestamp,
    pub(crate) state: State,
    /// Of a composite alarm: what it holds back.
    pub(crate) suppression: Suppression,
}

/// Whose alarm, where, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AlarmKey {
    pub(crate) scope: Scope,
    pub(crate) name: String,
}

impl AlarmKey {
    pub(crate) fn new(account: AccountId, region: &Region, name: &str) -> Self {
        Self { scope: Scope { account, region: region.clone() }, name: name.to_owned() }
    }

    pub(crate) fn arn(&self) -> String {
        let Scope { account, region } = &self.scope;
        format!("arn:{}:cloudwatch:{region}:{account}:alarm:{}", region.partition(), self.name)
    }
}

impl Alarm {
    pub(crate) fn key(&self) -> AlarmKey {
        AlarmKey::new(self.account, &self.region, &self.name)
    }

    pub(crate) fn arn(&self) -> String {
        self.key().arn()
    }

    pub(crate) fn description(&self) -> Option<&str> {
        match &self.definition {
            Definition::Metric(metric) => metric.alarm_description.as_deref(),
            Definition::Composite(composite) => composite.alarm_description.as_deref(),
        }
    }

    pub(crate) fn are_actions_enabled(&self) -> bool {
        let enabled = match &self.definition {
            Definition::Metric(metric) => metric.actions_enabled,
            Definition::Composite(composite) => composite.actions_enabled,
        };
        enabled.unwrap_or(true)
    }

    pub(crate) fn enable_actions(&mut self, enabled: bool) {
        match &mut self.definition {
            Definition::Metric(metric) => metric.actions_enabled = Some(enabled),
            Definition::Composite(composite) => composite.actions_enabled = Some(enabled),
        }
    }

    /// What is done when the alarm comes into a state.
    pub(crate) fn actions(&self, state: StateValue) -> &[String] {
        let (ok, alarm, insufficient) = match &self.definition {
            Definition::Metric(metric) => {
                (&metric.ok_actions, &metric.alarm_actions, &metric.insufficient_data_actions)
            }
            Definition::Composite(composite) => {
                (&composite.ok_actions, &composite.alarm_actions, &composite.insufficient_data_actions)
            }
        };
        let actions = match state {
            StateValue::Ok => ok,
            StateValue::Alarm => alarm,
            StateValue::InsufficientData => insufficient,
        };
        actions.as_deref().unwrap_or_default()
    }

    /// `MetricAlarm` or `CompositeAlarm`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.definition {
            Definition::Metric(_) => "MetricAlarm",
            Definition::Composite(_) => "CompositeAlarm",
        }
    }
}

/// `2026-01-02T03:04:05.678+0000`, as CloudWatch writes times into texts.
pub(crate) fn long_time(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3f+0000")
}

#[cfg(test)]
mod tests;
