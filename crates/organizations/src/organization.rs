use std::collections::BTreeMap;

use opentrail_model::{AccountId, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

/// An organization, with everything in it but handshakes and requests for accounts.
///
/// Its root and units are called by their ids, `r-…` and `ou-…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// The account that made it and governs it; a member as well.
    pub management: AccountId,
    /// What it can do.
    pub feature_set: FeatureSet,
    /// The root's id, `r-…`.
    pub root: String,
    /// The units below the root, by id.
    pub units: BTreeMap<String, Unit>,
    /// The accounts in it.
    pub members: BTreeMap<AccountId, Member>,
    /// The services trusted with it (`cloudtrail.amazonaws.com`), and since when.
    pub service_access: BTreeMap<String, Timestamp>,
    /// The members that administer a trusted service for all, each with the services, and since when.
    pub delegated: BTreeMap<AccountId, BTreeMap<String, Timestamp>>,
    /// The tags of the root, of units and of accounts, by their ids.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
}

/// What an organization can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureSet {
    /// Everything.
    All,
    /// Paying together, and no more.
    ConsolidatedBilling,
}

/// A group of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name, unique below its parent.
    pub name: String,
    /// The root or unit above it.
    pub parent: String,
}

/// An account in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its address.
    pub email: String,
    /// Whether it can be used.
    pub status: MemberStatus,
    /// How it came.
    pub joined: Joined,
    /// When it came.
    pub since: Timestamp,
    /// The root or unit that it is in.
    pub parent: String,
}

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// It can.
    Active,
    /// It was closed.
    Suspended,
}

/// How an account came into its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joined {
    /// It was made there.
    Created,
    /// It was there before, and was asked.
    Invited,
}

impl Organization {
    /// A new one, of its management account alone.
    pub fn new(id: OrganizationId, root: String, management: (AccountId, Member), feature_set: FeatureSet) -> Self {
        let (account, member) = management;
        Self {
            id,
            management: account,
            feature_set,
            root,
            units: BTreeMap::new(),
            members: BTreeMap::from([(account, member)]),
            service_access: BTreeMap::new(),
            delegated: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Whether `service` (`cloudtrail.amazonaws.com`) is trusted with the organization.
    pub fn has_service_access(&self, service: &str) -> bool {
        self.service_access.contains_key(service)
    }

    /// Whether the account administers `service` for all.
    pub fn is_delegated(&self, account: AccountId, service: &str) -> bool {
        self.delegated.get(&account).is_some_and(|services| services.contains_key(service))
    }

    /// Whether the account administers any service for all.
    pub fn is_delegate(&self, account: AccountId) -> bool {
        self.delegated.get(&account).is_some_and(|services| !services.is_empty())
    }

    /// The accounts that administer `service` for all.
    pub fn delegates(&self, service: &str) -> impl Iterator<Item = AccountId> {
        self.delegated.iter().filter(move |(_, services)| services.contains_key(service)).map(|(account, _)| *account)
    }

    /// The accounts that can be used, the management account among them.
    pub fn active_members(&self) -> impl Iterator<Item = AccountId> {
        self.members.iter().filter(|(_, member)| member.status == MemberStatus::Active).map(|(account, _)| *account)
    }

    /// Whether `id` is the root or a unit.
    pub fn has_parent(&self, id: &str) -> bool {
        self.root == id || self.units.contains_key(id)
    }

    /// The units right below a root or unit.
    pub fn units_in(&self, parent: &str) -> impl Iterator<Item = (&String, &Unit)> {
        self.units.iter().filter(move |(_, unit)| unit.parent == parent)
    }

    /// The accounts right below a root or unit.
    pub fn members_in(&self, parent: &str) -> impl Iterator<Item = (AccountId, &Member)> {
        self.members
            .iter()
            .filter(move |(_, member)| member.parent == parent)
            .map(|(account, member)| (*account, member))
    }

    /// The ids from a root or unit up to the root.
    pub fn lineage<'a>(&'a self, id: &'a str) -> Vec<&'a str> {
        let mut ids = vec![id];
        while let Some(unit) = ids.last().and_then(|id| self.units.get(*id)) {
            ids.push(&unit.parent);
        }
        ids
    }

    /// The way from the organization down to a root or unit, `o-…/r-…/ou-…/`.
    pub fn path(&self, id: &str) -> String {
        let ids = self.lineage(id).into_iter().rev().map(|id| format!("{id}/"));
        format!("{}/{}", self.id, ids.collect::<String>())
    }

    /// Has an account administer a service no longer.
    pub fn deregister(&mut self, account: AccountId, service: &str) {
        let Some(services) = self.delegated.get_mut(&account) else { return };
        services.remove(service);
        if services.is_empty() {
            self.delegated.remove(&account);
        }
    }

    /// Takes an account out, with its tags and what it administers.
    pub fn remove(&mut self, account: AccountId) {
        self.members.remove(&account);
        self.delegated.remove(&account);
        self.tags.remove(&account.to_string());
    }

    /// `arn:aws:organizations::<management>:organization/<id>`.
    pub fn arn(&self) -> String {
        self.arn_of("organization")
    }

    /// `arn:aws:organizations::<management>:account/<id>/<account>`.
    pub fn account_arn(&self, account: AccountId) -> String {
        format!("{}/{account}", self.arn_of("account"))
    }

    /// The ARN of a root or unit: `arn:aws:organizations::<management>:root/<id>/r-…`, `…:ou/<id>/ou-…`.
    pub fn parent_arn(&self, parent: &str) -> String {
        let kind = if parent.starts_with("r-") { "root" } else { "ou" };
        format!("{}/{parent}", self.arn_of(kind))
    }

    fn arn_of(&self, kind: &str) -> String {
        format!("arn:aws:organizations::{}:{kind}/{}", self.management, self.id)
    }
}

impl FeatureSet {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::ConsolidatedBilling => "CONSOLIDATED_BILLING",
        }
    }
}

impl Joined {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Invited => "INVITED",
        }
    }
}

impl MemberStatus {
    /// As the API spells it in `Status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
        }
    }
}
