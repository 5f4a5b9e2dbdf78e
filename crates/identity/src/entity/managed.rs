use std::collections::BTreeMap;

use opentrail_model::{AccountId, Arn, Timestamp};
use serde::{Deserialize, Serialize};

use super::Document;

/// A policy that can be attached to several users, groups and roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// The account that it belongs to; `None` for one that every account has, `arn:aws:iam::aws:policy/…`.
    pub account: Option<AccountId>,
    /// The friendly name; unique in the account whatever the case.
    pub name: String,
    /// `/` or `/division/team/`.
    pub path: String,
    /// `ANPA…`.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// When its default version last changed.
    pub updated: Timestamp,
    /// What it is for.
    pub description: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its versions, by number, at least one and at most five.
    pub versions: BTreeMap<u32, PolicyVersion>,
    /// The number of the version in force, one of `versions`.
    pub default_version: u32,
    /// The number of the latest version ever made; a deleted one's is not given again.
    pub latest_version: u32,
}

/// A version of a managed policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// What it says.
    pub document: Document,
    /// When it was made.
    pub created: Timestamp,
}

impl ManagedPolicy {
    /// `arn:aws:iam::<account>:policy<path><name>`, with `aws` for the account of a policy that every account has.
    pub fn arn(&self) -> Arn {
        let owner = self.account.map_or_else(|| "aws".to_owned(), |account| account.to_string());
        let text = format!("arn:aws:iam::{owner}:policy{}{}", self.path, self.name);
        text.parse().expect("an ARN put together from its parts has six of them")
    }

    /// The document in force.
    ///
    /// # Panics
    /// Never: the default version is one of the versions.
    pub fn document(&self) -> &Document {
        &self.versions.get(&self.default_version).expect("the default version is one of the versions").document
    }
}
