use std::sync::Arc;

use opentrail_identity::{AccessRequest, Context, Directory};
use opentrail_keys::Material;
use opentrail_kms::{DataKey, EncryptionContext, Kms, KmsError, Requester};
use opentrail_model::{AccountId, Region};

use super::external_kms::ExternalKms;

/// Where KMS keys are: in the catalog, or with another KMS.
#[derive(Clone, Debug)]
pub(crate) struct KmsKeys {
    /// Also with another KMS: what was sealed before it was configured stays readable.
    embedded: Kms,
    external: Option<ExternalKms>,
    directory: Arc<Directory>,
}

impl KmsKeys {
    pub(crate) fn new(embedded: Kms, external: Option<ExternalKms>, directory: Arc<Directory>) -> Self {
        Self { embedded, external, directory }
    }

    /// Whether new data keys come from another KMS.
    pub(crate) fn external(&self) -> Option<&ExternalKms> {
        self.external.as_ref()
    }

    /// The ARN of the key that `text` names for `account` in `region`. No access is checked.
    pub(crate) async fn resolve(&self, text: &str, account: AccountId, region: &Region) -> Result<String, KmsError> {
        match &self.external {
            None => Ok(self.embedded.resolve(text, account, region).await?.arn()),
            Some(external) => external.require_key(text).await,
        }
    }

    /// The key that `service` manages in the account: its ARN, or the name of its alias.
    pub(crate) async fn managed_key(
        &self,
        account: AccountId,
        region: &Region,
        service: &str,
    ) -> Result<String, KmsError> {
        match &self.external {
            None => Ok(self.embedded.managed_key(account, region, service).await?.arn()),
            Some(_) => Ok(format!("alias/aws/{service}")),
        }
    }

    /// A new data key under the key that `text` names for `account` in `region`, for `requester`.
    pub(crate) async fn generate_data_key(
        &self,
        requester: Requester<'_>,
        (text, account, region): (&str, AccountId, &Region),
        context: &EncryptionContext,
    ) -> Result<DataKey, KmsError> {
        let Some(external) = &self.external else {
            return self.embedded.generate_data_key(requester, (text, account, region), context).await;
        };
        // Policies speak of ARNs.
        let arn = if text.contains(":key/") { text.to_owned() } else { external.require_key(text).await? };
        self.authorize(requester, "kms:GenerateDataKey", &arn, context)?;
        external.generate_data_key(&arn, context).await
    }

    /// Opens a data key that the key `arn` sealed, for `requester`.
    pub(crate) async fn open_data_key(
        &self,
        requester: Requester<'_>,
        arn: &str,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Material, KmsError> {
        match &self.external {
            Some(external) if !self.embedded.sealed(sealed).await? => {
                self.authorize(requester, "kms:Decrypt", arn, context)?;
                external.open_data_key(arn, sealed, context).await
            }
            _ => self.embedded.open_data_key(requester, sealed, context).await,
        }
    }

    /// Whether `requester` may have another KMS asked in our name. That KMS knows our credentials only, and its key
    /// policies are for it to judge: of our callers, their own policies must allow the use of the key.
    fn authorize(
        &self,
        requester: Requester<'_>,
        action: &'static str,
        arn: &str,
        encryption: &EncryptionContext,
    ) -> Result<(), KmsError> {
        let Requester::Caller { principal, conditions, via } = requester else { return Ok(()) };
        let mut context: Context = conditions.clone();
        context.insert("kms:CallerAccount", principal.account.to_string());
        if let Some(service) = via {
            let region = arn.split(':').nth(3).unwrap_or_default();
            context.insert("kms:ViaService", format!("{service}.{region}.amazonaws.com"));
            context.insert("aws:ViaAWSService", "true");
        }
        for (key, value) in encryption {
            context.insert(&format!("kms:EncryptionContext:{key}"), value.as_str());
        }
        context.insert_all("kms:EncryptionContextKeys", encryption.keys().cloned());
        // As if the key were the caller's account's and its policy left the matter to that.
        let account = Some(principal.account);
        let request = AccessRequest {
            action,
            resource: arn,
            context: &context,
            resource_policy: None,
            resource_account: account,
        };
        let decision = self.directory.authorize(principal, &request);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(KmsError::AccessDenied(decision.message(principal, action, arn, true)))
    }
}
