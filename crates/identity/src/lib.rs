//! Who may do what: accounts, users, roles, access keys, sessions, and the evaluation of IAM policies.
//!
//! Pure values in memory, no I/O: a [`Directory`] begins with the [`AccountSpec`]s of the configuration, changes by
//! [`Edit`]s, and answers three questions: whose key is this ([`Directory::find_key`]), may they
//! ([`Directory::authorize`]), and what credentials do they get for a while ([`Directory::assume_role`],
//! [`Directory::session_token`]). Temporary credentials need no storage: their token carries everything, sealed.
//!
//! Read [`Principal`] first, then [`Policy`], which is all of the IAM policy language, then [`Identities`]: users,
//! groups, roles and managed policies.

mod authorize;
mod aws_policies;
mod call;
mod config;
mod context;
mod directory;
mod entity;
mod identities;
mod ids;
mod policy;
mod principal;
mod secret;
mod session;
mod spec;
mod sts;

pub use authorize::{AccessRequest, Decision, PolicyKind};
pub use aws_policies::aws_policies;
pub use call::Call;
pub use config::{accounts_from_toml, policy_from_toml};
pub use context::Context;
pub use directory::{Credential, Directory, KeyError, Membership, Memberships, is_alias};
pub use entity::{
    AccessKey, Document, Group, KeyUse, LoginProfile, ManagedPolicy, Origin, PolicyVersion, Registration, Rights, Role,
    User, name_key,
};
pub use identities::{Account, Edit, Identities, KeyOwner};
pub use ids::{new_access_key, new_entity_id};
pub use policy::{Effect, MAX_RESOURCE_POLICY_CHARACTERS, Policy, PolicyError, PolicyUse};
pub use principal::{Principal, PrincipalKind, SessionInfo};
pub use secret::Secret;
pub use session::{Credentials, Sealer};
pub use spec::{AccessKeySpec, AccountSpec, IdentityError, IdentityProblem, PolicySpec, RoleSpec, UserSpec};
pub use sts::{AssumeRole, Assumed, GetSessionToken, StsError};
