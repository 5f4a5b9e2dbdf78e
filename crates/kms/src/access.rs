//! Who may use a key: its policy first, and the caller's own policies where it leaves the matter to the account.

use opentrail_identity::{AccessRequest, Context, Directory, Policy, PolicyUse, Principal};
use opentrail_model::Region;

use crate::context::EncryptionContext;
use crate::error::KmsError;
use crate::key::Key;

/// Condition keys of a request that say where it comes from, e.g. `aws:SourceIp` or `aws:SourceArn`.
pub type Conditions = Context;

/// Who wants to use a key.
#[derive(Clone, Copy, Debug)]
pub enum Requester<'a> {
    /// Somebody who signed the request, or one to a service that now uses the key for them.
    Caller {
        /// Who.
        principal: &'a Principal,
        /// Where from.
        conditions: &'a Conditions,
        /// The service in between, e.g. `s3`: `kms:ViaService`.
        via: Option<&'a str>,
    },
    /// A service by itself, e.g. `cloudtrail.amazonaws.com`.
    Service {
        /// Its name.
        name: &'a str,
        /// For whom: `aws:SourceArn`, `aws:SourceAccount`.
        conditions: &'a Conditions,
    },
}

/// What somebody wants to do with a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// E.g. `kms:Decrypt`.
    pub(crate) action: &'static str,
    pub(crate) key: &'a Key,
    /// The name of the alias by which the request calls the key.
    pub(crate) alias: Option<&'a str>,
    pub(crate) context: Option<&'a EncryptionContext>,
}

/// Checks that the policies allow it. (KMS Developer Guide, "Determining access to AWS KMS keys", and "AWS KMS condition
/// keys".) Not among the keys that conditions can ask for: those of grants, enclaves, imports and multi-Region keys,
/// and `kms:ResourceAliases`.
pub(crate) fn authorize(directory: &Directory, requester: Requester<'_>, wish: &Wish<'_>) -> Result<(), KmsError> {
    let Wish { action, key, .. } = *wish;
    let arn = key.arn();
    // A policy that cannot be read allows nothing.
    let policy = Policy::parse(&key.policy, PolicyUse::Resource).ok();
    match requester {
        Requester::Caller { principal, conditions, via } => {
            let context = conditions_of(conditions, principal, via, &key.region, wish);
            let request = AccessRequest {
                action,
                resource: &arn,
                context: &context,
                resource_policy: policy.as_ref(),
                resource_account: Some(key.account),
            };
            let decision = directory.authorize_under_policy(principal, &request);
            if decision.is_allowed() {
                return Ok(());
            }
            Err(KmsError::AccessDenied(decision.message(principal, action, &arn, true)))
        }
        Requester::Service { name, conditions } => {
            let context = with_key(conditions.clone(), wish);
            if policy.is_some_and(|policy| policy.allows_service(name, action, &arn, &context)) {
                return Ok(());
            }
            let why = "because no resource-based policy allows the";
            let message =
                format!("{name} is not authorized to perform: {action} on resource: {arn} {why} {action} action");
            Err(KmsError::AccessDenied(message))
        }
    }
}

fn conditions_of(
    conditions: &Conditions,
    principal: &Principal,
    via: Option<&str>,
    region: &Region,
    wish: &Wish<'_>,
) -> Conditions {
    let mut context = with_key(conditions.clone(), wish).with("kms:CallerAccount", principal.account.to_string());
    if let Some(service) = via {
        context.insert("kms:ViaService", format!("{service}.{region}.amazonaws.com"));
        context.insert("aws:ViaAWSService", "true");
    }
    context
}

/// The condition keys that follow from the key and the encryption context.
fn with_key(mut context: Conditions, wish: &Wish<'_>) -> Conditions {
    context.insert("kms:KeySpec", "SYMMETRIC_DEFAULT");
    context.insert("kms:KeyUsage", "ENCRYPT_DECRYPT");
    context.insert("kms:KeyOrigin", "AWS_KMS");
    context.insert("kms:MultiRegion", "false");
    if let Some(alias) = wish.alias {
        context.insert("kms:RequestAlias", alias);
    }
    for tag in &wish.key.tags {
        context.insert(&format!("aws:ResourceTag/{}", tag.key), tag.value.as_str());
    }
    if let Some(pairs) = wish.context.filter(|pairs| !pairs.is_empty()) {
        for (key, value) in pairs {
            context.insert(&format!("kms:EncryptionContext:{key}"), value.as_str());
        }
        context.insert_all("kms:EncryptionContextKeys", pairs.keys().cloned());
    }
    context
}
