//! EventBridge's rules: event buses, rules with event patterns, and their targets.
//!
//! What `aws events …` makes are documents of the catalog, read and changed through [`api`]. [`RecordRules`] puts
//! CloudTrail's records to the rules of the default buses; `PutEvents` puts the events of applications to any bus; [`Scheduler`]
//! makes the events of rules that have a schedule. [`Archivist`] sends again what archives keep. What
//! rules take becomes invocations in the [`Outbox`], durable before anybody is told; [`Couriers`] deliver them, each
//! target by itself, until they have arrived or their time is over.
//!
//! A newcomer reads `rule`, `envelope`, `book` (rules in memory, that look at events), `records`, `outbox`, `deliver`.
//! (EventBridge User Guide; EventBridge API Reference.)

mod api;
mod archive;
mod archivist;
mod book;
mod bus;
mod connection;
mod counts;
mod deliver;
mod envelope;
mod error;
mod outbox;
mod place;
mod records;
mod repository;
mod rule;
mod schedule;
mod scheduler;
mod service;
mod service_events;
mod tags;
#[cfg(test)]
mod tests;
mod transform;

pub use api::{Reply, api};
pub use archive::{Archive, Replay, ReplayState};
pub use archivist::Archivist;
pub use bus::EventBus;
pub use connection::{ApiDestination, AuthorizationKind, Connection};
pub use counts::{RuleCount, RuleMetrics};
pub use deliver::{Couriers, Delivery, DeliveryFailure, Destination, Destinations, LambdaFunctions, Retry, SqsQueues};
pub use error::EventsError;
pub use outbox::{Outbox, OutboxError};
pub use place::BusPlace;
pub use records::RecordRules;
pub use rule::{HttpParameters, Input, RetryPolicy, Rule, RuleState, Scheduled, Target};
pub use scheduler::Scheduler;
pub use service::{Events, EventsOptions, EventsParts};
pub use service_events::ServiceEvent;
pub use tags::Tag;
