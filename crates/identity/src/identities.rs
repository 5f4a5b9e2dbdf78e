//! Everybody at one moment, found by name or by key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use opentrail_model::AccountId;

use crate::aws_policies;
use crate::entity::{AccessKey, Document, Group, ManagedPolicy, Origin, Registration, Role, User, name_key};
use crate::policy::Policy;
use crate::principal::{Principal, PrincipalKind};

/// All accounts of this server and who is in them, as they were at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    pub(crate) accounts: BTreeMap<AccountId, Arc<Account>>,
    /// Whose each long-term access key is.
    pub(crate) keys: HashMap<String, KeyOwner>,
}

/// An account. Users, groups, roles and policies are by [`name_key`].
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its digits.
    pub id: AccountId,
    /// A name for it, unique on this server.
    pub alias: Option<String>,
    /// Where the alias was given.
    pub alias_origin: Origin,
    /// Its name, its address, and whether it was closed.
    pub registration: Registration,
    /// The root's keys.
    pub root_keys: Vec<AccessKey>,
    /// Its users.
    pub users: BTreeMap<String, Arc<User>>,
    /// Its groups.
    pub groups: BTreeMap<String, Arc<Group>>,
    /// Its roles.
    pub roles: BTreeMap<String, Arc<Role>>,
    /// Its own managed policies.
    pub policies: BTreeMap<String, Arc<ManagedPolicy>>,
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// The account's root's.
    Root(AccountId),
    /// A user's, by [`name_key`].
    User(AccountId, String),
}

/// A change of who is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Puts a user, with its keys, in place of the one of that name.
    PutUser(Box<User>),
    /// Takes a user away, with its keys.
    DeleteUser(AccountId, String),
    /// Puts a group in place of the one of that name.
    PutGroup(Box<Group>),
    /// Takes a group away.
    DeleteGroup(AccountId, String),
    /// Puts a role in place of the one of that name.
    PutRole(Box<Role>),
    /// Takes a role away.
    DeleteRole(AccountId, String),
    /// Puts a managed policy of an account in place of the one of that name.
    PutPolicy(AccountId, Box<ManagedPolicy>),
    /// Takes a managed policy away.
    DeletePolicy(AccountId, String),
    /// Names an account, or takes its name away. An account that was not there is there afterwards.
    SetAlias(AccountId, Option<String>),
    /// Says what is kept of an account as such. An account that was not there is there afterwards.
    Register(AccountId, Registration),
}

/// What is attached to a principal, who thereby is known to be there.
pub(crate) struct Attached<'a> {
    /// The policies of the user or role and of its groups; none for a root.
    pub(crate) policies: Vec<&'a Policy>,
    pub(crate) boundary: Boundary<'a>,
    pub(crate) tags: Option<&'a BTreeMap<String, String>>,
}

/// A permissions boundary.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Boundary<'a> {
    /// There is none: everything is within it.
    None,
    /// This policy.
    Policy(&'a Policy),
    /// A policy that is gone: nothing is within it.
    Missing,
}

impl Account {
    /// An account with nothing in it.
    pub fn new(id: AccountId) -> Self {
        Self {
            id,
            alias: None,
            alias_origin: Origin::Api,
            registration: Registration::default(),
            root_keys: Vec::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            roles: BTreeMap::new(),
            policies: BTreeMap::new(),
        }
    }

    /// Whether it was closed: nobody in it can do anything.
    pub fn is_closed(&self) -> bool {
        self.registration.closed.is_some()
    }

    /// The user of that name, whatever the case.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(&name_key(name))
    }

    /// The group of that name, whatever the case.
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(&name_key(name))
    }

    /// The role of that name, whatever the case.
    pub fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.get(&name_key(name))
    }

    /// The managed policy of that ARN: one of the account's own, or one that every account has.
    pub fn policy(&self, arn: &str) -> Option<&ManagedPolicy> {
        if let Some(policy) = aws_policies::find(arn) {
            return Some(policy);
        }
        let name = arn.rsplit('/').next()?;
        self.policies.get(&name_key(name)).map(|policy| &**policy).filter(|policy| policy.arn().as_str() == arn)
    }

    /// Who is behind a key that `owner` has in this account.
    fn principal(&self, access_key_id: &str, owner: &KeyOwner) -> Option<Principal> {
        let kind = match owner {
            KeyOwner::Root(_) => PrincipalKind::Root,
            KeyOwner::User(_, name) => {
                let user = self.users.get(name)?;
                PrincipalKind::User { name: user.name.clone(), path: user.path.clone(), id: user.id.clone() }
            }
        };
        Some(Principal {
            account: self.id,
            account_alias: self.alias.clone(),
            kind,
            access_key_id: access_key_id.to_owned(),
            session: None,
        })
    }
}

impl Identities {
    /// The accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values().map(|account| &**account)
    }

    /// The account, if this server holds it.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id).map(|account| &**account)
    }

    /// A long-term key and whose it is.
    pub fn key(&self, access_key_id: &str) -> Option<(&KeyOwner, &AccessKey)> {
        let owner = self.keys.get(access_key_id)?;
        let keys = match owner {
            KeyOwner::Root(account) => &self.accounts.get(account)?.root_keys,
            KeyOwner::User(account, name) => &self.accounts.get(account)?.users.get(name)?.access_keys,
        };
        keys.iter().find(|key| key.id == access_key_id).map(|key| (owner, key))
    }

    /// Whose long-term key this is.
    pub(crate) fn principal(&self, access_key_id: &str) -> Option<Principal> {
        let owner = self.keys.get(access_key_id)?;
        let (KeyOwner::Root(account) | KeyOwner::User(account, _)) = owner;
        self.accounts.get(account)?.principal(access_key_id, owner)
    }

    /// What is attached to who is behind `principal`; `None` when that user, role or account is gone, or the account
    /// is closed.
    pub(crate) fn attached_to(&self, principal: &Principal) -> Option<Attached<'_>> {
        let account = self.account(principal.account).filter(|account| !account.is_closed())?;
        match &principal.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => {
                Some(Attached { policies: Vec::new(), boundary: Boundary::None, tags: None })
            }
            PrincipalKind::User { name, id, .. } | PrincipalKind::UserSession { name, id, .. } => {
                let user = account.user(name).filter(|user| user.id == *id)?;
                let mut policies = account.policies_of(&user.rights);
                for group in user.groups.iter().filter_map(|group| account.groups.get(group)) {
                    policies.extend(account.policies_of(&group.rights));
                }
                Some(Attached { policies, boundary: account.boundary(&user.boundary), tags: Some(&user.tags) })
            }
            PrincipalKind::AssumedRole { role_name, role_id, .. } => {
                let role = account.role(role_name).filter(|role| role.id == *role_id)?;
                let policies = account.policies_of(&role.rights);
                Some(Attached { policies, boundary: account.boundary(&role.boundary), tags: Some(&role.tags) })
            }
        }
    }

    /// Carries out one change.
    pub(crate) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::PutUser(user) => {
                let name = name_key(&user.name);
                self.forget_keys(user.account, &name);
                for key in &user.access_keys {
                    self.keys.insert(key.id.clone(), KeyOwner::User(user.account, name.clone()));
                }
                self.edited(user.account).users.insert(name, Arc::new((**user).clone()));
            }
            Edit::DeleteUser(account, name) => {
                let name = name_key(name);
                self.forget_keys(*account, &name);
                self.edited(*account).users.remove(&name);
            }
            Edit::PutGroup(group) => {
                let entry = Arc::new((**group).clone());
                self.edited(group.account).groups.insert(name_key(&group.name), entry);
            }
            Edit::DeleteGroup(account, name) => {
                self.edited(*account).groups.remove(&name_key(name));
            }
            Edit::PutRole(role) => {
                let entry = Arc::new((**role).clone());
                self.edited(role.account).roles.insert(name_key(&role.name), entry);
            }
            Edit::DeleteRole(account, name) => {
                self.edited(*account).roles.remove(&name_key(name));
            }
            Edit::PutPolicy(account, policy) => {
                let entry = Arc::new((**policy).clone());
                self.edited(*account).policies.insert(name_key(&policy.name), entry);
            }
            Edit::DeletePolicy(account, name) => {
                self.edited(*account).policies.remove(&name_key(name));
            }
            Edit::SetAlias(account, alias) => {
                let account = self.edited(*account);
                account.alias.clone_from(alias);
                account.alias_origin = Origin::Api;
            }
            Edit::Register(account, registration) => self.edited(*account).registration.clone_from(registration),
        }
    }

    pub(crate) fn edited(&mut self, id: AccountId) -> &mut Account {
        Arc::make_mut(self.accounts.entry(id).or_insert_with(|| Arc::new(Account::new(id))))
    }

    fn forget_keys(&mut self, account: AccountId, user: &str) {
        if let Some(user) = self.accounts.get(&account).and_then(|account| account.users.get(user)) {
            for key in &user.access_keys {
                self.keys.remove(&key.id);
            }
        }
    }
}

impl Account {
    fn policies_of<'a>(&'a self, rights: &'a crate::entity::Rights) -> Vec<&'a Policy> {
        // A managed policy cannot be deleted while it is attached, so each is there.
        let managed = rights.attached.iter().filter_map(|arn| self.policy(arn)).map(ManagedPolicy::document);
        rights.inline.values().chain(managed).map(Document::policy).collect()
    }

    fn boundary(&self, arn: &Option<String>) -> Boundary<'_> {
        match arn {
            None => Boundary::None,
            Some(arn) => {
                self.policy(arn).map_or(Boundary::Missing, |policy| Boundary::Policy(policy.document().policy()))
            }
        }
    }
}
