//! Delivery: each trail's events as log files in its bucket, exactly once, and the signed digests over them.
//!
//! [`Delivery`] follows the journal and keeps one worker per trail; the worker's module tells the life of a log file
//! and what a crash at each step means (`README.md` beside it tells it in words). [`layout`] alone spells object keys,
//! [`Selection`] alone decides which events a trail takes, [`PublicKeys`] answers ListPublicKeys. The data events
//! of a trail may also be summed up (`aggregation`). A trail's topic is told of each file (`notifier`), and its log group
//! has its events as they come (`log_groups`).

mod aggregation;
mod back_off;
mod chain;
mod digest;
pub mod layout;
mod log_file;
mod log_groups;
mod metrics;
mod notifier;
mod put;
mod registry;
mod selection;
mod settings;
mod signing;
mod state;
mod supervisor;
mod worker;

#[cfg(test)]
mod tests;

pub use selection::Selection;
pub use settings::DeliverySettings;
pub use signing::{PublicKey, PublicKeys, Signature, Signer, SigningError};
pub use supervisor::{Delivery, DeliveryDeps, DeliveryError};
