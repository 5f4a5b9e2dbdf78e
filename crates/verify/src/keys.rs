use std::collections::HashMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::Value;

/// The public keys that digests and query results were signed with.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys {
    /// By the fingerprint that follows from the key.
    keys: HashMap<String, Vec<u8>>,
    /// By the fingerprint that it was listed with.
    listed: HashMap<String, Vec<u8>>,
}

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
    /// Fingerprints are computed from the keys; those in the text count for query results only.
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
            if let Some(fingerprint) = key["Fingerprint"].as_str() {
                keys.listed.insert(fingerprint.to_owned(), der.clone());
            }
            keys.add(der);
        }
        Ok(keys)
    }

    /// Adds a key: the DER of a PKCS#1 `RSAPublicKey`.
    pub fn add(&mut self, der: Vec<u8>) {
        self.keys.insert(hex::encode(Md5::digest(&der)), der);
    }

    /// Adds all keys of another set.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.listed.extend(other.listed);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the key of that fingerprint is known.
    pub(crate) fn knows(&self, fingerprint: &str) -> bool {
        self.keys.contains_key(fingerprint)
    }

    /// Whether `signature` is that key's over `text`: RSASSA-PKCS1-v1_5 with SHA-256.
    pub(crate) fn verify(&self, fingerprint: &str, text: &[u8], signature: &[u8]) -> bool {
        self.keys.get(fingerprint).is_some_and(|der| signed(der, text, signature))
    }

    /// The same of the key that was listed with that fingerprint, if there is one: what fingerprints of AWS's keys for
    /// query results are made of is not documented, and `aws cloudtrail verify-query-results` compares texts.
    pub(crate) fn verify_listed(&self, fingerprint: &str, text: &[u8], signature: &[u8]) -> Option<bool> {
        let der = self.keys.get(fingerprint).or_else(|| self.listed.get(fingerprint))?;
        Some(signed(der, text, signature))
    }
}

fn signed(der: &[u8], text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(text, signature).is_ok()
}
