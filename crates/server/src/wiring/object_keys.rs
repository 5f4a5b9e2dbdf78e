use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_identity::{Directory, Principal};
use opentrail_keys::Material;
use opentrail_kms::{Conditions, DataKey, EncryptionContext, KmsError, Requester};
use opentrail_model::{AccountId, Arn, Region, Source};
use opentrail_objects::{CallerKeys, KeyRefusal, ObjectKeys, ObjectPlace, SealedKey, WantedKey};
use opentrail_recorder::ServiceUse;
use opentrail_runtime::{Clock, Random};
use serde_json::{Value, json};

use super::{KmsKeys, LateRecording};

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// KMS keys for the embedded store's callers: S3 uses them in the caller's name, which is recorded as a call of KMS.
#[derive(Clone, Debug)]
pub(crate) struct StoreKeys {
    pub(crate) kms: KmsKeys,
    pub(crate) directory: Arc<Directory>,
    pub(crate) recording: LateRecording,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

impl CallerKeys for StoreKeys {
    fn of_caller(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        context: &BTreeMap<String, String>,
    ) -> Arc<dyn ObjectKeys> {
        let found = self.directory.find_key(access_key_id, session_token, self.clock.now()).ok();
        let mut conditions = Conditions::new();
        for (key, value) in context.iter().filter(|(key, _)| key.starts_with("aws:")) {
            conditions.insert(key, value.as_str());
        }
        Arc::new(OneCaller { keys: self.clone(), principal: found.map(|found| found.principal), conditions })
    }
}

impl StoreKeys {
    /// Keys as this principal may use them, whoever has signed.
    pub(crate) fn of_principal(&self, principal: Principal) -> Arc<dyn ObjectKeys> {
        Arc::new(OneCaller { keys: self.clone(), principal: Some(principal), conditions: Conditions::new() })
    }
}

/// Keys as one caller of S3 may use them.
#[derive(Debug)]
struct OneCaller {
    keys: StoreKeys,
    principal: Option<Principal>,
    conditions: Conditions,
}

impl OneCaller {
    fn requester(&self) -> Result<(&Principal, Requester<'_>), KeyRefusal> {
        let missing = || KeyRefusal { code: "AccessDenied".to_owned(), message: "Access Denied".to_owned() };
        let principal = self.principal.as_ref().ok_or_else(missing)?;
        Ok((principal, Requester::Caller { principal, conditions: &self.conditions, via: Some("s3") }))
    }

    /// Records what S3 has asked of KMS, for the caller's account and the key's. `key` is an ARN where it is known.
    async fn record(
        &self,
        (operation, key): (&'static str, &str),
        (principal, region): (&Principal, Region),
        request: Value,
        error: Option<&KmsError>,
    ) {
        let StoreKeys { clock, random, recording, .. } = &self.keys;
        let arn: Option<Arn> = key.parse().ok().filter(|arn: &Arn| arn.resource().starts_with("key/"));
        let owner: Option<AccountId> = arn.as_ref().and_then(|arn| arn.account().parse().ok());
        let resource = |arn: &Arn| json!({ "accountId": arn.account(), "type": "AWS::KMS::Key", "ARN": arn.as_str() });
        let used = ServiceUse {
            at: clock.now(),
            user_identity: principal.user_identity(),
            region,
            event_source: "kms.amazonaws.com".to_owned(),
            operation: operation.to_owned(),
            request,
            resources: arn.iter().map(resource).collect(),
            error: error
                .map(|error| (error.name().replace("AccessDeniedException", "AccessDenied"), error.to_string())),
            reads: true,
            request_id: random.uuid(),
        };
        let other = owner.filter(|owner| *owner != principal.account);
        let shared = other.map(|_| random.uuid());
        for account in [Some(principal.account), other].into_iter().flatten() {
            recording.enqueue(Source::Api, used.record(account, random.uuid(), shared), used.at).await;
        }
    }
}

#[async_trait]
impl ObjectKeys for OneCaller {
    async fn make(&self, object: ObjectPlace<'_>, wanted: &WantedKey) -> Result<(Material, SealedKey), KeyRefusal> {
        let (principal, requester) = self.requester()?;
        let kms = &self.keys.kms;
        let key = match &wanted.key_id {
            Some(key) => key.clone(),
            None => kms.managed_key(principal.account, object.region, "s3").await.map_err(refusal)?,
        };
        let mut context = wanted.context.clone();
        context.insert("aws:s3:arn".to_owned(), object.arn());
        let made = kms.generate_data_key(requester, (&key, principal.account, object.region), &context).await;
        let named = made.as_ref().map_or(key.as_str(), |made| made.key_arn.as_str());
        let request = json!({ "keyId": key, "encryptionContext": context, "keySpec": "AES_256" });
        let caller = (principal, object.region.clone());
        self.record(("GenerateDataKey", named), caller, request, made.as_ref().err()).await;
        Ok(sealed(made.map_err(refusal)?, context))
    }

    async fn open(&self, key: &SealedKey) -> Result<Material, KeyRefusal> {
        let (principal, requester) = self.requester()?;
        let data_key = data_key(key)?;
        let opened = self.keys.kms.open_data_key(requester, &key.kms_key, &data_key, &key.context).await;
        let region = key.kms_key.split(':').nth(3).and_then(|region| region.parse().ok());
        let caller = (principal, region.unwrap_or_else(Region::us_east_1));
        let request = json!({ "encryptionContext": key.context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT" });
        self.record(("Decrypt", &key.kms_key), caller, request, opened.as_ref().err()).await;
        opened.map_err(refusal)
    }
}

/// Keys as CloudTrail may use them for one trail. Its uses are not recorded, a choice: each delivery would bring forth a
/// record that has to be delivered.
#[derive(Debug)]
pub(crate) struct TrailKeys {
    pub(crate) kms: KmsKeys,
    pub(crate) trail: Arn,
    pub(crate) account: AccountId,
    /// What is said to KMS of the trail: `aws:SourceArn` and its like.
    pub(crate) conditions: Conditions,
}

impl TrailKeys {
    /// A data key for a log file or digest of the trail. (User Guide, "How AWS CloudTrail uses AWS KMS".)
    pub(crate) async fn data_key(&self, object: ObjectPlace<'_>, key: &str) -> Result<DataKey, KmsError> {
        let context = self.context(object);
        let requester = Requester::Service { name: CLOUDTRAIL, conditions: &self.conditions };
        self.kms.generate_data_key(requester, (key, self.account, object.region), &context).await
    }

    fn context(&self, object: ObjectPlace<'_>) -> EncryptionContext {
        EncryptionContext::from([
            ("aws:cloudtrail:arn".to_owned(), self.trail.to_string()),
            ("aws:s3:arn".to_owned(), object.arn()),
        ])
    }
}

#[async_trait]
impl ObjectKeys for TrailKeys {
    async fn make(&self, object: ObjectPlace<'_>, wanted: &WantedKey) -> Result<(Material, SealedKey), KeyRefusal> {
        let made = self.data_key(object, wanted.key_id.as_deref().unwrap_or_default()).await.map_err(refusal)?;
        Ok(sealed(made, self.context(object)))
    }

    async fn open(&self, key: &SealedKey) -> Result<Material, KeyRefusal> {
        let requester = Requester::Service { name: CLOUDTRAIL, conditions: &self.conditions };
        let data_key = data_key(key)?;
        self.kms.open_data_key(requester, &key.kms_key, &data_key, &key.context).await.map_err(refusal)
    }
}

fn sealed(made: DataKey, context: EncryptionContext) -> (Material, SealedKey) {
    let DataKey { plaintext, sealed, key_arn } = made;
    (plaintext, SealedKey { kms_key: key_arn, data_key: hex::encode(sealed), context })
}

fn data_key(key: &SealedKey) -> Result<Vec<u8>, KeyRefusal> {
    hex::decode(&key.data_key).map_err(|_| refusal(KmsError::InvalidCiphertext))
}

/// KMS's refusal as S3 tells it.
fn refusal(error: KmsError) -> KeyRefusal {
    let code = match &error {
        KmsError::AccessDenied(_) => "AccessDenied".to_owned(),
        KmsError::Catalog(_) | KmsError::Changed | KmsError::Damaged { .. } => "ServiceUnavailable".to_owned(),
        other => format!("KMS.{}", other.name()),
    };
    KeyRefusal { code, message: error.to_string() }
}
