//! The API that `aws kms …` speaks: awsJson 1.1.

mod aliases;
mod conditions;
mod cryptography;
mod keys;
mod paging;
mod policies;
mod rotation;
mod tags;

use bytes::Bytes;
use http::{HeaderMap, Response};
use opentrail_identity::{AccessRequest, Call};
use opentrail_model::{AccountId, Region};
use opentrail_wire::kms::{OTHERS, Operation};
use opentrail_wire::{Exception, Validate, json};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::conditions::conditions;
use crate::access::{Conditions, Requester, Wish, authorize};
use crate::context::EncryptionContext;
use crate::error::KmsError;
use crate::key::Key;
use crate::kms::Kms;
use crate::reference::Reference;
use crate::repository::Found;

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// What the client gets.
    pub response: Response<Bytes>,
    /// The keys and aliases that the call was about, as its record lists them in `resources`; they are known also when
    /// it was denied.
    pub resources: Vec<Value>,
}

/// Answers a call of `kms`.
///
/// # Cancellation
/// A change may be made and not answered.
pub async fn api(kms: &Kms, call: &Call, headers: &HeaderMap, body: &Bytes) -> Reply {
    let cx = Cx { kms, call, conditions: conditions(kms, call, body), touched: Mutex::new(Vec::new()) };
    let (operation, done) = match operation(headers) {
        Ok(operation) => (operation.name(), handle(&cx, operation, body).await),
        Err(error) => ("unknown", Err(error)),
    };
    let error = done.as_ref().err().map_or_else(String::new, |error| error.name.to_string());
    metrics::counter!("opentrail_kms_calls_total", "operation" => operation, "error" => error).increment(1);
    let response = done.unwrap_or_else(|exception| json::respond_exception(&exception, &call.request_id));
    Reply { response, resources: cx.touched.into_inner().iter().map(|arn| resource(arn)).collect() }
}

fn operation(headers: &HeaderMap) -> Result<Operation, Exception> {
    let name = json::operation_of(headers)?;
    match Operation::from_name(name) {
        Some(operation) => Ok(operation),
        None if OTHERS.contains(&name) => {
            let what = if name.contains("Grant") { ": there are no grants here, use key policies" } else { "" };
            Err(KmsError::Unsupported(format!("{name} is not available{what}.")).into())
        }
        None => Err(Exception::unknown_operation(format!("{name} is no operation of KMS."))),
    }
}

async fn handle(cx: &Cx<'_>, operation: Operation, body: &[u8]) -> Result<Response<Bytes>, Exception> {
    match operation {
        Operation::CancelKeyDeletion => cx.answer(keys::cancel_deletion(cx, read(body)?).await),
        Operation::CreateAlias => cx.answer_nothing(aliases::create(cx, read(body)?).await),
        Operation::CreateKey => cx.answer(keys::create(cx, read(body)?).await),
        Operation::Decrypt => cx.answer(cryptography::decrypt(cx, read(body)?).await),
        Operation::DeleteAlias => cx.answer_nothing(aliases::delete(cx, read(body)?).await),
        Operation::DescribeKey => cx.answer(keys::describe(cx, read(body)?).await),
        Operation::DisableKey => cx.answer_nothing(keys::disable(cx, read(body)?).await),
        Operation::DisableKeyRotation => cx.answer_nothing(rotation::disable(cx, read(body)?).await),
        Operation::EnableKey => cx.answer_nothing(keys::enable(cx, read(body)?).await),
        Operation::EnableKeyRotation => cx.answer_nothing(rotation::enable(cx, read(body)?).await),
        Operation::Encrypt => cx.answer(cryptography::encrypt(cx, read(body)?).await),
        Operation::GenerateDataKey => cx.answer(cryptography::generate_data_key(cx, read(body)?).await),
        Operation::GenerateDataKeyWithoutPlaintext => {
            cx.answer(cryptography::generate_data_key_without_plaintext(cx, read(body)?).await)
        }
        Operation::GenerateRandom => cx.answer(cryptography::generate_random(cx, read(body)?)),
        Operation::GetKeyPolicy => cx.answer(policies::get(cx, read(body)?).await),
        Operation::GetKeyRotationStatus => cx.answer(rotation::status(cx, read(body)?).await),
        Operation::ListAliases => cx.answer(aliases::list(cx, read(body)?).await),
        Operation::ListKeyPolicies => cx.answer(policies::list(cx, read(body)?).await),
        Operation::ListKeyRotations => cx.answer(rotation::list(cx, read(body)?).await),
        Operation::ListKeys => cx.answer(keys::list(cx, read(body)?).await),
        Operation::ListResourceTags => cx.answer(tags::list(cx, read(body)?).await),
        Operation::PutKeyPolicy => cx.answer_nothing(policies::put(cx, read(body)?).await),
        Operation::ReEncrypt => cx.answer(cryptography::re_encrypt(cx, read(body)?).await),
        Operation::RotateKeyOnDemand => cx.answer(rotation::on_demand(cx, read(body)?).await),
        Operation::ScheduleKeyDeletion => cx.answer(keys::schedule_deletion(cx, read(body)?).await),
        Operation::TagResource => cx.answer_nothing(tags::add(cx, read(body)?).await),
        Operation::UntagResource => cx.answer_nothing(tags::remove(cx, read(body)?).await),
        Operation::UpdateAlias => cx.answer_nothing(aliases::update(cx, read(body)?).await),
        Operation::UpdateKeyDescription => cx.answer_nothing(keys::update_description(cx, read(body)?).await),
    }
}

fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Exception> {
    json::read_input(body)
}

/// A call, and what its operation works with.
pub(super) struct Cx<'a> {
    pub(super) kms: &'a Kms,
    pub(super) call: &'a Call,
    conditions: Conditions,
    touched: Mutex<Vec<String>>,
}

/// Whether an operation works on keys of other accounts. (API Reference, "Cross-account use" of each operation.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    OwnAccount,
    AnyAccount,
}

impl Cx<'_> {
    pub(super) fn account(&self) -> AccountId {
        self.call.principal.account
    }

    pub(super) fn region(&self) -> &Region {
        &self.call.region
    }

    pub(super) fn requester(&self) -> Requester<'_> {
        Requester::Caller { principal: &self.call.principal, conditions: &self.conditions, via: None }
    }

    /// What `text` names for the caller.
    pub(super) fn reference(&self, text: &str) -> Result<Reference, KmsError> {
        Reference::parse(text, self.account(), self.region())
    }

    /// The key that `text` names, whatever the caller may do with it.
    pub(super) async fn find(&self, text: &str) -> Result<Found, KmsError> {
        let reference = self.reference(text)?;
        let found = self.kms.keys.require(&reference, self.kms.now()).await;
        match &reference {
            // Nobody is told whether another account's key is there.
            Reference::Key(place) if place.account != self.account() && found.is_err() => {
                return found.map_err(|error| self.hidden(error, &place.arn()));
            }
            Reference::Alias(alias) if alias.account != self.account() && found.is_err() => {
                return found.map_err(|error| self.hidden(error, &alias.arn()));
            }
            _ => {}
        }
        let found = found?;
        self.touch(found.key.arn());
        Ok(found)
    }

    fn hidden(&self, error: KmsError, arn: &str) -> KmsError {
        let KmsError::NotFound(_) = error else { return error };
        KmsError::AccessDenied(format!(
            "User: {} is not authorized to access this resource {arn}, because the resource does not exist in this \
             Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
            self.call.principal.arn()
        ))
    }

    /// The key that `text` names, for `action` (`kms:…`), which the policies must allow.
    pub(super) async fn key(&self, text: &str, action: &'static str, reach: Reach) -> Result<Found, KmsError> {
        let found = self.find(text).await?;
        self.authorize(action, &found, reach, None)?;
        Ok(found)
    }

    /// Checks that the caller may do `action` with the key.
    pub(super) fn authorize(
        &self,
        action: &'static str,
        found: &Found,
        reach: Reach,
        context: Option<&EncryptionContext>,
    ) -> Result<(), KmsError> {
        if reach == Reach::OwnAccount && found.key.account != self.account() {
            return Err(self.hidden(KmsError::NotFound(String::new()), &found.key.arn()));
        }
        let wish = Wish { action, key: &found.key, alias: found.alias.as_deref(), context };
        authorize(&self.kms.directory, self.requester(), &wish)
    }

    /// Checks that the caller's own policies allow `action` on `resource`, which has no policy.
    pub(super) fn authorize_plainly(&self, action: &str, resource: &str) -> Result<(), KmsError> {
        let request = AccessRequest {
            action,
            resource,
            context: &self.conditions,
            resource_policy: None,
            resource_account: None,
        };
        let principal = &self.call.principal;
        let decision = self.kms.directory.authorize(principal, &request);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(KmsError::AccessDenied(decision.message(principal, action, resource, resource != "*")))
    }

    /// Notes what the call is about, for its record.
    pub(super) fn touch(&self, arn: String) {
        let mut touched = self.touched.lock();
        if !touched.contains(&arn) {
            touched.push(arn);
        }
    }

    fn answer(&self, output: Result<impl Serialize, KmsError>) -> Result<Response<Bytes>, Exception> {
        Ok(json::respond(&output?, &self.call.request_id))
    }

    /// Operations without output answer an empty body.
    fn answer_nothing(&self, output: Result<(), KmsError>) -> Result<Response<Bytes>, Exception> {
        output?;
        let mut response = json::respond(&json!({}), &self.call.request_id);
        *response.body_mut() = Bytes::new();
        Ok(response)
    }
}

/// Refuses grant tokens: there are no grants.
pub(super) fn refuse_grant_tokens(tokens: Option<Vec<String>>) -> Result<(), KmsError> {
    if tokens.is_some_and(|tokens| !tokens.is_empty()) { Err(KmsError::InvalidGrantToken) } else { Ok(()) }
}

/// Checks that `key` is its account's to change.
pub(super) fn require_customers(key: &Key) -> Result<(), KmsError> {
    if key.manager == crate::key::KeyManager::Customer {
        return Ok(());
    }
    Err(KmsError::Unsupported(format!("{} is managed by AWS and cannot be changed.", key.arn())))
}

fn resource(arn: &str) -> Value {
    let account = arn.split(':').nth(4).unwrap_or_default();
    let kind = if arn.contains(":alias/") { "AWS::KMS::Alias" } else { "AWS::KMS::Key" };
    json!({ "accountId": account, "type": kind, "ARN": arn })
}
