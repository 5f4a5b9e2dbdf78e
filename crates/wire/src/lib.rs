//! The protocols that AWS clients speak: framing, signatures, generated shapes; nothing of the product.
//!
//! - [`cloudtrail`], [`cloudtrail_data`], [`cloudwatch`], [`events`], [`iam`], [`kms`], [`logs`], [`organizations`] and
//!   [`sns`]: operations, inputs and outputs, generated from the service models.
//! - [`json`]: awsJson, the protocol of `cloudtrail`, `events`, `kms`, `logs` and `organizations`; [`rest`]: restJson, that
//!   of `cloudtrail-data`; [`query`]: awsQuery and its XML, that of `sts`, `iam` and `sns`. CloudWatch speaks awsQuery,
//!   awsJson and RPC v2 CBOR: [`protocols`], with [`cbor`] and [`gzip`]. [`event_stream`]: answers that go on.
//! - [`shape`]: how an input is checked against the model's constraints, with AWS's words for each breach.
//! - [`sigv4`]: Signature Version 4, made and verified.
//! - [`Exception`]: an AWS error on its way to a client.

mod blob;
pub mod cbor;
mod coded_error;
pub mod event_stream;
mod exception;
pub mod gzip;
pub mod json;
pub mod protocols;
pub mod query;
pub mod rest;
pub mod shape;
pub mod sigv4;
mod timestamp;

/// `cloudtrail`: its operations and their shapes.
#[path = "generated/cloudtrail.rs"]
pub mod cloudtrail;
/// `cloudtrail-data`: its operation and its shapes.
#[path = "generated/cloudtrail_data.rs"]
pub mod cloudtrail_data;
/// `cloudwatch`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/cloudwatch.rs"]
pub mod cloudwatch;
/// `events`, EventBridge: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/events.rs"]
pub mod events;
/// `iam`: the operations that are built, and their shapes.
#[path = "generated/iam.rs"]
pub mod iam;
/// `kms`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/kms.rs"]
pub mod kms;
/// `logs`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/logs.rs"]
pub mod logs;
#[path = "generated/exceptions.rs"]
mod modelled;
/// `organizations`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/organizations.rs"]
pub mod organizations;
/// `sns`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/sns.rs"]
pub mod sns;

pub use blob::Blob;
pub use coded_error::CodedError;
pub use exception::Exception;
pub use shape::Validate;
