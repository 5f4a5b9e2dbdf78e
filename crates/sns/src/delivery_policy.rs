//! How often and when a delivery is tried again. (Developer Guide, "Amazon SNS message delivery retries", "Creating an
//! HTTP/S delivery policy".)

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::endpoint::Protocol;
use crate::error::SnsError;

/// The longest that all of a policy's delays may take together.
const LONGEST_SECS: u64 = 3600;

/// The most retries of a policy that is set.
const MOST_RETRIES: u32 = 100;

/// Retries in four phases: at once, before the back-off, the back-off, after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RetryPolicy {
    /// Seconds: the delay before the back-off, and where it begins.
    pub(crate) min_delay_target: u32,
    /// Seconds: the delay after the back-off, and where it ends.
    pub(crate) max_delay_target: u32,
    /// All retries; the back-off has those that no other phase has.
    pub(crate) num_retries: u32,
    pub(crate) num_max_delay_retries: u32,
    pub(crate) num_no_delay_retries: u32,
    pub(crate) num_min_delay_retries: u32,
    pub(crate) backoff_function: Backoff,
}

/// How delays grow in the back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backoff {
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

/// What a topic's or a subscription's `DeliveryPolicy` sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveryPolicy {
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) most_per_second: Option<u32>,
    pub(crate) content_type: Option<String>,
    /// Of a topic: its subscriptions' own policies do not count.
    pub(crate) overrides_disabled: bool,
}

/// What holds for one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) retry: RetryPolicy,
    pub(crate) most_per_second: Option<u32>,
    pub(crate) content_type: Option<String>,
}

/// What messages to HTTP endpoints say they are, unless the policy says otherwise.
pub(crate) const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// The content types that a policy may ask for.
const CONTENT_TYPES: &[&str] = &[
    "text/plain",
    "application/json",
    "text/csv",
    "text/html",
    "text/xml",
    "application/atom+xml",
    "application/pdf",
    "application/rdf+xml",
    "application/rss+xml",
    "application/soap+xml",
    "application/xhtml+xml",
    "application/xml",
    "application/xop+xml",
];

impl Default for RetryPolicy {
    /// What HTTP endpoints have unless something else is set: three retries, 20 seconds apart.
    fn default() -> Self {
        Self {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: Backoff::Linear,
        }
    }
}

impl RetryPolicy {
    /// What an endpoint of `protocol` has by itself. (The table "Delivery policies": services 100,015 times over 23 days,
    /// others 50 times over 6 hours.)
    pub(crate) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http | Protocol::Https => Self::default(),
            Protocol::Sqs => Self {
                min_delay_target: 1,
                max_delay_target: 20,
                num_retries: 100_015,
                num_max_delay_retries: 100_000,
                num_no_delay_retries: 3,
                num_min_delay_retries: 2,
                backoff_function: Backoff::Exponential,
            },
            Protocol::Email | Protocol::EmailJson => Self {
                min_delay_target: 10,
                max_delay_target: 600,
                num_retries: 50,
                num_max_delay_retries: 38,
                num_no_delay_retries: 0,
                num_min_delay_retries: 2,
                backoff_function: Backoff::Exponential,
            },
        }
    }

    /// How long after attempt number `attempt` (from 1) the next one is made; `None` when it was the last.
    pub(crate) fn delay_after(&self, attempt: u32) -> Option<Duration> {
        let retry = attempt.checked_sub(1)?;
        if retry >= self.num_retries {
            return None;
        }
        let (none, least) = (self.num_no_delay_retries, self.num_min_delay_retries);
        let most_from = self.num_retries.saturating_sub(self.num_max_delay_retries);
        let (min, max) = (f64::from(self.min_delay_target), f64::from(self.max_delay_target));
        let seconds = if retry < none {
            0.0
        } else if retry < none + least {
            min
        } else if retry >= most_from {
            max
        } else {
            let steps = most_from - none - least;
            // The first retry of the phase waits the least, the last one the most.
            let part = if steps > 1 { f64::from(retry - none - least) / f64::from(steps - 1) } else { 1.0 };
            self.backoff(part, min, max)
        };
        Some(Duration::from_millis((seconds * 1000.0) as u64))
    }

    /// The delay when `part` of the back-off is over, from 0 to 1. How the four functions bend is not documented beyond
    /// their names and a graph: linear is straight, the others begin ever slower.
    fn backoff(&self, part: f64, min: f64, max: f64) -> f64 {
        match self.backoff_function {
            Backoff::Linear => min + (max - min) * part,
            Backoff::Arithmetic => min + (max - min) * part * (1.0 + part) / 2.0,
            Backoff::Geometric => min + (max - min) * part * part,
            Backoff::Exponential => min * (max / min.max(0.001)).powf(part),
        }
    }

    /// How long a delivery may be on its way: all delays, and for each attempt the longest that one may take. Past that
    /// it has failed, whoever was before it in the queue. At least an hour.
    pub(crate) fn patience(&self) -> Duration {
        const ATTEMPT_SECS: u64 = 15;
        let count = |from: u32, to: u32| -> u64 {
            (from..to.min(from + 1000)).filter_map(|n| self.delay_after(n + 1)).map(|delay| delay.as_secs()).sum()
        };
        let most_from = self.num_retries.saturating_sub(self.num_max_delay_retries);
        let last = u64::from(self.num_max_delay_retries) * u64::from(self.max_delay_target);
        let delays = count(0, most_from) + last;
        Duration::from_secs(
            (delays + ATTEMPT_SECS * u64::from(self.num_retries.min(MOST_RETRIES) + 1)).max(LONGEST_SECS),
        )
    }

    fn check(&self) -> Result<(), String> {
        let Self { min_delay_target: min, max_delay_target: max, num_retries: all, .. } = *self;
        if !(1..=3600).contains(&min) || min > max || max > 3600 {
            return Err(
                "minDelayTarget and maxDelayTarget must be from 1 to 3600, the first not above the second".to_owned()
            );
        }
        if all > MOST_RETRIES {
            return Err(format!("numRetries must not exceed {MOST_RETRIES}"));
        }
        let phases = [self.num_no_delay_retries, self.num_min_delay_retries, self.num_max_delay_retries];
        if phases.iter().map(|n| u64::from(*n)).sum::<u64>() > u64::from(all) {
            return Err("the retries of the phases must not be more than numRetries".to_owned());
        }
        let delays: Duration = (1..=all).filter_map(|attempt| self.delay_after(attempt)).sum();
        if delays > Duration::from_secs(LONGEST_SECS) {
            return Err(format!("the delays together must not exceed {LONGEST_SECS} seconds"));
        }
        Ok(())
    }
}

impl DeliveryPolicy {
    /// Reads a topic's policy, `{"http": {"defaultHealthyRetryPolicy": …}}`.
    pub(crate) fn of_topic(text: &str) -> Result<Self, SnsError> {
        let members = object(text)?;
        let mut policy = Self::default();
        for (name, value) in &members {
            if name != "http" {
                return Err(wrong(format!("{name} is not a member of a topic's policy, http is")));
            }
            let Value::Object(http) = value else { return Err(wrong("http must be an object")) };
            for (name, value) in http {
                match name.as_str() {
                    "defaultHealthyRetryPolicy" => policy.retry = retry(value)?,
                    "defaultSicklyRetryPolicy" if value.is_null() => {}
                    "defaultThrottlePolicy" => policy.most_per_second = throttle(value)?,
                    "defaultRequestPolicy" => policy.content_type = content_type(value)?,
                    "disableSubscriptionOverrides" => {
                        policy.overrides_disabled =
                            value.as_bool().ok_or_else(|| wrong(format!("{name} must be true or false")))?;
                    }
                    _ => return Err(wrong(format!("{name} is not known"))),
                }
            }
        }
        Ok(policy)
    }

    /// Reads a subscription's policy, `{"healthyRetryPolicy": …}`.
    pub(crate) fn of_subscription(text: &str) -> Result<Self, SnsError> {
        let mut policy = Self::default();
        for (name, value) in &object(text)? {
            match name.as_str() {
                "healthyRetryPolicy" => policy.retry = retry(value)?,
                "sicklyRetryPolicy" if value.is_null() => {}
                "throttlePolicy" => policy.most_per_second = throttle(value)?,
                "requestPolicy" => policy.content_type = content_type(value)?,
                "guaranteed" if value == &Value::Bool(false) => {}
                _ => return Err(wrong(format!("{name} is not known"))),
            }
        }
        Ok(policy)
    }
}

impl Effective {
    /// What holds for an endpoint of `protocol`; the policies as they were set. What cannot be read sets nothing.
    pub(crate) fn new(protocol: Protocol, topic: Option<&str>, subscription: Option<&str>) -> Self {
        let topic = topic.and_then(|text| DeliveryPolicy::of_topic(text).ok()).unwrap_or_default();
        let own = subscription.filter(|_| !topic.overrides_disabled);
        let own = own.and_then(|text| DeliveryPolicy::of_subscription(text).ok()).unwrap_or_default();
        match protocol {
            Protocol::Http | Protocol::Https => Self {
                retry: own.retry.or(topic.retry).unwrap_or_default(),
                most_per_second: own.most_per_second.or(topic.most_per_second),
                content_type: own.content_type.or(topic.content_type),
            },
            _ => Self { retry: RetryPolicy::of(protocol), most_per_second: None, content_type: None },
        }
    }

    /// `EffectiveDeliveryPolicy` of a topic.
    pub(crate) fn topic_json(text: Option<&str>) -> String {
        let policy = text.and_then(|text| DeliveryPolicy::of_topic(text).ok()).unwrap_or_default();
        let mut http = json!({
            "defaultHealthyRetryPolicy": policy.retry.unwrap_or_default(),
            "disableSubscriptionOverrides": policy.overrides_disabled,
        });
        if let Some(most) = policy.most_per_second {
            http["defaultThrottlePolicy"] = json!({ "maxReceivesPerSecond": most });
        }
        http["defaultRequestPolicy"] =
            json!({ "headerContentType": policy.content_type.as_deref().unwrap_or(CONTENT_TYPE) });
        json!({ "http": http }).to_string()
    }

    /// `EffectiveDeliveryPolicy` of a subscription.
    pub(crate) fn subscription_json(&self) -> String {
        let throttle = self.most_per_second.map_or_else(|| json!({}), |most| json!({ "maxReceivesPerSecond": most }));
        let content_type = self.content_type.as_deref().unwrap_or(CONTENT_TYPE);
        json!({
            "healthyRetryPolicy": self.retry,
            "sicklyRetryPolicy": null,
            "throttlePolicy": throttle,
            "requestPolicy": { "headerContentType": content_type },
            "guaranteed": false,
        })
        .to_string()
    }
}

fn wrong(why: impl std::fmt::Display) -> SnsError {
    SnsError::parameter("DeliveryPolicy", why)
}

fn object(text: &str) -> Result<serde_json::Map<String, Value>, SnsError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(wrong("failed to parse JSON")),
    }
}

fn retry(value: &Value) -> Result<Option<RetryPolicy>, SnsError> {
    if value.is_null() {
        return Ok(None);
    }
    let policy: RetryPolicy = serde_json::from_value(value.clone()).map_err(wrong)?;
    policy.check().map_err(wrong)?;
    Ok(Some(policy))
}

fn throttle(value: &Value) -> Result<Option<u32>, SnsError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) if members.is_empty() => Ok(None),
        Value::Object(members) if members.len() == 1 => {
            let most = members.get("maxReceivesPerSecond").and_then(Value::as_u64);
            match most.and_then(|most| u32::try_from(most).ok()).filter(|most| *most > 0) {
                Some(most) => Ok(Some(most)),
                None => Err(wrong("maxReceivesPerSecond must be a whole number from 1")),
            }
        }
        _ => Err(wrong("a throttle policy has maxReceivesPerSecond alone")),
    }
}

fn content_type(value: &Value) -> Result<Option<String>, SnsError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) if members.is_empty() => Ok(None),
        Value::Object(members) if members.len() == 1 => {
            let given = members.get("headerContentType").and_then(Value::as_str).unwrap_or_default();
            let base = given.split(';').next().unwrap_or_default().trim();
            if CONTENT_TYPES.contains(&base) && http::HeaderValue::from_str(given).is_ok() {
                return Ok(Some(given.to_owned()));
            }
            Err(wrong(format!("headerContentType must be one of {}", CONTENT_TYPES.join(", "))))
        }
        _ => Err(wrong("a request policy has headerContentType alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: &RetryPolicy) -> Vec<u64> {
        (1..).map_while(|attempt| policy.delay_after(attempt)).map(|delay| delay.as_secs()).collect()
    }

    #[test]
    fn http_endpoints_have_three_retries_20_seconds_apart() {
        assert_eq!(delays(&RetryPolicy::default()), [20, 20, 20]);
    }

    #[test]
    fn phases_follow_one_another() {
        let policy = RetryPolicy {
            min_delay_target: 1,
            max_delay_target: 60,
            num_retries: 9,
            num_max_delay_retries: 2,
            num_no_delay_retries: 1,
            num_min_delay_retries: 2,
            backoff_function: Backoff::Linear,
        };
        assert_eq!(delays(&policy), [0, 1, 1, 1, 20, 40, 60, 60, 60]);
        for function in [Backoff::Arithmetic, Backoff::Geometric, Backoff::Exponential] {
            let delays = delays(&RetryPolicy { backoff_function: function, ..policy });
            assert!(delays.is_sorted(), "{delays:?}");
            assert_eq!((delays[3], delays[6]), (1, 60));
        }
        let queues = RetryPolicy::of(Protocol::Sqs);
        assert!((22..24).contains(&(queues.patience().as_secs() / 86_400)), "23 days: {:?}", queues.patience());
        assert_eq!(RetryPolicy::default().patience(), Duration::from_secs(3600));
    }

    #[test]
    fn policies_are_read_and_what_is_wrong_is_told() {
        let topic = r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":5},"disableSubscriptionOverrides":true}}"#;
        let own = r#"{"healthyRetryPolicy":{"numRetries":1},"throttlePolicy":{"maxReceivesPerSecond":4}}"#;
        let effective = |topic, own| Effective::new(Protocol::Http, topic, own);
        assert_eq!(effective(None, Some(own)).retry.num_retries, 1);
        assert_eq!(effective(None, Some(own)).most_per_second, Some(4));
        assert_eq!(effective(Some(topic), Some(own)).retry.num_retries, 5);
        assert_eq!(effective(None, None), effective(Some("{}"), None));
        for wrong in [
            "x",
            "{\"a\":1}",
            r#"{"healthyRetryPolicy":{"numRetries":101}}"#,
            r#"{"healthyRetryPolicy":{"numRetries":-1}}"#,
            r#"{"healthyRetryPolicy":{"minDelayTarget":30}}"#,
            r#"{"healthyRetryPolicy":{"numRetries":100,"minDelayTarget":60,"maxDelayTarget":60}}"#,
            r#"{"healthyRetryPolicy":{"numRetries":1,"numNoDelayRetries":2}}"#,
            r#"{"healthyRetryPolicy":{"backoffFunction":"quick"}}"#,
            r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#,
            r#"{"requestPolicy":{"headerContentType":"a\r\nb"}}"#,
        ] {
            assert!(DeliveryPolicy::of_subscription(wrong).is_err(), "{wrong}");
        }
        assert!(Effective::topic_json(None).contains(r#""numRetries":3"#));
    }
}
