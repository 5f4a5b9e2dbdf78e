use std::collections::HashMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::Value;

/// The public keys that digests were signed with, by fingerprint.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys(HashMap<String, Vec<u8>>);

/// Why a text holds no public keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not the answer of ListPublicKeys.
    #[error("this is not the JSON that `aws cloudtrail list-public-keys` prints: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
}

impl PublicKeys {
    /// Reads what `aws cloudtrail list-public-keys` prints.
    ///
    /// Fingerprints are computed from the keys, not taken from the text.
    ///
    /// # Errors
    /// [`KeysError`] when the text is something else.
    pub fn from_json(text: &str) -> Result<Self, KeysError> {
        let malformed = |reason: &str| KeysError::Malformed { reason: reason.to_owned() };
        let document: Value = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        let list = document["PublicKeyList"].as_array().ok_or_else(|| malformed("it has no PublicKeyList"))?;
        let mut keys = Self::default();
        for key in list {
            let value = key["Value"].as_str().ok_or_else(|| malformed("a key has no Value"))?;
            let der = STANDARD.decode(value).map_err(|error| malformed(&error.to_string()))?;
            keys.add(der);
        }
        Ok(keys)
    }

    /// Adds a key: the DER of a PKCS#1 `RSAPublicKey`.
    pub fn add(&mut self, der: Vec<u8>) {
        self.0.insert(hex::encode(Md5::digest(&der)), der);
    }

    /// Adds all keys of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key of that fingerprint is known.
    pub(crate) fn knows(&self, fingerprint: &str) -> bool {
        self.0.contains_key(fingerprint)
    }

    /// Whether `signature` is that key's over `text`: RSASSA-PKCS1-v1_5 with SHA-256.
    pub(crate) fn verify(&self, fingerprint: &str, text: &[u8], signature: &[u8]) -> bool {
        self.0
            .get(fingerprint)
            .is_some_and(|der| UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(text, signature).is_ok())
    }
}
