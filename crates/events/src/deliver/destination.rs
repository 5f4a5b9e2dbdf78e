//! Destinations: what the targets of rules are delivered to, by the service in their ARNs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_model::{AccountId, Arn};

use super::failure::DeliveryFailure;
use crate::rule::Target;

/// Where targets of one service are delivered.
#[async_trait]
pub trait Destination: fmt::Debug + Send + Sync + 'static {
    /// Whether rules of `account` may have `arn` as a target or, for queues, as a dead-letter queue, as far as the ARN
    /// tells. PutTargets asks this.
    ///
    /// # Errors
    /// What to tell the caller, as a sentence.
    fn check(&self, arn: &Arn, account: AccountId) -> Result<(), String>;

    /// Delivers an event, and returns once it is where it will not be lost. It may come again after a crash.
    ///
    /// Whether the rule may do this is for the destination to judge: by the target's role, by the policy of what is
    /// invoked (`events.amazonaws.com`, with the rule's ARN as `aws:SourceArn`), or both.
    ///
    /// # Errors
    /// Why it was not delivered. It is tried again as the failure and the target's retry policy say.
    ///
    /// # Cancellation
    /// It may be dropped at the shutdown; the event comes again.
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure>;
}

/// An event for a target.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The rule that took the event.
    pub rule_arn: &'a str,
    /// Whose rule it is.
    pub account: AccountId,
    /// Who gets it: ARN, role and what else the target says.
    pub target: &'a Target,
    /// What the target gets: JSON text, or what its template made.
    pub payload: &'a Bytes,
    /// The event as it was, in JSON.
    pub event: &'a Bytes,
    /// Attributes of the message: of dead letters only.
    pub attributes: &'a [(&'static str, String)],
}

/// The destinations of this server, by service.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    by_service: BTreeMap<&'static str, Arc<dyn Destination>>,
}

impl Destinations {
    /// None: rules can have other buses and API destinations as targets.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `destination` for targets whose ARN is of `service`, e.g. `sns`.
    #[must_use]
    pub fn with(mut self, service: &'static str, destination: Arc<dyn Destination>) -> Self {
        self.by_service.insert(service, destination);
        self
    }

    pub(crate) fn find(&self, arn: &Arn) -> Option<&Arc<dyn Destination>> {
        self.by_service.get(arn.service())
    }

    /// Whether `arn` can be a target of `account`'s rules; a sentence that says why not.
    pub(crate) fn check(&self, arn: &Arn, account: AccountId) -> Result<(), String> {
        let Some(destination) = self.find(arn) else {
            let known: Vec<&str> = self.by_service.keys().copied().collect();
            return Err(format!(
                "Targets of {} are not available here; those of these services are: events, {}.",
                arn.service(),
                known.join(", ")
            ));
        };
        destination.check(arn, account)
    }
}
