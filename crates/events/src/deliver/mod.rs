//! Delivery: what is in the outbox to its targets.
//!
//! [`Couriers`] empties the outbox, a queue by itself for each target's ARN, so that a target that hangs or fails holds up
//! nobody else. The crate knows other buses, API destinations, and services at endpoints that speak as SQS and Lambda do;
//! everything else is a [`Destination`] that the wiring supplies.

mod api_destination;
mod backoff;
mod bus;
mod couriers;
pub(crate) mod dead_letter;
mod destination;
mod failure;
mod lambda;
mod oauth;
mod request;
mod sqs;
#[cfg(test)]
mod tests;

pub use couriers::Couriers;
pub use destination::{Delivery, Destination, Destinations};
pub use failure::{DeliveryFailure, Retry};
pub use lambda::LambdaFunctions;
pub use sqs::SqsQueues;

use opentrail_model::Arn;

use crate::place::BusPlace;

/// What an ARN of a target stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// An event bus.
    Bus(BusPlace),
    /// An API destination, by its name.
    ApiDestination(String),
    /// Something that a [`Destination`] knows, or nobody.
    Other,
}

impl TargetKind {
    /// `None` for an ARN of EventBridge that cannot be a target.
    pub(crate) fn of(arn: &Arn) -> Option<Self> {
        if arn.service() != "events" {
            return Some(Self::Other);
        }
        let (account, region) = (arn.account().parse().ok()?, arn.region().parse().ok()?);
        let mut parts = arn.resource().split('/');
        match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
            ("event-bus", name, None, None) => Some(Self::Bus(BusPlace::new(account, &region, name))),
            ("api-destination", name, Some(_), None) => Some(Self::ApiDestination(name.to_owned())),
            _ => None,
        }
    }
}
