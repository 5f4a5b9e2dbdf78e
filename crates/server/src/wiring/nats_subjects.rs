//! Subjects of a NATS server, as targets of rules.

use async_trait::async_trait;
use opentrail_events::{Delivery, DeliveryFailure, Destination};
use opentrail_model::{AccountId, Arn};
use opentrail_nats::{Confirmation, Message, NatsError, Publisher, Subject, SubjectPattern};
use opentrail_wire::sigv4::hex_sha256;

/// The subjects that rules may send to: `arn:aws:nats:::SUBJECT`. AWS has no such targets; the form is a choice of ours
/// that stock clients and Terraform take.
#[derive(Debug)]
pub(crate) struct NatsSubjects {
    pub(crate) publisher: Publisher,
    pub(crate) confirmation: Confirmation,
    /// Those of all accounts.
    pub(crate) allowed: Vec<SubjectPattern>,
}

#[async_trait]
impl Destination for NatsSubjects {
    fn check(&self, arn: &Arn, _: AccountId) -> Result<(), String> {
        self.subject(arn).map(drop)
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
        let subject =
            self.subject(&delivery.target.arn).map_err(|reason| DeliveryFailure::later("NO_PERMISSIONS", reason))?;
        // The same for each try, and no other: an event has an id.
        let known = [delivery.rule_arn.as_bytes(), delivery.target.id.as_bytes(), &delivery.event[..]].join(&b'\n');
        let message = Message { subject: &subject, id: &hex_sha256(&known), payload: delivery.payload };
        self.publisher.publish(&message, self.confirmation).await.map_err(failure)
    }
}

impl NatsSubjects {
    fn subject(&self, arn: &Arn) -> Result<Subject, String> {
        if !arn.region().is_empty() || !arn.account().is_empty() {
            return Err("An ARN of a subject is arn:aws:nats:::SUBJECT.".to_owned());
        }
        let subject: Subject = arn.resource().parse()?;
        if self.allowed.iter().any(|pattern| pattern.has(&subject)) {
            Ok(subject)
        } else {
            Err(format!("The configuration does not let rules send to the subject {subject}."))
        }
    }
}

fn failure(error: NatsError) -> DeliveryFailure {
    let told = error.to_string();
    match error {
        NatsError::Connection { .. } => DeliveryFailure::later("CONNECTION_FAILURE", told),
        NatsError::TimedOut => DeliveryFailure::later("TIMEOUT", told),
        // Who mends the permissions, or makes the stream, gets what waits.
        NatsError::Refused { .. } => DeliveryFailure::later("NO_PERMISSIONS", told),
        NatsError::NoStream => DeliveryFailure::later("NO_RESOURCE", told),
        NatsError::NotStored { .. } => DeliveryFailure::later("ERROR_FROM_TARGET", told),
        NatsError::TooLarge { .. } => DeliveryFailure::never("INVALID_PARAMETER", told),
    }
}
