//! The keys that sign messages: RSA of 2048 bits, each with a certificate of its own, private halves sealed with the key
//! ring.
//!
//! There is one for each signature version, so that what is known of the key that signs SHA-1 hashes says nothing of the
//! other. A key signs until a month before its certificate ends; then the next one is made. Certificates stay, since
//! messages that were signed with them do. (Developer Guide, "Verifying the signatures of Amazon SNS messages"; the
//! times and the separate keys are a choice of ours.)

mod certificate;
mod key;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_keys::KeyRing;
use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, Random};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub(crate) use self::key::SigningKey;
use crate::topic::SignatureVersion;

/// [`StoredKey`]s, by id.
const KIND: &str = "sns-signing-keys";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a certificate is valid.
const VALIDITY: Duration = DAY.saturating_mul(395);
/// How long before that the key stops signing.
const MARGIN: Duration = DAY.saturating_mul(30);

/// Why there is no signature.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The stored private key does not open: the key ring is not the one that sealed it.
    #[error("the signing key {id} cannot be opened: restore the key ring that sealed it")]
    Sealed { id: String },
    /// The cryptography refused.
    #[error("no key, certificate or signature can be made: {0}")]
    Crypto(String),
}

/// A key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    version: SignatureVersion,
    /// Hex of the sealed PKCS#8 DER.
    private: String,
    certificate_pem: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Finds and makes the keys.
pub(crate) struct SigningKeys {
    catalog: Arc<dyn Catalog>,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Whom certificates are made out to.
    host: String,
    /// Open keys by version, and until when they sign. Held while one is made, so that it is made once.
    open: Mutex<HashMap<&'static str, (Timestamp, Arc<SigningKey>)>>,
}

impl SigningKeys {
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        host: String,
    ) -> Self {
        Self { catalog, ring, clock, random, host, open: Mutex::new(HashMap::new()) }
    }

    /// The key that signs now.
    pub(crate) async fn current(&self, version: SignatureVersion) -> Result<Arc<SigningKey>, SigningError> {
        let now = self.clock.now();
        let mut open = self.open.lock().await;
        if let Some((until, key)) = open.get(version.as_str())
            && now < *until
        {
            return Ok(Arc::clone(key));
        }
        let stored = self.catalog.all::<StoredKey>(KIND, "").await?;
        let usable = stored.into_iter().filter(|one| one.value.version == version && now < signs_until(&one.value));
        let (id, stored) = match usable.max_by_key(|one| one.value.not_after) {
            Some(found) => (found.key, found.value),
            None => self.make(version, now).await?,
        };
        let sealed = || SigningError::Sealed { id: id.clone() };
        let private = hex::decode(&stored.private).map_err(|_| sealed())?;
        let private = self.ring.unseal(&purpose(&id), &private).map_err(|_| sealed())?;
        let key = Arc::new(SigningKey::open(id.clone(), version, &private, Arc::clone(&self.random))?);
        open.insert(version.as_str(), (signs_until(&stored), Arc::clone(&key)));
        Ok(key)
    }

    /// The certificate of the key `id`, in PEM.
    pub(crate) async fn certificate(&self, id: &str) -> Result<Option<String>, SigningError> {
        let found = self.catalog.find::<StoredKey>(KIND, id).await?;
        Ok(found.map(|found| found.value.certificate_pem))
    }

    async fn make(&self, version: SignatureVersion, now: Timestamp) -> Result<(String, StoredKey), SigningError> {
        // Clocks of receivers may be behind.
        let (not_before, not_after) = (now - DAY, now + VALIDITY);
        let host = self.host.clone();
        let made = tokio::task::spawn_blocking(move || certificate::make(&host, not_before, not_after)).await;
        let made = made.map_err(|error| SigningError::Crypto(error.to_string()))??;
        let private = hex::encode(self.ring.seal(&purpose(&made.id), &made.private));
        let stored = StoredKey { version, private, certificate_pem: made.certificate_pem, not_before, not_after };
        // Durable before the first message names it.
        self.catalog.commit(vec![Change::put(KIND, made.id.clone(), Expect::Absent, &stored)]).await?;
        tracing::info!(key = made.id, version = version.as_str(), "a key to sign messages was made");
        Ok((made.id, stored))
    }
}

fn signs_until(key: &StoredKey) -> Timestamp {
    key.not_after - MARGIN
}

fn purpose(id: &str) -> String {
    format!("sns-signing-key/{id}")
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
