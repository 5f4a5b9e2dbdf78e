//! Every operation of CloudTrail, and those of IAM, STS and Organizations that its users need.
//!
//! An operation is a file: `trail/create_trail.rs` parses, checks, changes and answers. [`cloudtrail`] and its like
//! find it by name and frame its answer. Errors of the product become AWS errors in `error.rs` and nowhere else.
//!
//! Who calls is known before anything here runs: the server checks signatures, hands on a [`Call`](opentrail_identity::Call), makes the call's
//! own event and the [`Reply`]'s changes durable, and only then answers.

mod access;
mod audit;
mod channel;
mod context;
mod dashboard;
mod delegation;
mod dispatch;
mod error;
mod event;
mod event_configuration;
mod federation;
mod iam;
mod import;
mod insight;
mod key;
mod organizations;
mod page_token;
mod policy;
mod query;
mod quotas;
mod request;
mod selector;
mod store;
mod sts;
mod tag;
mod trail;
mod turn;

pub use audit::{Audited, note_audited};
pub use context::{CallResult, JournalChange, RecordOrder, Reply, Services};
pub use dispatch::{cloudtrail, cloudtrail_data};
pub use federation::{FederatedTables, FederationConflict};
pub use iam::iam;
pub use organizations::organizations;
pub use quotas::Quotas;
pub use store::{RetiredStore, retire_store};
pub use sts::sts;
pub use turn::{Turn, Turns};
