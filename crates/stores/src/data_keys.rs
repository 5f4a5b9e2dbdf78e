//! The data keys of event data stores that have a KMS key.
//!
//! What a store holds on disk is sealed with data keys, each made under the store's KMS key and kept, sealed, with what
//! it seals. One is used for new files for [`USED_FOR`] at the longest. Opened ones are kept in memory for a bounded
//! time, which is how long a KMS key that is switched off can still be used, and are wiped from it then.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_keys::{DataKey, Material, SealedDataKey};
use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, Random};
use parking_lot::Mutex;

use crate::StoreKey;

/// How long a data key seals new files.
pub const USED_FOR: Duration = Duration::from_secs(60 * 60);
/// How many times it is given out for that.
const USED_TIMES: u32 = 10_000;
/// Opened data keys that are kept.
const KEPT: usize = 4096;

/// KMS, as CloudTrail uses it for event data stores.
#[async_trait]
pub trait StoreKms: fmt::Debug + Send + Sync + 'static {
    /// The ARN of the key that `text` (a `KmsKeyId` in any of its forms) names, if it can seal what the store holds: it
    /// is there, in the store's Region, enabled, and its policy lets CloudTrail make and open data keys for the store.
    async fn check(&self, store: &StoreKey, text: &str) -> Result<String, StoreKeyError>;

    /// A new data key under the KMS key with this ARN, for the store and no other.
    async fn make(&self, store: &StoreKey, kms_key: &str) -> Result<(Material, SealedDataKey), StoreKeyError>;

    /// Opens a data key that was made for the store.
    async fn open(&self, store: &StoreKey, key: &SealedDataKey) -> Result<Material, StoreKeyError>;
}

/// Why a store cannot have a KMS key, or use the one that it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreKeyError {
    /// The text is none of the forms that a key's name has.
    #[error("KMS key identifier {key:?} is not valid: {reason}")]
    Invalid {
        /// As it was given.
        key: String,
        /// What would be right.
        reason: String,
    },
    /// There is no such key in the store's Region.
    #[error("KMS key {key} does not exist in the Region {region} of the event data store")]
    NotFound {
        /// As it was given.
        key: String,
        /// Where the key would have to be.
        region: String,
    },
    /// Its policy does not let CloudTrail use it for this store.
    #[error("Insufficient permissions to access KMS key {key}.")]
    AccessDenied {
        /// The key.
        key: String,
    },
    /// It is disabled or about to be deleted, or does not open what it should.
    #[error("KMS key {key} cannot be used: {reason}")]
    Unusable {
        /// The key.
        key: String,
        /// KMS's word.
        reason: String,
    },
    /// Nobody could be asked; trying again may help.
    #[error("KMS key {key} could not be used: {reason}")]
    Unavailable {
        /// As it was given.
        key: String,
        /// Why.
        reason: String,
    },
}

/// The data keys of all stores. Cheap to clone.
#[derive(Clone)]
pub struct DataKeys {
    inner: Arc<Inner>,
}

struct Inner {
    kms: Arc<dyn StoreKms>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// How long an opened data key is kept.
    kept_for: Duration,
    opened: Mutex<HashMap<(StoreKey, SealedDataKey), Opened>>,
    /// What seals each store's new files, and the KMS key that it is of.
    sealing: Mutex<HashMap<StoreKey, Sealing>>,
}

struct Opened {
    material: Material,
    since: Timestamp,
}

struct Sealing {
    key: SealedDataKey,
    kms_key: String,
    since: Timestamp,
    times: u32,
}

impl DataKeys {
    /// Those of `kms`, kept for `kept_for` once they were opened.
    pub fn new(kms: Arc<dyn StoreKms>, kept_for: Duration, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let (opened, sealing) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { kms, clock, random, kept_for, opened, sealing }) }
    }

    /// None: a store that has a KMS key can be neither read nor written.
    pub fn none(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self::new(Arc::new(NoKms), Duration::ZERO, clock, random)
    }

    /// A data key to seal what the store holds with, under its KMS key, whose ARN is given.
    ///
    /// # Errors
    /// When KMS does not let the key be used now.
    pub async fn to_seal(&self, store: &StoreKey, kms_key: &str) -> Result<DataKey, StoreKeyError> {
        let random = Arc::clone(&self.inner.random);
        let now = self.inner.clock.now();
        self.forget(now);
        let current = {
            let mut sealing = self.inner.sealing.lock();
            sealing.get_mut(store).filter(|sealing| sealing.serves(kms_key)).map(|sealing| {
                sealing.times += 1;
                sealing.key.clone()
            })
        };
        if let Some(sealed) = current {
            let material = self.open(store, &sealed).await?;
            return Ok(DataKey { material, sealed, random });
        }
        let (material, sealed) = self.inner.kms.make(store, kms_key).await?;
        let sealing = Sealing { key: sealed.clone(), kms_key: kms_key.to_owned(), since: now, times: 1 };
        self.inner.sealing.lock().insert(store.clone(), sealing);
        self.keep(store, &sealed, &material, now);
        Ok(DataKey { material, sealed, random })
    }

    /// Opens a data key that was made for the store.
    ///
    /// # Errors
    /// When KMS does not let the key be used now, or it was made for another store.
    pub async fn open(&self, store: &StoreKey, key: &SealedDataKey) -> Result<Material, StoreKeyError> {
        let now = self.inner.clock.now();
        self.forget(now);
        if let Some(kept) = self.inner.opened.lock().get(&(store.clone(), key.clone())) {
            return Ok(kept.material.clone());
        }
        let material = self.inner.kms.open(store, key).await?;
        self.keep(store, key, &material, now);
        Ok(material)
    }

    /// Wipes the opened data keys whose time is over. It is done whenever one is asked for; where nobody asks for long,
    /// whoever keeps house does.
    pub fn forget_old(&self) {
        self.forget(self.inner.clock.now());
    }

    fn forget(&self, now: Timestamp) {
        // A clock that was set back makes no key last longer.
        let young = |since: Timestamp, bound| since <= now && now.since(since) < bound;
        self.inner.opened.lock().retain(|_, kept| young(kept.since, self.inner.kept_for));
        self.inner.sealing.lock().retain(|_, sealing| young(sealing.since, USED_FOR));
    }

    fn keep(&self, store: &StoreKey, key: &SealedDataKey, material: &Material, since: Timestamp) {
        if self.inner.kept_for.is_zero() {
            return;
        }
        let mut opened = self.inner.opened.lock();
        if opened.len() >= KEPT
            && let Some(oldest) = opened.iter().min_by_key(|(_, kept)| kept.since).map(|(name, _)| name.clone())
        {
            opened.remove(&oldest);
        }
        opened.insert((store.clone(), key.clone()), Opened { material: material.clone(), since });
    }
}

impl Sealing {
    fn serves(&self, kms_key: &str) -> bool {
        self.kms_key == kms_key && self.times < USED_TIMES
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys").field("kms", &self.inner.kms).finish_non_exhaustive()
    }
}

/// See [`DataKeys::none`].
#[derive(Debug)]
struct NoKms;

fn no_keys(key: &str) -> StoreKeyError {
    StoreKeyError::Unavailable { key: key.to_owned(), reason: "there are no keys here".to_owned() }
}

#[async_trait]
impl StoreKms for NoKms {
    async fn check(&self, _: &StoreKey, text: &str) -> Result<String, StoreKeyError> {
        Err(no_keys(text))
    }

    async fn make(&self, _: &StoreKey, kms_key: &str) -> Result<(Material, SealedDataKey), StoreKeyError> {
        Err(no_keys(kms_key))
    }

    async fn open(&self, _: &StoreKey, key: &SealedDataKey) -> Result<Material, StoreKeyError> {
        Err(no_keys(&key.kms_key))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use opentrail_runtime::{ManualClock, SystemRandom};
    use uuid::Uuid;

    use super::*;

    /// Seals data keys by their number; counts how often it is asked to open one.
    #[derive(Debug, Default)]
    struct Counting {
        made: Mutex<Vec<(StoreKey, Material)>>,
        opened: AtomicUsize,
        off: AtomicBool,
    }

    impl Counting {
        fn refuse(&self) -> Result<(), StoreKeyError> {
            let off = || StoreKeyError::Unusable { key: "arn".into(), reason: "it is disabled".into() };
            if self.off.load(Ordering::Relaxed) { Err(off()) } else { Ok(()) }
        }
    }

    #[async_trait]
    impl StoreKms for Counting {
        async fn check(&self, _: &StoreKey, text: &str) -> Result<String, StoreKeyError> {
            Ok(text.to_owned())
        }

        async fn make(&self, store: &StoreKey, kms_key: &str) -> Result<(Material, SealedDataKey), StoreKeyError> {
            self.refuse()?;
            let mut made = self.made.lock();
            let sealed = SealedDataKey { kms_key: kms_key.to_owned(), data_key: made.len().to_string() };
            made.push((store.clone(), Material::generate(&SystemRandom)));
            Ok((made[made.len() - 1].1.clone(), sealed))
        }

        async fn open(&self, store: &StoreKey, key: &SealedDataKey) -> Result<Material, StoreKeyError> {
            self.refuse()?;
            self.opened.fetch_add(1, Ordering::Relaxed);
            let (of, material) = self.made.lock()[key.data_key.parse::<usize>().unwrap()].clone();
            assert_eq!(of, *store);
            Ok(material)
        }
    }

    struct World {
        kms: Arc<Counting>,
        clock: Arc<ManualClock>,
        keys: DataKeys,
    }

    fn world() -> World {
        let (kms, clock) = (Arc::new(Counting::default()), Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000))));
        let kept_for = Duration::from_secs(60);
        let keys = DataKeys::new(kms.clone(), kept_for, clock.clone(), Arc::new(SystemRandom));
        World { kms, clock, keys }
    }

    fn store(id: u128) -> StoreKey {
        StoreKey {
            account: "111122223333".parse().unwrap(),
            home_region: "us-east-1".parse().unwrap(),
            id: Uuid::from_u128(id),
        }
    }

    #[tokio::test]
    async fn an_opened_key_is_kept_for_its_time_and_no_longer() {
        let World { kms, clock, keys } = world();
        let made = keys.to_seal(&store(1), "arn").await.unwrap();
        clock.advance(Duration::from_secs(59));
        let again = keys.open(&store(1), &made.sealed).await.unwrap();
        assert_eq!((again.expose(), kms.opened.load(Ordering::Relaxed)), (made.material.expose(), 0));
        kms.off.store(true, Ordering::Relaxed);
        assert!(keys.to_seal(&store(1), "arn").await.is_ok(), "the key that is off can be used as long");
        clock.advance(Duration::from_secs(1));
        assert!(keys.open(&store(1), &made.sealed).await.is_err());
        assert!(keys.to_seal(&store(1), "arn").await.is_err());
        keys.forget_old();
        assert!(keys.inner.opened.lock().is_empty(), "it is wiped");
        kms.off.store(false, Ordering::Relaxed);
        let back = keys.to_seal(&store(1), "arn").await.unwrap();
        assert_eq!((back.sealed, kms.opened.load(Ordering::Relaxed)), (made.sealed, 1));
    }

    #[tokio::test]
    async fn each_store_and_each_hour_has_a_data_key_of_its_own() {
        let World { clock, keys, .. } = world();
        let first = keys.to_seal(&store(1), "arn").await.unwrap().sealed;
        assert_eq!(keys.to_seal(&store(1), "arn").await.unwrap().sealed, first);
        assert_ne!(keys.to_seal(&store(2), "arn").await.unwrap().sealed, first);
        assert_ne!(keys.to_seal(&store(1), "other").await.unwrap().sealed, first);
        let other = keys.to_seal(&store(1), "other").await.unwrap().sealed;
        clock.advance(USED_FOR);
        assert_ne!(keys.to_seal(&store(1), "other").await.unwrap().sealed, other);
    }

    #[tokio::test]
    async fn many_keys_do_not_fill_the_memory() {
        let World { keys, .. } = world();
        for id in 0..KEPT as u128 + 10 {
            keys.to_seal(&store(id), "arn").await.unwrap();
        }
        assert_eq!(keys.inner.opened.lock().len(), KEPT);
    }
}
