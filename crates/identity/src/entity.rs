//! What an account holds: users, groups, roles, their keys and what is attached to them.
//!
//! Plain values, as the API shows them and the catalog keeps them. [`Identities`](crate::Identities) finds them by
//! name; [`Directory`](crate::Directory) changes them.

mod document;
mod login;
mod managed;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentrail_model::{AccountId, Arn, Timestamp};
use serde::{Deserialize, Serialize};

pub use document::Document;
pub use login::LoginProfile;
pub use managed::{ManagedPolicy, PolicyVersion};

use crate::{Context, Secret};

/// What is kept of an account as such, once somebody has said it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its name.
    pub name: Option<String>,
    /// Its address, unique on this server.
    pub email: Option<String>,
    /// When it was closed: nobody in it can do anything since.
    pub closed: Option<Timestamp>,
}

/// Where something was defined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// In the server's configuration file, which alone can change it.
    Configuration,
    /// Through the API.
    #[default]
    Api,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The friendly name; unique in the account whatever the case.
    pub name: String,
    /// `/` or `/division/team/`.
    pub path: String,
    /// `AIDA…`.
    pub id: String,
    /// When it was made; the epoch for one of the configuration, which does not say.
    pub created: Timestamp,
    /// For `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    /// Its own policies.
    pub rights: Rights,
    /// The keys ([`name_key`]) of its groups.
    pub groups: BTreeSet<String>,
    /// The ARN of the managed policy that bounds what its policies may give.
    pub boundary: Option<String>,
    /// Its password.
    pub login: Option<LoginProfile>,
    /// Its access keys, oldest first. Stored apart, since they hold secrets.
    #[serde(skip)]
    pub access_keys: Vec<AccessKey>,
    /// Where it was defined.
    #[serde(skip)]
    pub origin: Origin,
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The friendly name; unique in the account whatever the case.
    pub name: String,
    /// `/` or `/division/team/`.
    pub path: String,
    /// `AGPA…`.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// What its members may do.
    pub rights: Rights,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The friendly name; unique in the account whatever the case.
    pub name: String,
    /// `/` or `/division/team/`.
    pub path: String,
    /// `AROA…`.
    pub id: String,
    /// When it was made; the epoch for one of the configuration, which does not say.
    pub created: Timestamp,
    /// What it is for.
    pub description: Option<String>,
    /// For `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    /// The longest session.
    pub max_session: Duration,
    /// Who may assume it.
    #[serde(deserialize_with = "document::trust")]
    pub trust: Document,
    /// What its sessions may do.
    pub rights: Rights,
    /// The ARN of the managed policy that bounds what its policies may give.
    pub boundary: Option<String>,
    /// Where it was defined.
    #[serde(skip)]
    pub origin: Origin,
}

/// The policies of a user, group or role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rights {
    /// Policies of its own, by name.
    pub inline: BTreeMap<String, Document>,
    /// The ARNs of managed policies, in the order in which they were attached.
    pub attached: Vec<String>,
}

/// A long-term access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// `AKIA…`, unique on this server.
    pub id: String,
    /// Without it the key only tells who someone is at a gateway: nobody can sign with it here.
    pub secret: Option<Secret>,
    /// An inactive key opens nothing.
    pub active: bool,
    /// When it was made; the epoch for one of the configuration.
    pub created: Timestamp,
}

/// When and for what a key was last used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// When.
    pub when: Timestamp,
    /// The service as credential scopes spell it.
    pub service: String,
    /// The Region that the request was signed for.
    pub region: String,
}

/// Under what a name is kept: names differ by more than case. (IAM User Guide, "IAM and AWS STS quotas".)
pub fn name_key(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl User {
    /// `arn:aws:iam::<account>:user<path><name>`.
    pub fn arn(&self) -> Arn {
        arn("user", self.account, &self.path, &self.name)
    }
}

impl Group {
    /// `arn:aws:iam::<account>:group<path><name>`.
    pub fn arn(&self) -> Arn {
        arn("group", self.account, &self.path, &self.name)
    }
}

impl Role {
    /// `arn:aws:iam::<account>:role<path><name>`.
    pub fn arn(&self) -> Arn {
        arn("role", self.account, &self.path, &self.name)
    }

    /// Whether the service `service` (e.g. `cloudtrail.amazonaws.com`) may assume it, when it says these condition keys.
    pub fn trusts_service(&self, service: &str, context: &Context) -> bool {
        self.trust.policy().allows_service(service, "sts:AssumeRole", self.arn().as_str(), context)
    }
}

fn arn(kind: &str, account: AccountId, path: &str, name: &str) -> Arn {
    let text = format!("arn:aws:iam::{account}:{kind}{path}{name}");
    text.parse().expect("an ARN put together from its parts has six of them")
}
