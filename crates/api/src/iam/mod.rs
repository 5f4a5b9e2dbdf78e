//! Operations of IAM: who may do what here. (IAM API Reference, version 2010-05-08.)
//!
//! Each operation reads its input, finds what it is about, checks that the caller may, and answers; a change goes
//! through [`opentrail_iam`]. Operations are small and many, so that a file holds those of one kind of thing. What the
//! configuration file defines can be read here and not changed.

mod access_key;
mod account;
mod asked;
mod boundary;
mod credential;
mod dispatch;
mod document;
mod error;
mod group;
mod login_profile;
mod managed_policy;
mod page;
mod policies;
mod policy_version;
mod rights;
mod role;
mod shapes;
mod tag;
mod user;

pub use dispatch::iam;

use opentrail_wire::sigv4::QueryError;

/// What an operation answers, or the error that the client gets.
type Outcome<T> = Result<T, QueryError>;

/// What an account can hold. (IAM User Guide, "IAM and AWS STS quotas", the default values; the size of trust policies
/// is the largest that AWS grants.)
mod quota {
    pub(super) const USERS: usize = 5000;
    pub(super) const GROUPS: usize = 300;
    pub(super) const ROLES: usize = 1000;
    pub(super) const POLICIES: usize = 1500;
    pub(super) const ACCESS_KEYS: usize = 2;
    pub(super) const GROUPS_PER_USER: usize = 10;
    pub(super) const ATTACHED: usize = 10;
    pub(super) const VERSIONS: usize = 5;
    pub(super) const TAGS: usize = 50;
    pub(super) const USER_POLICY_SIZE: usize = 2048;
    pub(super) const GROUP_POLICY_SIZE: usize = 5120;
    pub(super) const ROLE_POLICY_SIZE: usize = 10_240;
    pub(super) const TRUST_POLICY_SIZE: usize = 4096;
    pub(super) const MANAGED_POLICY_SIZE: usize = 6144;
}
