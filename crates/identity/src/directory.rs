use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{AccountId, Arn, Timestamp};

use crate::authorize::{AccessRequest, Decision, PolicyKind, decide};
use crate::ids::principal_id;
use crate::policy::{Policy, PolicyUse};
use crate::principal::{Principal, PrincipalKind};
use crate::session::{Claims, Sealer};
use crate::spec::{AccessKeySpec, AccountSpec, IdentityError, IdentityProblem, PolicySpec, RoleSpec, UserSpec};
use crate::{Context, Secret};

const MIN_MAX_SESSION: Duration = Duration::from_secs(3600);
const MAX_MAX_SESSION: Duration = Duration::from_secs(43_200);

/// All accounts of this server and who is in them.
pub struct Directory {
    accounts: BTreeMap<AccountId, Account>,
    /// By ARN, as roles are.
    users: HashMap<String, User>,
    roles: HashMap<String, Role>,
    keys: HashMap<String, Key>,
    pub(crate) sealer: Option<Arc<dyn Sealer>>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its digits.
    pub id: AccountId,
    /// A name for it.
    pub alias: Option<String>,
}

/// A user.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The friendly name.
    pub name: String,
    /// `/` or `/division/team/`.
    pub path: String,
    /// `AIDA…`.
    pub id: String,
    /// For `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    policies: Vec<Policy>,
}

/// A role.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The friendly name.
    pub name: String,
    /// `/` or `/division/team/`.
    pub path: String,
    /// `AROA…`.
    pub id: String,
    /// For `aws:PrincipalTag/…`.
    pub tags: BTreeMap<String, String>,
    /// The longest session.
    pub max_session: Duration,
    pub(crate) trust_policy: Policy,
    policies: Vec<Policy>,
}

#[derive(Debug)]
struct Key {
    secret: Option<Secret>,
    active: bool,
    owner: Principal,
}

/// A key that may be used now: whose it is and the secret that its signatures must be made with.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Who signs with it.
    pub principal: Principal,
    /// What they sign with.
    pub secret: Secret,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nobody here has it, or nobody can sign with it.
    #[error("the access key is not known")]
    UnknownKey,
    /// It is switched off.
    #[error("the access key is inactive")]
    Inactive,
    /// A temporary key came without its session token.
    #[error("the temporary access key needs its session token")]
    TokenMissing,
    /// The token is not one of this server's, not for this key, or its user or role is gone.
    #[error("the session token is not valid for this access key")]
    TokenInvalid,
    /// The session is over.
    #[error("the session token is expired")]
    TokenExpired,
}

impl Directory {
    /// The directory of `accounts`. Without [`Self::with_sealer`] it knows no sessions.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key path (`account[0].user[2].name`).
    pub fn new(accounts: Vec<AccountSpec>) -> Result<Self, Vec<IdentityError>> {
        let mut builder = Builder::default();
        for (index, account) in accounts.into_iter().enumerate() {
            builder.add_account(&format!("account[{index}]"), account);
        }
        if builder.problems.is_empty() { Ok(builder.directory) } else { Err(builder.problems) }
    }

    /// The directory, with what seals the tokens of its sessions.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// The accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The account, if this server holds it.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The user with this ARN.
    pub fn user(&self, arn: &str) -> Option<&User> {
        self.users.get(arn)
    }

    /// The role with this ARN.
    pub fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }

    /// Whose key this is and its secret, at the time `now`; `session_token` as the request carries it.
    ///
    /// # Errors
    /// [`KeyError`]. A token is judged only together with the key that it was made with.
    pub fn find_key(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Credential, KeyError> {
        if let Some(token) = session_token {
            return self.find_session(access_key_id, token, now);
        }
        match self.keys.get(access_key_id) {
            None if access_key_id.starts_with("ASIA") => Err(KeyError::TokenMissing),
            None | Some(Key { secret: None, .. }) => Err(KeyError::UnknownKey),
            Some(Key { active: false, .. }) => Err(KeyError::Inactive),
            Some(Key { secret: Some(secret), owner, .. }) => {
                Ok(Credential { principal: owner.clone(), secret: secret.clone() })
            }
        }
    }

    fn find_session(&self, access_key_id: &str, token: &str, now: Timestamp) -> Result<Credential, KeyError> {
        let sealer = self.sealer.as_deref().ok_or(KeyError::TokenInvalid)?;
        let claims = Claims::unseal(token, sealer).ok_or(KeyError::TokenInvalid)?;
        if claims.access_key_id != access_key_id {
            return Err(KeyError::TokenInvalid);
        }
        if claims.expires <= now {
            return Err(KeyError::TokenExpired);
        }
        let account = self.accounts.get(&claims.account).ok_or(KeyError::TokenInvalid)?;
        let secret = claims.secret();
        let principal = claims.principal(account.alias.clone()).ok_or(KeyError::TokenInvalid)?;
        // A session ends with its user or role.
        self.policies_of(&principal).ok_or(KeyError::TokenInvalid)?;
        Ok(Credential { principal, secret })
    }

    /// Whose long-term key this is, without any proof: for telling who calls through a gateway, whose upstream checks
    /// the signature. Finds keys that have no secret or are inactive too.
    pub fn identity_of_key(&self, access_key_id: &str) -> Option<Principal> {
        self.keys.get(access_key_id).map(|key| key.owner.clone())
    }

    /// Whether `principal` may do what `request` says. An explicit deny wins; within an account the identity's or the
    /// resource's policy suffices, across accounts both must allow; the root needs no policy of its own; a session
    /// policy narrows. Someone whose user or role is gone may nothing.
    pub fn authorize(&self, principal: &Principal, request: &AccessRequest<'_>) -> Decision {
        match self.policies_of(principal) {
            Some((policies, _)) => decide(principal, policies, &self.caller_context(principal), request),
            None => Decision::ImplicitDeny { missing: PolicyKind::IdentityBased },
        }
    }

    /// The condition keys that follow from who `principal` is.
    pub(crate) fn caller_context(&self, principal: &Principal) -> Context {
        let tags = self.policies_of(principal).and_then(|(_, tags)| tags);
        principal.context(tags.into_iter().flatten())
    }

    /// Policies and tags of who is behind `principal`; `None` when that user, role or account is gone.
    fn policies_of(&self, principal: &Principal) -> Option<(&[Policy], Option<&BTreeMap<String, String>>)> {
        match &principal.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => {
                self.accounts.contains_key(&principal.account).then_some((&[], None))
            }
            PrincipalKind::User { id, .. } | PrincipalKind::UserSession { id, .. } => {
                let user = self.users.get(&principal.issuer_arn()).filter(|user| user.id == *id)?;
                Some((&user.policies, Some(&user.tags)))
            }
            PrincipalKind::AssumedRole { role_id, .. } => {
                let role = self.roles.get(&principal.issuer_arn()).filter(|role| role.id == *role_id)?;
                Some((&role.policies, Some(&role.tags)))
            }
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accounts, users, roles) = (self.accounts.len(), self.users.len(), self.roles.len());
        write!(f, "Directory({accounts} accounts, {users} users, {roles} roles, {} keys)", self.keys.len())
    }
}

impl User {
    /// `arn:aws:iam::<account>:user<path><name>`.
    pub fn arn(&self) -> Arn {
        arn("user", self.account, &self.path, &self.name)
    }
}

impl Role {
    /// `arn:aws:iam::<account>:role<path><name>`.
    pub fn arn(&self) -> Arn {
        arn("role", self.account, &self.path, &self.name)
    }
}

fn arn(kind: &str, account: AccountId, path: &str, name: &str) -> Arn {
    let text = format!("arn:aws:iam::{account}:{kind}{path}{name}");
    text.parse().expect("an ARN put together from its parts has six of them")
}

/// A directory being built, and what is wrong with what it is built from.
#[derive(Default)]
struct Builder {
    directory: Directory,
    aliases: HashSet<String>,
    /// `user` or `role`, the account and the name in lower case.
    names: HashSet<(&'static str, AccountId, String)>,
    problems: Vec<IdentityError>,
}

impl Default for Directory {
    fn default() -> Self {
        let (users, roles, keys) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { accounts: BTreeMap::new(), users, roles, keys, sealer: None }
    }
}

impl Builder {
    fn complain(&mut self, key: impl Into<String>, problem: IdentityProblem) {
        self.problems.push(IdentityError { key: key.into(), problem });
    }

    fn duplicate(&mut self, key: String, what: &'static str, name: &str) {
        self.complain(key, IdentityProblem::Duplicate { what, name: name.to_owned() });
    }

    fn add_account(&mut self, key: &str, spec: AccountSpec) {
        if let Some(alias) = &spec.alias {
            if !is_alias(alias) {
                self.complain(format!("{key}.alias"), IdentityProblem::Alias { alias: alias.clone() });
            } else if !self.aliases.insert(alias.clone()) {
                self.duplicate(format!("{key}.alias"), "alias", alias);
            }
        }
        let root = Principal {
            account: spec.id,
            account_alias: spec.alias.clone(),
            kind: PrincipalKind::Root,
            access_key_id: String::new(),
            session: None,
        };
        let account = Account { id: spec.id, alias: spec.alias };
        if self.directory.accounts.insert(spec.id, account).is_some() {
            self.duplicate(format!("{key}.id"), "account", &spec.id.to_string());
        }
        self.add_keys(key, spec.root_access_keys, &root);
        for (index, user) in spec.users.into_iter().enumerate() {
            self.add_user(&format!("{key}.user[{index}]"), &root, user);
        }
        for (index, role) in spec.roles.into_iter().enumerate() {
            self.add_role(&format!("{key}.role[{index}]"), spec.id, role);
        }
    }

    fn add_user(&mut self, key: &str, root: &Principal, spec: UserSpec) {
        self.check_name(key, "user", root.account, &spec.name, &spec.path);
        let policies = self.parse_policies(key, &spec.policies);
        let user = User {
            account: root.account,
            id: principal_id("AIDA", root.account, &spec.path, &spec.name),
            name: spec.name,
            path: spec.path,
            tags: spec.tags,
            policies,
        };
        let kind = PrincipalKind::User { name: user.name.clone(), path: user.path.clone(), id: user.id.clone() };
        self.add_keys(key, spec.access_keys, &Principal { kind, ..root.clone() });
        // Not `User::arn`: a name that was complained about may spell none.
        let arn = format!("arn:aws:iam::{}:user{}{}", user.account, user.path, user.name);
        self.directory.users.insert(arn, user);
    }

    fn add_role(&mut self, key: &str, account: AccountId, spec: RoleSpec) {
        self.check_name(key, "role", account, &spec.name, &spec.path);
        if !(MIN_MAX_SESSION..=MAX_MAX_SESSION).contains(&spec.max_session) {
            let problem = IdentityProblem::MaxSession { duration: spec.max_session };
            self.complain(format!("{key}.max_session"), problem);
        }
        let policies = self.parse_policies(key, &spec.policies);
        let trust = self.parse_policy(&format!("{key}.trust_policy"), &spec.trust_policy, PolicyUse::Trust);
        let Some(trust_policy) = trust else { return };
        let role = Role {
            account,
            id: principal_id("AROA", account, &spec.path, &spec.name),
            name: spec.name,
            path: spec.path,
            tags: spec.tags,
            max_session: spec.max_session,
            trust_policy,
            policies,
        };
        let arn = format!("arn:aws:iam::{}:role{}{}", role.account, role.path, role.name);
        self.directory.roles.insert(arn, role);
    }

    fn check_name(&mut self, key: &str, what: &'static str, account: AccountId, name: &str, path: &str) {
        if !is_name(name) {
            self.complain(format!("{key}.name"), IdentityProblem::Name { name: name.to_owned() });
        } else if !self.names.insert((what, account, name.to_ascii_lowercase())) {
            self.duplicate(format!("{key}.name"), what, name);
        }
        if !is_path(path) {
            self.complain(format!("{key}.path"), IdentityProblem::Path { path: path.to_owned() });
        }
    }

    fn parse_policies(&mut self, key: &str, specs: &[PolicySpec]) -> Vec<Policy> {
        let parse = |(index, spec)| self.parse_policy(&format!("{key}.policies[{index}]"), spec, PolicyUse::Identity);
        specs.iter().enumerate().filter_map(parse).collect()
    }

    fn parse_policy(&mut self, key: &str, spec: &PolicySpec, purpose: PolicyUse) -> Option<Policy> {
        let parsed = Policy::parse(&spec.0, purpose);
        parsed.map_err(|error| self.complain(key, IdentityProblem::Policy(error))).ok()
    }

    fn add_keys(&mut self, key: &str, specs: Vec<AccessKeySpec>, owner: &Principal) {
        for (index, spec) in specs.into_iter().enumerate() {
            let key = format!("{key}.access_key[{index}]");
            if !is_key_id(&spec.id) {
                self.complain(format!("{key}.id"), IdentityProblem::KeyId { id: spec.id.clone() });
            }
            if spec.secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
                self.complain(format!("{key}.secret"), IdentityProblem::EmptySecret);
            }
            let owner = Principal { access_key_id: spec.id.clone(), ..owner.clone() };
            let entry = Key { secret: spec.secret, active: spec.active, owner };
            if self.directory.keys.insert(spec.id.clone(), entry).is_some() {
                self.duplicate(format!("{key}.id"), "access key", &spec.id);
            }
        }
    }
}

/// `[\w+=,.@-]{1,64}`. (IAM User Guide, "IAM and AWS STS quotas", name limits.)
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// `/`, or `/…/` of visible ASCII characters, at most 512. (IAM API Reference, `CreateUser`, `Path`.)
fn is_path(path: &str) -> bool {
    path.len() <= 512 && path.starts_with('/') && path.ends_with('/') && path.bytes().all(|b| b.is_ascii_graphic())
}

/// (IAM API Reference, `CreateAccountAlias`, `AccountAlias`.)
fn is_alias(alias: &str) -> bool {
    (3..=63).contains(&alias.len())
        && alias.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !alias.starts_with('-')
        && !alias.ends_with('-')
        && !alias.contains("--")
}

/// Wider than AWS's, for other clouds' keys; without what ends a key in an `Authorization` header.
fn is_key_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic() && !b"/,=".contains(&b))
}

#[cfg(test)]
mod tests;
