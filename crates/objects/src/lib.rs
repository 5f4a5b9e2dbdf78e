//! The embedded object store: S3 over a local directory.
//!
//! [`Store`] keeps buckets and objects; [`Store::object_store`] opens one for use inside the process, [`service`] answers
//! S3 clients, with [`Access`] deciding who may do what. Objects are plain files below `<root>/<bucket>/`; the crate's
//! `README.md` says how keys become paths, where metadata is, and what a crash can leave.

mod access;
mod announced;
mod arriving;
mod backend;
mod bucket;
mod checksums;
mod condition;
mod durable;
mod error;
#[cfg(test)]
mod faults;
mod kept_alive;
mod key;
mod listing;
mod locks;
mod mount;
mod multipart;
mod s3;
mod sealing;
mod service;
mod sidecar;
mod signatures;
mod signing;
mod staging;
mod store;
mod versions;

pub use access::{Access, Denied, NoSecret, S3Call};
pub use bucket::Bucket;
pub use error::StoreError;
pub use mount::Mount;
pub use s3s::Body;
pub use sealing::{CallerKeys, KeyRefusal, ObjectKeys, ObjectPlace, SealedKey, WantedKey};
pub use service::{ConditionKeys, RequestId, S3Service, service};
pub use signatures::signatures_below;
pub use store::Store;
pub use versions::Versioning;
