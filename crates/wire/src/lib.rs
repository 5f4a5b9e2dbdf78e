//! The protocols that AWS clients speak: framing, signatures, generated shapes; nothing of the product.
//!
//! - [`cloudtrail`], [`cloudtrail_data`], [`iam`], [`kms`] and [`organizations`]: operations, inputs and outputs,
//!   generated from the service models.
//! - [`json`]: awsJson 1.1, the protocol of `cloudtrail`, `kms` and `organizations`; [`rest`]: restJson, that of
//!   `cloudtrail-data`; [`query`]: awsQuery and its XML, that of `sts` and `iam`.
//! - [`shape`]: how an input is checked against the model's constraints, with AWS's words for each breach.
//! - [`sigv4`]: Signature Version 4, made and verified.
//! - [`Exception`]: an AWS error on its way to a client.

mod blob;
mod exception;
pub mod json;
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
/// `iam`: the operations that are built, and their shapes.
#[path = "generated/iam.rs"]
pub mod iam;
/// `kms`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/kms.rs"]
pub mod kms;
#[path = "generated/exceptions.rs"]
mod modelled;
/// `organizations`: those of its operations that OpenTrail has, their shapes, the errors of the service.
#[path = "generated/organizations.rs"]
pub mod organizations;

pub use blob::Blob;
pub use exception::Exception;
pub use shape::Validate;
