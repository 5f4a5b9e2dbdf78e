use std::collections::BTreeMap;
use std::time::Duration;

use opentrail_model::AccountId;

use crate::{PolicyError, Secret};

/// An account as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSpec {
    /// The account.
    pub id: AccountId,
    /// A name for it, unique on this server.
    pub alias: Option<String>,
    /// The root's keys.
    pub root_access_keys: Vec<AccessKeySpec>,
    /// Its users.
    pub users: Vec<UserSpec>,
    /// Its roles.
    pub roles: Vec<RoleSpec>,
}

/// A user as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct UserSpec {
    /// 1–64 letters, digits and `_+=,.@-`; unique in the account whatever the case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// What the user may do.
    pub policies: Vec<PolicySpec>,
    /// For `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    /// The user's keys.
    pub access_keys: Vec<AccessKeySpec>,
}

/// A role as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSpec {
    /// 1–64 letters, digits and `_+=,.@-`; unique in the account whatever the case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// Who may assume the role.
    pub trust_policy: PolicySpec,
    /// What its sessions may do.
    pub policies: Vec<PolicySpec>,
    /// For `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    /// The longest session, 1–12 hours.
    pub max_session: Duration,
}

/// An access key as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessKeySpec {
    /// 1–128 visible ASCII characters without `/`, `,` and `=`, unique on this server; AWS's begin with `AKIA`.
    pub id: String,
    /// Without it the key only tells who someone is at a gateway: nobody can sign with it here.
    pub secret: Option<Secret>,
    /// An inactive key opens nothing.
    pub active: bool,
}

/// A policy's document, JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySpec(pub String);

impl AccountSpec {
    /// An account with nothing in it.
    pub fn new(id: AccountId) -> Self {
        Self { id, alias: None, root_access_keys: Vec::new(), users: Vec::new(), roles: Vec::new() }
    }
}

impl UserSpec {
    /// A user at path `/` who may do nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            policies: Vec::new(),
            tags: BTreeMap::new(),
            access_keys: Vec::new(),
        }
    }
}

impl RoleSpec {
    /// The length of a session when nothing is said: one hour.
    pub const DEFAULT_MAX_SESSION: Duration = Duration::from_secs(3600);

    /// A role at path `/` that may do nothing, for those whom `trust_policy` allows.
    pub fn new(name: impl Into<String>, trust_policy: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            trust_policy: PolicySpec(trust_policy.into()),
            policies: Vec::new(),
            tags: BTreeMap::new(),
            max_session: Self::DEFAULT_MAX_SESSION,
        }
    }
}

impl AccessKeySpec {
    /// An active key.
    pub fn new(id: impl Into<String>, secret: Secret) -> Self {
        Self { id: id.into(), secret: Some(secret), active: true }
    }
}

/// Something wrong with configured identities, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct IdentityError {
    /// The way to the value, e.g. `account[0].user[2].name`.
    pub key: String,
    /// What is wrong there.
    pub problem: IdentityProblem,
}

/// What can be wrong with a configured identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProblem {
    /// Two accounts, users, roles, aliases or keys are the same.
    #[error("{what} {name:?} is already there; names and ids must be unique")]
    Duplicate {
        /// `account`, `user`, …
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The API has made one of that name.
    #[error(
        "the configuration defines {what} {name:?}, which was made through the API before: take it out of the \
         configuration, or start without it and delete the other through the API first"
    )]
    MadeByApi {
        /// `user`, `role`, …
        what: &'static str,
        /// Which.
        name: String,
    },
    /// Not a name for a user or role.
    #[error("{name:?} is not 1 to 64 letters, digits and _+=,.@-")]
    Name {
        /// What was given.
        name: String,
    },
    /// Not an alias.
    #[error("{alias:?} is not 3 to 63 lower-case letters, digits and hyphens, with none at the ends or doubled")]
    Alias {
        /// What was given.
        alias: String,
    },
    /// Not a path.
    #[error("{path:?} is not a path such as / or /division/team/, of at most 512 visible ASCII characters")]
    Path {
        /// What was given.
        path: String,
    },
    /// Not an access key's id.
    #[error("{id:?} is not 1 to 128 visible ASCII characters other than / , =")]
    KeyId {
        /// What was given.
        id: String,
    },
    /// The secret is empty.
    #[error("is empty; leave it out for a key that only names someone at a gateway")]
    EmptySecret,
    /// A session length out of bounds.
    #[error("{} is not between 1h and 12h", humantime::format_duration(*duration))]
    MaxSession {
        /// What was given.
        duration: Duration,
    },
    /// Not a policy document.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The configuration has not the expected shape.
    #[error("{0}")]
    Shape(String),
}
