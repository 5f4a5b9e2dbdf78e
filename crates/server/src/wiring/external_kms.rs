//! Another KMS in place of the keys in the catalog: its API, as far as sealing and opening data keys needs it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request};
use opentrail_keys::Material;
use opentrail_kms::{DataKey, EncryptionContext, KmsError};
use opentrail_runtime::{Clock, Random};
use opentrail_wire::sigv4::{Credentials, hex_sha256, sign_headers};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::KmsSection;

/// Attempts that are made of one call in all.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; it doubles for each further one, each up to twice as long by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// An answer is a few kilobytes; what is longer is none.
const LONGEST_ANSWER: usize = 1 << 20;

/// A KMS at the configured endpoint. Cheap to clone.
///
/// Nothing is kept of what it answers: each object has a data key of its own, asked for when it is put, and each reader of
/// an object asks for it anew. So a key that is switched off stops both with the next object.
#[derive(Clone)]
pub(crate) struct ExternalKms {
    section: KmsSection,
    url: String,
    authority: String,
    http: reqwest::Client,
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
    /// When the endpoint names no host, or TLS cannot be set up.
    pub(crate) fn new(section: KmsSection, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> anyhow::Result<Self> {
        let authority = section.endpoint.authority().map(ToString::to_string);
        let authority = authority.ok_or_else(|| anyhow::anyhow!("kms.endpoint names no host"))?;
        let url = format!("{}/", section.endpoint.to_string().trim_end_matches('/'));
        let http = reqwest::Client::builder().timeout(section.timeout).build()?;
        Ok(Self { section, url, authority, http, clock, random })
    }

    /// The endpoint, as it was configured.
    pub(crate) fn endpoint(&self) -> String {
        self.section.endpoint.to_string()
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
        let body = serde_json::to_vec(&input).expect("a JSON value can be written");
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.attempt(operation, body.clone()).await {
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

    async fn attempt(&self, operation: &str, body: Vec<u8>) -> Result<Value, Failure> {
        // What the endpoint may have done meanwhile does no harm: data keys that nobody got seal nothing.
        let lost = |reason: String| {
            let message = format!("{operation} at {}: {reason}", self.section.endpoint);
            Failure::Passing(KmsError::External { name: "DependencyTimeoutException".to_owned(), message })
        };
        let wrong = |reason: String| {
            let message = format!("{operation} cannot be asked of {}: {reason}", self.section.endpoint);
            Failure::Final(KmsError::External { name: "KMSInternalException".to_owned(), message })
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(http::header::HOST, &self.authority)
            .header(http::header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"))
            .body(());
        let (mut head, ()) = request.map_err(|error| wrong(error.to_string()))?.into_parts();
        let credentials = Credentials {
            access_key_id: self.section.access_key_id.clone(),
            secret: self.section.secret_access_key.expose().to_owned(),
            session_token: self.section.session_token.as_ref().map(|token| token.expose().to_owned()),
        };
        let (region, hash) = (self.section.region.as_str(), hex_sha256(&body));
        sign_headers(&mut head, &credentials, region, "kms", &hash, self.clock.now())
            .map_err(|error| wrong(error.to_string()))?;
        let sent = self.http.request(head.method, &self.url).headers(head.headers).body(body).send().await;
        let mut response = sent.map_err(|error| lost(told(&error)))?;
        let status = response.status();
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(piece) = response.chunk().await.map_err(|error| lost(told(&error)))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST_ANSWER {
                return Err(wrong("the answer has no end".to_owned()));
            }
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() && answer.is_object() {
            return Ok(answer);
        }
        let name = answer["__type"].as_str().unwrap_or_default();
        // Some endpoints put a namespace before the name, or a location behind it.
        let name = name.rsplit('#').next().and_then(|name| name.split(':').next()).unwrap_or_default();
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(lost(format!("the answer is {status}, and no error of KMS")));
        }
        let passing =
            status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS || name.contains("Throttl");
        let error = error_of(name, message);
        Err(if passing { Failure::Passing(error) } else { Failure::Final(error) })
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

/// Without the URL, which is in the message already.
fn told(error: &reqwest::Error) -> String {
    match () {
        () if error.is_timeout() => "no answer in time".to_owned(),
        () if error.is_connect() => "no connection".to_owned(),
        () => "the connection broke off".to_owned(),
    }
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
        f.debug_struct("ExternalKms").field("endpoint", &self.section.endpoint).finish_non_exhaustive()
    }
}
