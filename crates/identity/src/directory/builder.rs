//! From what is configured to who is there, or to everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::{AccountId, Timestamp};

use crate::entity::{AccessKey, Document, Origin, Rights, Role, User, name_key};
use crate::identities::{Edit, Identities, KeyOwner};
use crate::ids::principal_id;
use crate::policy::PolicyUse;
use crate::spec::{AccessKeySpec, AccountSpec, IdentityError, IdentityProblem, PolicySpec, RoleSpec, UserSpec};

const MIN_MAX_SESSION: Duration = Duration::from_secs(3600);
const MAX_MAX_SESSION: Duration = Duration::from_secs(43_200);

/// When the identities of the configuration were made: it does not say, which is shown as the epoch.
const CONFIGURED: Timestamp = Timestamp::from_secs(0);

pub(super) fn build(accounts: Vec<AccountSpec>) -> Result<Identities, Vec<IdentityError>> {
    let mut builder = Builder::default();
    for (index, account) in accounts.into_iter().enumerate() {
        builder.add_account(&format!("account[{index}]"), account);
    }
    if builder.problems.is_empty() { Ok(builder.identities) } else { Err(builder.problems) }
}

/// What of `edits`, made through the API, the configuration has defined too.
pub(super) fn clashes(identities: &Identities, edits: &[Edit]) -> Vec<IdentityError> {
    let mut problems = Vec::new();
    let mut complain = |account: AccountId, kind: &'static str, name: &str| {
        let problem = IdentityProblem::MadeByApi { what: kind, name: name.to_owned() };
        problems.push(IdentityError { key: format!("account {account}"), problem });
    };
    let aliases: BTreeMap<&str, AccountId> =
        identities.accounts().filter_map(|account| Some((account.alias.as_deref()?, account.id))).collect();
    for edit in edits {
        match edit {
            Edit::PutUser(user) => {
                if identities.account(user.account).is_some_and(|account| account.user(&user.name).is_some()) {
                    complain(user.account, "user", &user.name);
                }
                for key in user.access_keys.iter().filter(|key| identities.keys.contains_key(&key.id)) {
                    complain(user.account, "access key", &key.id);
                }
            }
            Edit::PutRole(role)
                if identities.account(role.account).is_some_and(|account| account.role(&role.name).is_some()) =>
            {
                complain(role.account, "role", &role.name);
            }
            Edit::SetAlias(account, Some(alias)) => {
                let named = identities.account(*account).is_some_and(|account| account.alias.is_some());
                if named || aliases.contains_key(alias.as_str()) {
                    complain(*account, "alias", alias);
                }
            }
            _ => {}
        }
    }
    problems
}

/// Identities being put together, and what is wrong with what they are made from.
#[derive(Default)]
struct Builder {
    identities: Identities,
    aliases: HashSet<String>,
    /// `user` or `role`, the account and the name in lower case.
    names: HashSet<(&'static str, AccountId, String)>,
    problems: Vec<IdentityError>,
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
        if self.identities.accounts.contains_key(&spec.id) {
            self.duplicate(format!("{key}.id"), "account", &spec.id.to_string());
        }
        let root_keys = self.access_keys(key, spec.root_access_keys, &KeyOwner::Root(spec.id));
        let account = self.identities.edited(spec.id);
        if spec.alias.is_some() {
            account.alias_origin = Origin::Configuration;
        }
        account.alias = spec.alias;
        account.root_keys.extend(root_keys);
        for (index, user) in spec.users.into_iter().enumerate() {
            self.add_user(&format!("{key}.user[{index}]"), spec.id, user);
        }
        for (index, role) in spec.roles.into_iter().enumerate() {
            self.add_role(&format!("{key}.role[{index}]"), spec.id, role);
        }
    }

    fn add_user(&mut self, key: &str, account: AccountId, spec: UserSpec) {
        self.check_name(key, "user", account, &spec.name, &spec.path);
        let rights = self.rights(key, &spec.policies);
        let name = name_key(&spec.name);
        let access_keys = self.access_keys(key, spec.access_keys, &KeyOwner::User(account, name.clone()));
        let user = User {
            account,
            id: principal_id("AIDA", account, &spec.path, &spec.name),
            name: spec.name,
            path: spec.path,
            created: CONFIGURED,
            tags: spec.tags,
            rights,
            groups: BTreeSet::new(),
            boundary: None,
            login: None,
            access_keys,
            origin: Origin::Configuration,
        };
        self.identities.edited(account).users.insert(name, Arc::new(user));
    }

    fn add_role(&mut self, key: &str, account: AccountId, spec: RoleSpec) {
        self.check_name(key, "role", account, &spec.name, &spec.path);
        if !(MIN_MAX_SESSION..=MAX_MAX_SESSION).contains(&spec.max_session) {
            let problem = IdentityProblem::MaxSession { duration: spec.max_session };
            self.complain(format!("{key}.max_session"), problem);
        }
        let rights = self.rights(key, &spec.policies);
        let trust = self.parse_policy(&format!("{key}.trust_policy"), &spec.trust_policy, PolicyUse::Trust);
        let Some(trust) = trust else { return };
        let role = Role {
            account,
            id: principal_id("AROA", account, &spec.path, &spec.name),
            name: spec.name,
            path: spec.path,
            created: CONFIGURED,
            description: None,
            tags: spec.tags,
            max_session: spec.max_session,
            trust,
            rights,
            boundary: None,
            origin: Origin::Configuration,
        };
        self.identities.edited(account).roles.insert(name_key(&role.name), Arc::new(role));
    }

    fn check_name(&mut self, key: &str, what: &'static str, account: AccountId, name: &str, path: &str) {
        if !is_name(name) {
            self.complain(format!("{key}.name"), IdentityProblem::Name { name: name.to_owned() });
        } else if !self.names.insert((what, account, name_key(name))) {
            self.duplicate(format!("{key}.name"), what, name);
        }
        if !is_path(path) {
            self.complain(format!("{key}.path"), IdentityProblem::Path { path: path.to_owned() });
        }
    }

    /// The policies, named `configured-1` and so on, as the configuration gives them no names.
    fn rights(&mut self, key: &str, specs: &[PolicySpec]) -> Rights {
        let parse = |(index, spec)| {
            let document = self.parse_policy(&format!("{key}.policies[{index}]"), spec, PolicyUse::Identity)?;
            Some((format!("configured-{}", index + 1), document))
        };
        Rights { inline: specs.iter().enumerate().filter_map(parse).collect(), attached: Vec::new() }
    }

    fn parse_policy(&mut self, key: &str, spec: &PolicySpec, purpose: PolicyUse) -> Option<Document> {
        let parsed = Document::parse(&spec.0, purpose);
        parsed.map_err(|error| self.complain(key, IdentityProblem::Policy(error))).ok()
    }

    fn access_keys(&mut self, key: &str, specs: Vec<AccessKeySpec>, owner: &KeyOwner) -> Vec<AccessKey> {
        let mut keys = Vec::new();
        for (index, spec) in specs.into_iter().enumerate() {
            let key = format!("{key}.access_key[{index}]");
            if !is_key_id(&spec.id) {
                self.complain(format!("{key}.id"), IdentityProblem::KeyId { id: spec.id.clone() });
            }
            if spec.secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
                self.complain(format!("{key}.secret"), IdentityProblem::EmptySecret);
            }
            if self.identities.keys.insert(spec.id.clone(), owner.clone()).is_some() {
                self.duplicate(format!("{key}.id"), "access key", &spec.id);
            }
            keys.push(AccessKey { id: spec.id, secret: spec.secret, active: spec.active, created: CONFIGURED });
        }
        keys
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
pub fn is_alias(alias: &str) -> bool {
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
