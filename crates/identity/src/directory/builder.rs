//! From what is configured to a directory, or to everything that is wrong with it.

use std::collections::HashSet;
use std::time::Duration;

use opentrail_model::AccountId;

use super::{Account, Directory, Key, Role, User};
use crate::ids::principal_id;
use crate::policy::{Policy, PolicyUse};
use crate::principal::{Principal, PrincipalKind};
use crate::spec::{AccessKeySpec, AccountSpec, IdentityError, IdentityProblem, PolicySpec, RoleSpec, UserSpec};

const MIN_MAX_SESSION: Duration = Duration::from_secs(3600);
const MAX_MAX_SESSION: Duration = Duration::from_secs(43_200);

pub(super) fn build(accounts: Vec<AccountSpec>) -> Result<Directory, Vec<IdentityError>> {
    let mut builder = Builder::default();
    for (index, account) in accounts.into_iter().enumerate() {
        builder.add_account(&format!("account[{index}]"), account);
    }
    if builder.problems.is_empty() { Ok(builder.directory) } else { Err(builder.problems) }
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
