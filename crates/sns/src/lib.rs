//! Topics and notifications: as much of Amazon SNS as trails, alarms and their administrators need.
//!
//! A topic and its subscriptions are documents of the catalog. [`Sns`] publishes, for services of this process
//! ([`Sns::publish_as_service`]) and for clients ([`api`], `aws sns …`): a message and its deliveries are durable in the
//! [`Outbox`] before anybody is told so, and [`Sns::run`] brings them to their endpoints: HTTP, queues of an
//! SQS-compatible service, email. [`Sns::unsigned`] answers the links in messages, which nobody signs.
//! (Amazon SNS Developer Guide; Amazon SNS API Reference, version 2010-03-31.)
//!
//! Standard topics only; neither phone numbers nor mobile applications.

mod access;
mod api;
mod arn;
mod changes;
mod couriers;
mod delivery_policy;
mod document;
mod endpoint;
mod error;
mod filter;
mod links;
mod mail;
mod message;
mod outbox;
mod outcome;
mod permissions;
mod publish;
mod queues;
mod repository;
mod signing;
mod sns;
mod subscription;
#[cfg(test)]
mod tests;
mod topic;
mod unsigned;
mod webhook;

pub use access::Service;
pub use api::{Reply, api};
pub use arn::{ParseSnsArnError, TopicArn};
pub use error::SnsError;
pub use mail::{MailEncryption, MailError, MailOptions};
pub use message::{MessageAttribute, NewMessage};
pub use outbox::{Outbox, OutboxError};
pub use publish::{MessageId, PublishError};
pub use sns::{Sns, SnsOptions, SnsParts};
