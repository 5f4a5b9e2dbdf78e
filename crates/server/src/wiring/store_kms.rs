use std::sync::Arc;

use async_trait::async_trait;
use opentrail_keys::Material;
use opentrail_kms::{Conditions, EncryptionContext, KmsError, Requester};
use opentrail_organizations::Organizations;
use opentrail_stores::{SealedDataKey, StoreKey, StoreKeyError, StoreKms};

use super::KmsKeys;
use super::buckets::CLOUDTRAIL;

/// KMS keys as CloudTrail uses them for event data stores. Its uses are not recorded, as those for trails are not: each
/// flush would bring forth a record that a store has to take.
#[derive(Debug)]
pub(crate) struct LakeKms {
    pub(crate) kms: KmsKeys,
    pub(crate) organizations: Arc<Organizations>,
}

impl LakeKms {
    /// What is said to KMS of the store. (IAM User Guide, "AWS global condition context keys", `aws:SourceArn` and its
    /// like.)
    fn conditions(&self, store: &StoreKey) -> Conditions {
        let mut context = Conditions::new();
        context.insert("aws:SourceArn", store.arn().as_str());
        context.insert("aws:SourceAccount", store.account.to_string());
        if let Some(organization) = self.organizations.of(store.account) {
            context.insert("aws:SourceOrgID", organization.id.as_str());
            let parent = organization.members.get(&store.account).map(|member| &member.parent);
            context.insert_all("aws:SourceOrgPaths", parent.map(|parent| organization.path(parent)));
        }
        context
    }
}

/// Names the store, as the one of a trail names the trail: a choice, as AWS says nothing of stores.
pub(super) fn encryption_context(store: &StoreKey) -> EncryptionContext {
    EncryptionContext::from([("aws:cloudtrail:arn".to_owned(), store.arn().to_string())])
}

fn told(error: KmsError, key: &str, store: &StoreKey) -> StoreKeyError {
    let key = key.to_owned();
    match error {
        KmsError::InvalidArn(reason) => StoreKeyError::Invalid { key, reason },
        KmsError::NotFound(_) => StoreKeyError::NotFound { key, region: store.home_region.to_string() },
        KmsError::AccessDenied(_) => StoreKeyError::AccessDenied { key },
        KmsError::Disabled { .. }
        | KmsError::InvalidState { .. }
        | KmsError::InvalidCiphertext
        | KmsError::IncorrectKey => StoreKeyError::Unusable { key, reason: error.to_string() },
        other => StoreKeyError::Unavailable { key, reason: other.to_string() },
    }
}

#[async_trait]
impl StoreKms for LakeKms {
    async fn check(&self, store: &StoreKey, text: &str) -> Result<String, StoreKeyError> {
        let region = &store.home_region;
        let arn = self.kms.resolve(text, store.account, region).await.map_err(|error| told(error, text, store))?;
        if arn.split(':').nth(3) != Some(region.as_str()) {
            return Err(StoreKeyError::NotFound { key: text.to_owned(), region: region.to_string() });
        }
        // Both rights are needed for good: what was written could never be read without the second.
        let (_, sealed) = self.make(store, &arn).await?;
        self.open(store, &sealed).await?;
        Ok(arn)
    }

    async fn make(&self, store: &StoreKey, kms_key: &str) -> Result<(Material, SealedDataKey), StoreKeyError> {
        let conditions = self.conditions(store);
        let requester = Requester::Service { name: CLOUDTRAIL, conditions: &conditions };
        let (place, context) = ((kms_key, store.account, &store.home_region), encryption_context(store));
        let made = self.kms.generate_data_key(requester, place, &context).await;
        let made = made.map_err(|error| told(error, kms_key, store))?;
        Ok((made.plaintext, SealedDataKey { kms_key: made.key_arn, data_key: hex::encode(made.sealed) }))
    }

    async fn open(&self, store: &StoreKey, key: &SealedDataKey) -> Result<Material, StoreKeyError> {
        let told = |error| told(error, &key.kms_key, store);
        let conditions = self.conditions(store);
        let requester = Requester::Service { name: CLOUDTRAIL, conditions: &conditions };
        let sealed = hex::decode(&key.data_key).map_err(|_| told(KmsError::InvalidCiphertext))?;
        self.kms.open_data_key(requester, &key.kms_key, &sealed, &encryption_context(store)).await.map_err(told)
    }
}
