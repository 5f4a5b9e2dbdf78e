//! Operations of Organizations. (AWS Organizations API Reference, version 2016-11-28.)
//!
//! What there is is `opentrail-organizations`'; here are who may ask, the parameters and the JSON. Every change, also
//! CloudTrail's of its delegated administrators, is committed by [`change::commit`] and nowhere else.

mod account;
mod asked;
pub(crate) mod change;
mod create_account;
mod delegate;
mod dispatch;
mod error;
mod features;
mod handshake;
mod invitation;
mod organization;
mod page;
mod service_access;
mod shapes;
mod tag;
mod unit;

pub use dispatch::organizations;

use error::Refusal;

/// What an operation answers, or the error that the client gets.
type Outcome<T> = Result<T, Refusal>;

/// How much there may be. (User Guide, "Quotas and service limits for AWS Organizations"; the number of accounts is what
/// that page gives as the most that the quota can be raised to.)
mod quota {
    pub(super) const ACCOUNTS: usize = 10_000;
    pub(super) const UNITS: usize = 2000;
    pub(super) const UNIT_DEPTH: usize = 5;
    pub(super) const TAGS: usize = 50;
    /// Accounts that administer CloudTrail. (CloudTrail User Guide, "Organization delegated administrator".)
    pub(crate) const CLOUDTRAIL_DELEGATES: usize = 3;
}

/// CloudTrail as Organizations calls it.
pub(crate) const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";
pub(crate) use quota::CLOUDTRAIL_DELEGATES;
