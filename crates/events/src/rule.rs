//! Rules as documents, their targets in them.

use std::collections::BTreeMap;
use std::time::Duration;

use opentrail_model::{Arn, Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::place::{BusPlace, RulePlace};
use crate::tags::Tag;

/// A rule of a bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The bus whose events it looks at.
    pub bus: BusPlace,
    /// Its name, unique on the bus.
    pub name: String,
    /// Which events it takes: the pattern as it was given. `None` when it is scheduled only.
    pub event_pattern: Option<String>,
    /// When it makes an event of its own, if it does.
    #[serde(default)]
    pub schedule: Option<Scheduled>,
    /// Whether it takes any.
    pub state: RuleState,
    /// What its makers say of it.
    pub description: Option<String>,
    /// The role that came with it; targets have roles of their own.
    pub role_arn: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Where its events go, at most as many as the service's options say.
    pub targets: Vec<Target>,
    /// The journal's tail when it was made or last switched on: it takes records after that only.
    pub since: Position,
    /// When it was made.
    pub created: Timestamp,
}

impl Rule {
    pub(crate) fn place(&self) -> RulePlace {
        RulePlace { bus: self.bus.clone(), name: self.name.clone() }
    }
}

/// When a rule makes events of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// As it was given, e.g. `rate(5 minutes)`.
    pub expression: String,
    /// When it was given, or the rule was last switched on: rates count from here, and nothing is due before.
    pub since: Timestamp,
}

/// Whether a rule takes events. (API Reference, PutRule, `State`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RuleState {
    /// It takes events, of CloudTrail's management events those that write.
    Enabled,
    /// It takes none.
    Disabled,
    /// It takes events, CloudTrail's read-only management events too.
    EnabledWithAllCloudtrailManagementEvents,
}

impl RuleState {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::EnabledWithAllCloudtrailManagementEvents => "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
        }
    }

    /// The state of this name, which the service model has checked; `Enabled` when a request names none.
    pub(crate) fn from_name(name: Option<&str>) -> Self {
        match name {
            Some("DISABLED") => Self::Disabled,
            Some("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => Self::EnabledWithAllCloudtrailManagementEvents,
            _ => Self::Enabled,
        }
    }
}

/// Where a rule's events go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name, unique in the rule.
    pub id: String,
    /// What is invoked.
    pub arn: Arn,
    /// The role that invokes it.
    pub role_arn: Option<String>,
    /// What it is given.
    pub input: Input,
    /// The message group of a FIFO queue.
    pub message_group_id: Option<String>,
    /// What is added to an API destination's requests.
    pub http: Option<HttpParameters>,
    /// The queue for what cannot be delivered.
    pub dead_letter: Option<Arn>,
    /// How long it is tried.
    pub retry: RetryPolicy,
}

/// What a target is given of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// All of it.
    #[default]
    Event,
    /// This JSON text, whatever the event.
    Constant(String),
    /// The part of the event that a path leads to.
    Path(String),
    /// A template with parts of the event.
    Transformer {
        /// The paths, by the names that the template uses.
        paths: BTreeMap<String, String>,
        /// The template.
        template: String,
    },
}

/// What a target adds to the requests of its API destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpParameters {
    /// What the stars in the endpoint stand for, in order.
    pub path: Vec<String>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Parameters of the query.
    pub query: BTreeMap<String, String>,
}

/// How long a target is tried. (API Reference, RetryPolicy.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries after the first, up to 185.
    pub attempts: Option<u32>,
    /// How old an event may grow, in seconds, from a minute to a day.
    pub age_seconds: Option<u32>,
}

impl RetryPolicy {
    /// What holds unless a target says otherwise. (EventBridge User Guide, "Event retry policy".)
    pub(crate) const DEFAULT: Self = Self { attempts: None, age_seconds: None };

    pub(crate) fn most_attempts(self) -> u32 {
        self.attempts.unwrap_or(185)
    }

    pub(crate) fn most_age(self) -> Duration {
        Duration::from_secs(self.age_seconds.unwrap_or(86_400).into())
    }
}
