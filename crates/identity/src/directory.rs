use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use opentrail_model::{AccountId, Arn, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::authorize::{AccessRequest, Decision, PolicyKind, decide, decide_by_endpoint, is_allowed_by_resource};
use crate::entity::{AccessKey, KeyUse, Role, name_key};
use crate::identities::{Account, Attached, Edit, Identities};
use crate::policy::Requester;
use crate::principal::Principal;
use crate::session::{Claims, Sealer};
use crate::spec::{AccountSpec, IdentityError};
use crate::{Context, Policy, Secret};

mod builder;

pub use builder::is_alias;

/// Who is there, now: the accounts of the configuration, and what the API has changed since.
///
/// Readers see one moment whole ([`Self::identities`]); changes are seen by the next request.
#[derive(Default)]
pub struct Directory {
    identities: RwLock<Arc<Identities>>,
    /// The last use of long-term keys, by key.
    uses: Mutex<HashMap<String, KeyUse>>,
    pub(crate) sealer: Option<Arc<dyn Sealer>>,
    memberships: Option<Arc<dyn Memberships>>,
}

/// Knows which organization an account is in.
pub trait Memberships: fmt::Debug + Send + Sync + 'static {
    /// The account's organization, now; `None` for an account that is in none.
    fn of(&self, account: AccountId) -> Option<Membership>;
}

/// An account's place in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// `o-…`: `aws:PrincipalOrgID`.
    pub organization_id: String,
    /// `o-…/r-…/ou-…/`: the one value of `aws:PrincipalOrgPaths`.
    pub path: String,
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
    /// It is switched off, or its account is closed.
    #[error("the access key is inactive")]
    Inactive,
    /// A temporary key came without its session token.
    #[error("the temporary access key needs its session token")]
    TokenMissing,
    /// The token is not one of this server's, not for this key, or its user, role or account is gone or closed.
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
        let identities = builder::build(accounts)?;
        Ok(Self { identities: RwLock::new(Arc::new(identities)), ..Self::default() })
    }

    /// The directory, with what seals the tokens of its sessions.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// The directory, with what knows the organizations of its accounts.
    #[must_use]
    pub fn with_memberships(mut self, memberships: Arc<dyn Memberships>) -> Self {
        self.memberships = Some(memberships);
        self
    }

    /// Everybody, as of now.
    pub fn identities(&self) -> Arc<Identities> {
        Arc::clone(&self.identities.read())
    }

    /// The account, if this server holds it.
    pub fn account(&self, id: AccountId) -> Option<Arc<Account>> {
        self.identities.read().accounts.get(&id).cloned()
    }

    /// The role with this ARN.
    pub fn role(&self, arn: &str) -> Option<Arc<Role>> {
        let parsed: Arn = arn.parse().ok()?;
        let account = self.account(parsed.account().parse().ok()?)?;
        let name = parsed.resource().rsplit('/').next()?;
        account.roles.get(&name_key(name)).filter(|role| role.arn().as_str() == arn).cloned()
    }

    /// Changes who is there: all of `edits` at once. What they say must have been checked, and be durable already.
    pub fn apply(&self, edits: &[Edit]) {
        let mut identities = self.identities.write();
        let identities = Arc::make_mut(&mut identities);
        edits.iter().for_each(|edit| identities.apply(edit));
    }

    /// Adds what was made through the API before this process began.
    ///
    /// # Errors
    /// What the configuration has defined meanwhile under the same name; nothing is added then.
    pub fn restore(&self, edits: &[Edit]) -> Result<(), Vec<IdentityError>> {
        let problems = builder::clashes(&self.identities(), edits);
        if problems.is_empty() {
            self.apply(edits);
            Ok(())
        } else {
            Err(problems)
        }
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
        let identities = self.identities();
        if let Some(token) = session_token {
            return self.find_session(&identities, access_key_id, token, now);
        }
        match identities.key(access_key_id) {
            None if access_key_id.starts_with("ASIA") => Err(KeyError::TokenMissing),
            None | Some((_, AccessKey { secret: None, .. })) => Err(KeyError::UnknownKey),
            Some((_, AccessKey { active: false, .. })) => Err(KeyError::Inactive),
            Some((_, AccessKey { secret: Some(secret), .. })) => {
                let principal = identities.principal(access_key_id).ok_or(KeyError::UnknownKey)?;
                if identities.account(principal.account).is_none_or(Account::is_closed) {
                    return Err(KeyError::Inactive);
                }
                Ok(Credential { principal, secret: secret.clone() })
            }
        }
    }

    fn find_session(
        &self,
        identities: &Identities,
        access_key_id: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<Credential, KeyError> {
        let sealer = self.sealer.as_deref().ok_or(KeyError::TokenInvalid)?;
        let claims = Claims::unseal(token, sealer).ok_or(KeyError::TokenInvalid)?;
        if claims.access_key_id != access_key_id {
            return Err(KeyError::TokenInvalid);
        }
        if claims.expires <= now {
            return Err(KeyError::TokenExpired);
        }
        let account = identities.account(claims.account).ok_or(KeyError::TokenInvalid)?;
        let secret = claims.secret();
        let principal = claims.principal(account.alias.clone()).ok_or(KeyError::TokenInvalid)?;
        // A session ends with its user or role.
        identities.attached_to(&principal).ok_or(KeyError::TokenInvalid)?;
        Ok(Credential { principal, secret })
    }

    /// Whose long-term key this is, without any proof: for telling who calls through a gateway, whose upstream checks
    /// the signature. Finds keys that have no secret or are inactive too.
    pub fn identity_of_key(&self, access_key_id: &str) -> Option<Principal> {
        self.identities().principal(access_key_id)
    }

    /// Notes that a request came in that `principal` signed, for [`Self::key_use`]. Temporary keys are not counted.
    pub fn note_use(&self, principal: &Principal, service: &str, region: &str, when: Timestamp) {
        if principal.session.is_some() {
            return;
        }
        let mut uses = self.uses.lock();
        match uses.get_mut(&principal.access_key_id) {
            Some(known) if known.service == service && known.region == region => known.when = when,
            _ => {
                let used = KeyUse { when, service: service.to_owned(), region: region.to_owned() };
                uses.insert(principal.access_key_id.clone(), used);
            }
        }
    }

    /// The last use of a long-term key, if it was used since it is known.
    pub fn key_use(&self, access_key_id: &str) -> Option<KeyUse> {
        self.uses.lock().get(access_key_id).cloned()
    }

    /// All last uses, by key.
    pub fn key_uses(&self) -> HashMap<String, KeyUse> {
        self.uses.lock().clone()
    }

    /// Takes over last uses of an earlier process.
    pub fn restore_uses(&self, uses: impl IntoIterator<Item = (String, KeyUse)>) {
        self.uses.lock().extend(uses);
    }

    /// Whether `principal` may do what `request` says. An explicit deny wins; within an account the identity's or the
    /// resource's policy suffices, across accounts both must allow; the root needs no policy of its own; a session
    /// policy and a permissions boundary narrow. Someone whose user or role is gone may nothing.
    pub fn authorize(&self, principal: &Principal, request: &AccessRequest<'_>) -> Decision {
        let identities = self.identities();
        match identities.attached_to(principal) {
            Some(attached) => decide(principal, &attached, &self.context_of(principal, Some(&attached)), request),
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

    /// Whether `policy`, of a VPC endpoint, lets through what `request` says, whoever else may forbid it. `None` is
    /// somebody unknown, or nobody. The request's own resource policy is not asked.
    pub fn authorize_by_endpoint(
        &self,
        policy: &Policy,
        principal: Option<&Principal>,
        request: &AccessRequest<'_>,
    ) -> Decision {
        match principal {
            Some(principal) => {
                let caller = self.caller_context(principal);
                decide_by_endpoint(policy, Requester::Identity(principal), &caller, request)
            }
            None => decide_by_endpoint(policy, Requester::Unknown, &Context::new(), request),
        }
    }

    /// The condition keys that follow from who `principal` is.
    pub(crate) fn caller_context(&self, principal: &Principal) -> Context {
        let identities = self.identities();
        self.context_of(principal, identities.attached_to(principal).as_ref())
    }

    fn context_of(&self, principal: &Principal, attached: Option<&Attached<'_>>) -> Context {
        let tags = attached.and_then(|attached| attached.tags);
        let mut context = principal.context(tags.into_iter().flatten());
        // (IAM User Guide, "AWS global condition context keys": there only for members of an organization.)
        if let Some(Membership { organization_id, path }) =
            self.memberships.as_ref().and_then(|memberships| memberships.of(principal.account))
        {
            context.insert("aws:PrincipalOrgID", organization_id);
            context.insert_all("aws:PrincipalOrgPaths", [path]);
        }
        context
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identities = self.identities.read();
        let users: usize = identities.accounts().map(|account| account.users.len()).sum();
        let roles: usize = identities.accounts().map(|account| account.roles.len()).sum();
        let (accounts, keys) = (identities.accounts.len(), identities.keys.len());
        write!(f, "Directory({accounts} accounts, {users} users, {roles} roles, {keys} keys)")
    }
}

#[cfg(test)]
mod tests;
