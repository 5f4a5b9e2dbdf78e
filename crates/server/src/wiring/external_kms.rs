//! Another KMS in place of the keys in the catalog: its API, as far as sealing and opening data keys needs it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use opentrail_keys::Material;
use opentrail_kms::{DataKey, EncryptionContext, KmsError};
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, AwsError};
use opentrail_outbound::{Outbound, OutboundOptions};
use opentrail_runtime::{Clock, Random};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::KmsSection;

/// Attempts that are made of one call in all.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; it doubles for each further one, each up to twice as long by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A KMS at the configured endpoint. Cheap to clone.
///
/// Nothing is kept of what it answers: each object has a data key of its own, asked for when it is put, and each reader of
/// an object asks for it anew. So a key that is switched off stops both with the next object.
#[derive(Clone)]
pub(crate) struct ExternalKms {
    at: AwsEndpoint,
    calls: AwsCalls,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Why one attempt failed.
enum Failure {
    /// Another attempt may do better.
    Passing(KmsError),
    Final(KmsError),
}

impl ExternalKms {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(section: KmsSection, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> anyhow::Result<Self> {
        let options = OutboundOptions { timeout: section.timeout, ..OutboundOptions::default() };
        let calls = AwsCalls::new(Outbound::new(options)?, Arc::clone(&clock));
        Ok(Self { at: section.at, calls, clock, random })
    }

    /// The endpoint, as it was configured.
    pub(crate) fn endpoint(&self) -> String {
        self.at.endpoint.to_string()
    }

    /// The ARN of the key that `text` (key id, key ARN, alias name or alias ARN) names, if it can be used.
    ///
    /// # Errors
    /// When there is no such key, it is off or about to be deleted, or the endpoint does not answer.
    pub(crate) async fn require_key(&self, text: &str) -> Result<String, KmsError> {
        let answer = self.call("DescribeKey", json!({ "KeyId": text })).await?;
        let arn = text_of(&answer["KeyMetadata"], "Arn")?.to_owned();
        match text_of(&answer["KeyMetadata"], "KeyState")? {
            "Enabled" => Ok(arn),
            "Disabled" => Err(KmsError::Disabled { arn }),
            "PendingDeletion" => Err(KmsError::InvalidState { arn, problem: "is pending deletion" }),
            _ => Err(KmsError::InvalidState { arn, problem: "is not in a state in which it can be used" }),
        }
    }

    /// A new data key of 256 bits under the key `text`.
    ///
    /// # Errors
    /// As [`Self::require_key`], and when the key's policy does not allow it.
    pub(crate) async fn generate_data_key(&self, text: &str, context: &EncryptionContext) -> Result<DataKey, KmsError> {
        let request = json!({ "KeyId": text, "KeySpec": "AES_256", "EncryptionContext": context });
        let answer = self.call("GenerateDataKey", request).await?;
        let plaintext = material(&answer)?;
        let sealed =
            BASE64_STANDARD.decode(text_of(&answer, "CiphertextBlob")?).map_err(|_| no_answer("CiphertextBlob"))?;
        Ok(DataKey { plaintext, sealed, key_arn: text_of(&answer, "KeyId")?.to_owned() })
    }

    /// Opens a data key that the key `arn` sealed.
    ///
    /// # Errors
    /// As [`Self::generate_data_key`], and [`KmsError::InvalidCiphertext`].
    pub(crate) async fn open_data_key(
        &self,
        arn: &str,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Material, KmsError> {
        let sealed = BASE64_STANDARD.encode(sealed);
        let request = json!({ "KeyId": arn, "CiphertextBlob": sealed, "EncryptionContext": context });
        material(&self.call("Decrypt", request).await?)
    }

    async fn call(&self, operation: &'static str, input: Value) -> Result<Value, KmsError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.attempt(operation, &input).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Passing(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(operation, attempt, error = %error, "KMS failed; trying again");
                    let mut chance = [0];
                    self.random.fill(&mut chance);
                    self.clock.sleep(pause + pause.mul_f64(f64::from(chance[0]) / 255.0)).await;
                    pause *= 2;
                }
                Err(Failure::Passing(error) | Failure::Final(error)) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(&self, operation: &str, input: &Value) -> Result<Value, Failure> {
        let target = format!("TrentService.{operation}");
        self.calls.json(&self.at, "kms", "1.1", &target, input).await.map_err(|error| {
            let passing = error.is_retryable();
            let told = format!("{operation} at {}: {error}", self.at.endpoint);
            let external = |name: &str| KmsError::External { name: name.to_owned(), message: told };
            match error {
                AwsError::Refused { name, message, .. } if !name.is_empty() && passing => {
                    Failure::Passing(error_of(&name, message))
                }
                AwsError::Refused { name, message, .. } if !name.is_empty() => Failure::Final(error_of(&name, message)),
                AwsError::Request(_) => Failure::Final(external("KMSInternalException")),
                // What the endpoint may have done does no harm: data keys that nobody got seal nothing.
                AwsError::Refused { .. } | AwsError::Outbound(_) => {
                    Failure::Passing(external("DependencyTimeoutException"))
                }
            }
        })
    }
}

/// KMS's errors as ours. (KMS API Reference, GenerateDataKey and Decrypt, Errors.)
fn error_of(name: &str, message: String) -> KmsError {
    match name {
        "NotFoundException" => KmsError::NotFound(message),
        "DisabledException" => KmsError::Disabled { arn: arn_in(&message) },
        "KMSInvalidStateException" if message.contains("pending deletion") => {
            KmsError::InvalidState { arn: arn_in(&message), problem: "is pending deletion" }
        }
        "AccessDeniedException" => KmsError::AccessDenied(message),
        "InvalidArnException" => KmsError::InvalidArn(message),
        "InvalidCiphertextException" => KmsError::InvalidCiphertext,
        "IncorrectKeyException" => KmsError::IncorrectKey,
        "InvalidKeyUsageException" => KmsError::InvalidKeyUsage(message),
        other => KmsError::External { name: other.to_owned(), message },
    }
}

/// KMS's messages begin with the key that they are about.
fn arn_in(message: &str) -> String {
    message.split(' ').next().unwrap_or_default().to_owned()
}

fn material(answer: &Value) -> Result<Material, KmsError> {
    let text = text_of(answer, "Plaintext")?;
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| no_answer("Plaintext"))?);
    Material::from_bytes(&bytes).ok_or_else(|| no_answer("Plaintext"))
}

fn text_of<'a>(answer: &'a Value, name: &str) -> Result<&'a str, KmsError> {
    answer[name].as_str().ok_or_else(|| no_answer(name))
}

fn no_answer(name: &str) -> KmsError {
    let message = format!("the answer of KMS has no {name} that can be used");
    KmsError::External { name: "KMSInternalException".to_owned(), message }
}

impl fmt::Debug for ExternalKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalKms").field("endpoint", &self.at.endpoint).finish_non_exhaustive()
    }
}
