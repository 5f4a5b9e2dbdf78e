use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{AccountId, Arn, Timestamp};

use crate::authorize::{AccessRequest, Decision, PolicyKind, decide, is_allowed_by_resource};
use crate::policy::Policy;
use crate::principal::{Principal, PrincipalKind};
use crate::session::{Claims, Sealer};
use crate::spec::{AccountSpec, IdentityError};
use crate::{Context, Secret};

mod builder;

/// All accounts of this server and who is in them.
#[derive(Default)]
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
        builder::build(accounts)
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
        self.attached_to(&principal).ok_or(KeyError::TokenInvalid)?;
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
        match self.attached_to(principal) {
            Some(attached) => decide(principal, attached.policies, &self.caller_context(principal), request),
            None => Decision::ImplicitDeny { missing: PolicyKind::IdentityBased },
        }
    }

    /// Like [`Self::authorize`], for a resource that nobody may use without its own policy, such as a KMS key: the root
    /// and the identity's policies count only where that policy names the account.
    /// (KMS Developer Guide, "Key policies in AWS KMS" and "Default key policy".)
    pub fn authorize_under_policy(&self, principal: &Principal, request: &AccessRequest<'_>) -> Decision {
        match self.authorize(principal, request) {
            Decision::ExplicitDeny { by } => Decision::ExplicitDeny { by },
            _ if !is_allowed_by_resource(principal, &self.caller_context(principal), request) => {
                Decision::ImplicitDeny { missing: PolicyKind::ResourceBased }
            }
            decision => decision,
        }
    }

    /// The condition keys that follow from who `principal` is.
    pub(crate) fn caller_context(&self, principal: &Principal) -> Context {
        let tags = self.attached_to(principal).and_then(|attached| attached.tags);
        principal.context(tags.into_iter().flatten())
    }

    /// What is attached to who is behind `principal`; `None` when that user, role or account is gone.
    fn attached_to(&self, principal: &Principal) -> Option<Attached<'_>> {
        match &principal.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => {
                self.accounts.contains_key(&principal.account).then_some(Attached { policies: &[], tags: None })
            }
            PrincipalKind::User { id, .. } | PrincipalKind::UserSession { id, .. } => {
                let user = self.users.get(&principal.issuer_arn()).filter(|user| user.id == *id)?;
                Some(Attached { policies: &user.policies, tags: Some(&user.tags) })
            }
            PrincipalKind::AssumedRole { role_id, .. } => {
                let role = self.roles.get(&principal.issuer_arn()).filter(|role| role.id == *role_id)?;
                Some(Attached { policies: &role.policies, tags: Some(&role.tags) })
            }
        }
    }
}

/// The policies and tags of a user or role; a root has none.
struct Attached<'a> {
    policies: &'a [Policy],
    tags: Option<&'a BTreeMap<String, String>>,
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

#[cfg(test)]
mod tests;
