//! The keys that sign digests and query results: one RSA-2048 key per Region and period, its private half sealed with the key ring.
//!
//! Periods are [`PITCH`] long and counted from the epoch; a key is valid from the start of its period for
//! [`VALIDITY`], so that consecutive keys overlap by two days. A digest is signed with the key of the period in which
//! it *ends*, however late it is made: `validate-logs` asks for the keys that are valid around the digests' times.
//! (User Guide, "Validating CloudTrail log file integrity": keys per Region, overlapping; published samples are valid
//! for exactly 30 days. The alignment is a choice.)

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use md5::{Digest, Md5};
use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_keys::KeyRing;
use opentrail_model::{Region, Timestamp};
use opentrail_runtime::{Clock, CrashPoint};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

const KIND: &str = "digest-keys";
const PURPOSE: &str = "digest-key";
const DAY: Duration = Duration::from_secs(86_400);
const PITCH: Duration = DAY.saturating_mul(28);
const VALIDITY: Duration = DAY.saturating_mul(30);

/// A public key as ListPublicKeys answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `Value`: the PKCS#1 DER of the RSA public key.
    pub value_der: Vec<u8>,
    /// `ValidityStartTime`, inclusive.
    pub validity_start: Timestamp,
    /// `ValidityEndTime`, inclusive.
    pub validity_end: Timestamp,
    /// `Fingerprint`: lower-case hex of the MD5 of [`Self::value_der`]; what digests name.
    pub fingerprint: String,
}

/// The public keys of all Regions, for ListPublicKeys. Keys are made with the first digest that needs them.
#[derive(Clone, Debug)]
pub struct PublicKeys {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
}

/// Signs what is not a digest with the same keys: saved query results.
#[derive(Clone, Debug)]
pub struct Signer(Arc<SigningKeys>);

/// A signature and what names its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// RSASSA-PKCS1-v1_5 with SHA-256, in lower-case hex.
    pub hex: String,
    /// See [`PublicKey::fingerprint`].
    pub fingerprint: String,
}

impl Signer {
    /// Keys are kept in `catalog`, sealed with `ring`.
    pub fn new(catalog: Arc<dyn Catalog>, ring: Arc<KeyRing>) -> Self {
        Self(Arc::new(SigningKeys::new(catalog, ring)))
    }

    /// Signs with the key of `region` that is valid at `at`, which is made when there is none yet.
    ///
    /// # Errors
    /// [`SigningError`] when the key cannot be had.
    pub async fn sign(&self, region: &Region, at: Timestamp, message: &[u8]) -> Result<Signature, SigningError> {
        let key = self.0.key_for(region, at).await?;
        Ok(Signature { hex: key.sign(message)?, fingerprint: key.fingerprint.clone() })
    }
}

/// Why something could not be signed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SigningError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The stored private key does not open: the key ring is not the one that sealed it.
    #[error("the digest key {key} cannot be opened: restore the key ring that sealed it")]
    Sealed {
        /// The key's document.
        key: String,
    },
    /// The system's cryptography refused.
    #[error("no RSA key or signature can be made")]
    Crypto,
}

/// A key as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredKey {
    /// Hex of the PKCS#1 DER.
    public: String,
    /// Hex of the sealed PKCS#8 DER.
    private: String,
    validity_start: Timestamp,
    validity_end: Timestamp,
    fingerprint: String,
}

/// A private key, ready to sign.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    /// See [`PublicKey::fingerprint`].
    pub(crate) fingerprint: String,
}

/// Finds and makes the private keys.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    catalog: Arc<dyn Catalog>,
    ring: Arc<KeyRing>,
    /// Opened keys by document key.
    opened: Mutex<HashMap<String, Arc<SigningKey>>>,
}

impl PublicKeys {
    /// The keys stored in `catalog`.
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock }
    }

    /// Every key of `region` that is valid at some time in [`start`, `end`], both inclusive, oldest first. A bound that
    /// is not given is the time now. (API Reference, ListPublicKeys.)
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn list(
        &self,
        region: &Region,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<Vec<PublicKey>, CatalogError> {
        let now = self.clock.now();
        let (start, end) = (start.unwrap_or(now), end.unwrap_or(now));
        let stored = self.catalog.all::<StoredKey>(KIND, &format!("{region}/")).await?;
        let within = |key: &StoredKey| key.validity_start <= end && key.validity_end >= start;
        stored
            .into_iter()
            .filter(|document| within(&document.value))
            .map(|document| {
                let malformed = |_| CatalogError::Malformed {
                    kind: KIND.to_owned(),
                    key: document.key.clone(),
                    reason: "the public key is not hex".to_owned(),
                };
                let key = &document.value;
                Ok(PublicKey {
                    value_der: hex::decode(&key.public).map_err(malformed)?,
                    validity_start: key.validity_start,
                    validity_end: key.validity_end,
                    fingerprint: key.fingerprint.clone(),
                })
            })
            .collect()
    }
}

impl SigningKeys {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, ring: Arc<KeyRing>) -> Self {
        Self { catalog, ring, opened: Mutex::default() }
    }

    /// The key of `region` that is valid at `at`, made when there is none yet.
    pub(crate) async fn key_for(&self, region: &Region, at: Timestamp) -> Result<Arc<SigningKey>, SigningError> {
        let start = at.floor(PITCH);
        // Zero-padded, so that keys sort by time.
        let name = format!("{region}/{:012}", start.as_secs());
        if let Some(key) = self.opened.lock().get(&name) {
            return Ok(Arc::clone(key));
        }
        loop {
            if let Some(found) = self.catalog.find::<StoredKey>(KIND, &name).await? {
                let key = Arc::new(self.open(&name, found.value)?);
                self.opened.lock().insert(name, Arc::clone(&key));
                return Ok(key);
            }
            let ring = Arc::clone(&self.ring);
            let made = tokio::task::spawn_blocking(move || make(&ring, start)).await;
            let stored = made.map_err(|_| SigningError::Crypto)??;
            CrashPoint::DeliveryKeyMade.reach();
            // Another worker of the Region may be faster; then its key is everybody's.
            match self.catalog.commit(vec![Change::put(KIND, &name, Expect::Absent, &stored)]).await {
                Ok(()) => {
                    CrashPoint::DeliveryKeyKept.reach();
                    tracing::info!(region = %region, fingerprint = stored.fingerprint, "made a digest key");
                }
                Err(CatalogError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn open(&self, name: &str, stored: StoredKey) -> Result<SigningKey, SigningError> {
        let sealed = || SigningError::Sealed { key: name.to_owned() };
        let private = hex::decode(&stored.private).map_err(|_| sealed())?;
        let pkcs8 = self.ring.unseal(PURPOSE, &private).map_err(|_| sealed())?;
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_| sealed())?;
        Ok(SigningKey { pair, fingerprint: stored.fingerprint })
    }
}

impl SigningKey {
    /// The RSASSA-PKCS1-v1_5 signature with SHA-256 of `message`, in lower-case hex. Takes about a millisecond.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String, SigningError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| SigningError::Crypto)?;
        Ok(hex::encode(signature))
    }
}

fn make(ring: &KeyRing, start: Timestamp) -> Result<StoredKey, SigningError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError::Crypto)?;
    let pkcs8 = pair.as_der().map_err(|_| SigningError::Crypto)?;
    let public = pair.public_key().as_ref();
    Ok(StoredKey {
        public: hex::encode(public),
        private: hex::encode(ring.seal(PURPOSE, pkcs8.as_ref())),
        validity_start: start,
        validity_end: start + VALIDITY,
        fingerprint: hex::encode(Md5::digest(public)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use opentrail_catalog::MemoryCatalog;
    use opentrail_runtime::{ManualClock, SystemRandom};

    fn keys(catalog: &Arc<dyn Catalog>, ring: &Arc<KeyRing>) -> SigningKeys {
        SigningKeys::new(Arc::clone(catalog), Arc::clone(ring))
    }

    #[tokio::test]
    async fn a_key_is_listed_signs_and_survives_a_restart() {
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        let ring = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
        let region = Region::us_east_1();
        let at: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        let signature = keys(&catalog, &ring).key_for(&region, at).await.unwrap().sign(b"text").unwrap();
        let again = keys(&catalog, &ring).key_for(&region, at).await.unwrap();

        let public = PublicKeys::new(Arc::clone(&catalog), Arc::new(ManualClock::new(at)));
        let listed = public.list(&region, None, None).await.unwrap();
        let [key] = &listed[..] else { panic!("one key is valid, not {listed:?}") };
        assert_eq!(key.fingerprint, again.fingerprint);
        // The form that `rsa.PublicKey.load_pkcs1` takes: MIIBCgKCAQEA in base64.
        assert_eq!(key.value_der.len(), 270);
        assert_eq!(&key.value_der[..9], [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00]);
        let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.value_der);
        verifier.verify(b"text", &hex::decode(&signature).unwrap()).unwrap();
        assert!(public.list(&"eu-west-1".parse().unwrap(), None, None).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn keys_rotate_and_overlap() {
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        let ring = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
        let keys = keys(&catalog, &ring);
        let region = Region::us_east_1();
        let boundary = Timestamp::from_secs(20 * 28 * 86_400);
        let old = keys.key_for(&region, boundary - Duration::from_secs(1)).await.unwrap();
        let new = keys.key_for(&region, boundary).await.unwrap();
        assert_ne!(old.fingerprint, new.fingerprint);
        let public = PublicKeys::new(catalog, Arc::new(ManualClock::new(boundary)));
        let around = |days: u64| Some(boundary + DAY * u32::try_from(days).unwrap());
        assert_eq!(public.list(&region, None, None).await.unwrap().len(), 2);
        assert_eq!(public.list(&region, around(2), around(2)).await.unwrap().len(), 2, "both bounds are inclusive");
        assert_eq!(public.list(&region, around(3), around(9)).await.unwrap().len(), 1);
        assert!(public.list(&region, around(31), around(40)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_lost_key_ring_is_said_so() {
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        let ring = || Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
        let at = Timestamp::from_secs(1_700_000_000);
        keys(&catalog, &ring()).key_for(&Region::us_east_1(), at).await.unwrap();
        let error = keys(&catalog, &ring()).key_for(&Region::us_east_1(), at).await.unwrap_err();
        assert!(error.to_string().contains("restore the key ring"), "{error}");
    }
}
