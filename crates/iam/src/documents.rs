//! How identities lie in the catalog: one document each, by account and name.

use opentrail_catalog::{Catalog, CatalogExt, Change, Expect, Versioned};
use opentrail_identity::{AccessKey, Edit, Group, ManagedPolicy, Registration, Role, Secret, User, name_key};
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::OpenError;

const USERS: &str = "iam-users";
const GROUPS: &str = "iam-groups";
const ROLES: &str = "iam-roles";
const POLICIES: &str = "iam-policies";
const ALIASES: &str = "iam-aliases";
const ACCOUNTS: &str = "iam-accounts";

const SEALED_FOR: &str = "access-key";

#[derive(Serialize, Deserialize)]
struct UserDocument {
    user: User,
    access_keys: Vec<AccessKeyDocument>,
}

#[derive(Serialize, Deserialize)]
struct AccessKeyDocument {
    id: String,
    /// Sealed with the key ring, in hexadecimal.
    sealed_secret: Option<String>,
    active: bool,
    created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct AliasDocument {
    alias: String,
}

/// Everything that is stored, as the changes that make it.
pub(crate) async fn load(catalog: &dyn Catalog, keys: &KeyRing) -> Result<Vec<Edit>, OpenError> {
    let mut edits = Vec::new();
    for document in catalog.all::<Registration>(ACCOUNTS, "").await? {
        edits.push(Edit::Register(account_of(ACCOUNTS, &document)?, document.value));
    }
    for document in catalog.all::<ManagedPolicy>(POLICIES, "").await? {
        if !document.value.versions.contains_key(&document.value.default_version) {
            return Err(damaged(POLICIES, document.key, "its default version is missing"));
        }
        edits.push(Edit::PutPolicy(account_of(POLICIES, &document)?, Box::new(document.value)));
    }
    for document in catalog.all::<Group>(GROUPS, "").await? {
        edits.push(Edit::PutGroup(Box::new(document.value)));
    }
    for document in catalog.all::<Role>(ROLES, "").await? {
        edits.push(Edit::PutRole(Box::new(document.value)));
    }
    for document in catalog.all::<UserDocument>(USERS, "").await? {
        let UserDocument { mut user, access_keys } = document.value;
        for key in access_keys {
            let reason = "an access key does not open with the key ring in keys/";
            user.access_keys.push(opened(key, keys).ok_or_else(|| damaged(USERS, document.key.clone(), reason))?);
        }
        edits.push(Edit::PutUser(Box::new(user)));
    }
    for document in catalog.all::<AliasDocument>(ALIASES, "").await? {
        edits.push(Edit::SetAlias(account_of(ALIASES, &document)?, Some(document.value.alias)));
    }
    Ok(edits)
}

/// The change of the catalog for a change of identities. Only one change is under way at a time, so that nothing but
/// what is there needs to be expected.
pub(crate) fn change(edit: &Edit, keys: &KeyRing) -> Change {
    let named = |account: AccountId, name: &str| format!("{account}/{}", name_key(name));
    match edit {
        Edit::PutUser(user) => {
            let access_keys = user.access_keys.iter().map(|key| sealed(key, keys)).collect();
            let document = UserDocument { user: (**user).clone(), access_keys };
            Change::put(USERS, named(user.account, &user.name), Expect::Anything, &document)
        }
        Edit::DeleteUser(account, name) => Change::delete(USERS, named(*account, name), Expect::Anything),
        Edit::PutGroup(group) => Change::put(GROUPS, named(group.account, &group.name), Expect::Anything, group),
        Edit::DeleteGroup(account, name) => Change::delete(GROUPS, named(*account, name), Expect::Anything),
        Edit::PutRole(role) => Change::put(ROLES, named(role.account, &role.name), Expect::Anything, role),
        Edit::DeleteRole(account, name) => Change::delete(ROLES, named(*account, name), Expect::Anything),
        Edit::PutPolicy(account, policy) => {
            Change::put(POLICIES, named(*account, &policy.name), Expect::Anything, policy)
        }
        Edit::DeletePolicy(account, name) => Change::delete(POLICIES, named(*account, name), Expect::Anything),
        Edit::SetAlias(account, Some(alias)) => {
            let document = AliasDocument { alias: alias.clone() };
            Change::put(ALIASES, account.to_string(), Expect::Anything, &document)
        }
        Edit::SetAlias(account, None) => Change::delete(ALIASES, account.to_string(), Expect::Anything),
        Edit::Register(account, registration) => {
            Change::put(ACCOUNTS, account.to_string(), Expect::Anything, registration)
        }
    }
}

fn sealed(key: &AccessKey, keys: &KeyRing) -> AccessKeyDocument {
    let seal = |secret: &Secret| hex::encode(keys.seal(SEALED_FOR, secret.expose().as_bytes()));
    AccessKeyDocument {
        id: key.id.clone(),
        sealed_secret: key.secret.as_ref().map(seal),
        active: key.active,
        created: key.created,
    }
}

/// `None` when the secret does not open.
fn opened(key: AccessKeyDocument, keys: &KeyRing) -> Option<AccessKey> {
    let secret = match key.sealed_secret {
        None => None,
        Some(sealed) => {
            let plaintext = keys.unseal(SEALED_FOR, &hex::decode(sealed).ok()?).ok()?;
            Some(Secret::new(std::str::from_utf8(&plaintext).ok()?))
        }
    };
    Some(AccessKey { id: key.id, secret, active: key.active, created: key.created })
}

fn account_of<T>(kind: &'static str, document: &Versioned<T>) -> Result<AccountId, OpenError> {
    let account = document.key.split('/').next().and_then(|account| account.parse().ok());
    account.ok_or_else(|| damaged(kind, document.key.clone(), "its key does not begin with an account"))
}

fn damaged(kind: &'static str, key: String, reason: &'static str) -> OpenError {
    OpenError::Damaged { kind, key, reason }
}
