use std::fmt;
use std::sync::Arc;

use opentrail_catalog::{Catalog, Expect};
use opentrail_identity::Directory;
use opentrail_keys::{KeyRing, Material};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{Clock, Random};
use zeroize::Zeroizing;

use crate::access::{Requester, Wish, authorize};
use crate::ciphertext::Header;
use crate::context::{EncryptionContext, associated};
use crate::error::KmsError;
use crate::key::{Alias, DAY, Key, KeyId, KeyManager, KeyPlace, KeyState, RotationType, StoredMaterial};
use crate::policy::managed_policy;
use crate::reference::{AliasPlace, Reference};
use crate::repository::{Found, Keys, delete_alias, delete_key, put_alias, put_key};

/// Uses keys. Cheap to clone.
#[derive(Clone)]
pub struct Kms {
    pub(crate) keys: Keys,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

/// A key to encrypt something with outside of KMS, and the same sealed, to be kept beside what it encrypted.
#[derive(Clone, Debug)]
pub struct DataKey {
    /// The key; forget it soon.
    pub plaintext: Material,
    /// [`Kms::open_data_key`] opens it.
    pub sealed: Vec<u8>,
    /// The ARN of the KMS key.
    pub key_arn: String,
}

/// What a ciphertext held.
pub(crate) struct Opened {
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    pub(crate) key: Key,
    pub(crate) material_id: String,
}

impl Kms {
    /// The keys stored in `catalog`, their material sealed with `ring`.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        ring: Arc<KeyRing>,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { keys: Keys { catalog }, ring, directory, clock, random }
    }

    /// The key that `text` (key id, key ARN, alias name or alias ARN) names for `account` in `region`. No access is
    /// checked.
    ///
    /// # Errors
    /// [`KmsError::NotFound`], [`KmsError::InvalidArn`] and the catalog's.
    pub async fn resolve(&self, text: &str, account: AccountId, region: &Region) -> Result<Key, KmsError> {
        let reference = Reference::parse(text, account, region)?;
        Ok(self.keys.require(&reference, self.clock.now()).await?.key)
    }

    /// A new data key of 256 bits under the key that `text` names for `account` in `region`
    /// (`kms:GenerateDataKey`).
    ///
    /// # Errors
    /// When there is no such key, it cannot be used now, or `requester` may not.
    pub async fn generate_data_key(
        &self,
        requester: Requester<'_>,
        (text, account, region): (&str, AccountId, &Region),
        context: &EncryptionContext,
    ) -> Result<DataKey, KmsError> {
        let reference = Reference::parse(text, account, region)?;
        let found = self.keys.require(&reference, self.clock.now()).await?;
        self.require_usable(requester, "kms:GenerateDataKey", &found, context)?;
        let plaintext = Material::generate(&*self.random);
        let sealed = self.seal(&found.key, context, plaintext.expose())?;
        Ok(DataKey { plaintext, sealed, key_arn: found.key.arn() })
    }

    /// Opens a data key again (`kms:Decrypt`).
    ///
    /// # Errors
    /// As [`Self::generate_data_key`], and [`KmsError::InvalidCiphertext`].
    pub async fn open_data_key(
        &self,
        requester: Requester<'_>,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Material, KmsError> {
        let opened = self.open("kms:Decrypt", requester, sealed, context, None).await?;
        Material::from_bytes(&opened.plaintext).ok_or(KmsError::InvalidCiphertext)
    }

    /// Whether `sealed` is of a key in the catalog.
    ///
    /// # Errors
    /// The catalog's.
    pub async fn sealed(&self, sealed: &[u8]) -> Result<bool, KmsError> {
        let Some((header, ..)) = Header::split(sealed) else { return Ok(false) };
        Ok(self.keys.find(&header.place, self.clock.now()).await?.is_some())
    }

    /// The key that `service` (e.g. `s3`) manages in the account, made at its first use.
    ///
    /// # Errors
    /// The catalog's.
    pub async fn managed_key(&self, account: AccountId, region: &Region, service: &str) -> Result<Key, KmsError> {
        let alias = AliasPlace { account, region: region.clone(), name: format!("alias/aws/{service}") };
        if self.keys.alias(&alias).await?.is_none() {
            let policy = managed_policy(account, region, service);
            let description =
                format!("Default key that protects my {} objects when no other key is defined", service.to_uppercase());
            let mut key = self.new_key(account, region, policy, description);
            key.manager = KeyManager::Aws;
            let now = self.clock.now();
            let named = Alias { name: alias.name.clone(), target: key.id, created: now, updated: now };
            let changes = vec![put_key(&key, Expect::Absent), put_alias(&alias, &named, Expect::Absent)];
            match self.keys.commit(changes).await {
                // Somebody else made it meanwhile: theirs is taken.
                Ok(()) | Err(KmsError::Changed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.keys.require(&Reference::Alias(alias), self.clock.now()).await?.key)
    }

    /// Deletes keys whose waiting period is over, with their material and aliases, and rotates those whose time has
    /// come.
    ///
    /// # Errors
    /// The catalog's; what was done stays done.
    pub async fn maintain(&self) -> Result<(), KmsError> {
        let now = self.clock.now();
        for found in self.keys.all().await? {
            let (mut key, expect) = (found.value, Expect::Revision(found.revision));
            if key.is_gone(now) {
                let mut changes = vec![delete_key(&key.place(), expect)];
                for alias in self.keys.aliases(key.account, &key.region).await? {
                    if alias.target == key.id {
                        let place = AliasPlace { account: key.account, region: key.region.clone(), name: alias.name };
                        changes.push(delete_alias(&place, Expect::Anything));
                    }
                }
                self.keys.commit(changes).await?;
                tracing::info!(key = key.arn(), "a key's waiting period is over: it is deleted");
            } else if key.state == KeyState::Enabled
                && let Some(rotation) = key.rotation.filter(|rotation| rotation.next <= now)
            {
                self.rotate(&mut key, RotationType::Automatic);
                let next = now + DAY * u32::from(rotation.period_days);
                key.rotation = Some(crate::key::Rotation { next, ..rotation });
                self.keys.replace(&key, found.revision).await?;
                tracing::info!(key = key.arn(), "a key has new material");
            }
        }
        Ok(())
    }

    /// A new key, not stored yet.
    pub(crate) fn new_key(&self, account: AccountId, region: &Region, policy: String, description: String) -> Key {
        let place = KeyPlace { account, region: region.clone(), id: KeyId(self.random.uuid()) };
        Key {
            materials: vec![self.new_material(&place, 0, None)],
            id: place.id,
            account,
            region: place.region,
            description,
            created: self.clock.now(),
            state: KeyState::Enabled,
            manager: KeyManager::Customer,
            policy,
            tags: Vec::new(),
            rotation: None,
        }
    }

    /// Gives `key` new material. What it has stays, for what it sealed.
    pub(crate) fn rotate(&self, key: &mut Key, why: RotationType) {
        let material = self.new_material(&key.place(), key.materials.len(), Some(why));
        key.materials.push(material);
    }

    fn new_material(&self, place: &KeyPlace, index: usize, rotated: Option<RotationType>) -> StoredMaterial {
        let material = Material::generate(&*self.random);
        let mut id = [0; 32];
        self.random.fill(&mut id);
        StoredMaterial {
            id: hex::encode(id),
            sealed: hex::encode(self.ring.seal(&Key::purpose(place, index), material.expose())),
            made: self.clock.now(),
            rotated,
        }
    }

    /// Checks that `requester` may do `action` with the key, and that the key can be used now.
    pub(crate) fn require_usable(
        &self,
        requester: Requester<'_>,
        action: &'static str,
        found: &Found,
        context: &EncryptionContext,
    ) -> Result<(), KmsError> {
        let wish = Wish { action, key: &found.key, alias: found.alias.as_deref(), context: Some(context) };
        authorize(&self.directory, requester, &wish)?;
        require_enabled(&found.key)
    }

    /// Seals `plaintext` under the key's current material.
    pub(crate) fn seal(&self, key: &Key, context: &EncryptionContext, plaintext: &[u8]) -> Result<Vec<u8>, KmsError> {
        let (index, stored) = key.current();
        let material = open_material(&self.ring, key, index, stored)?;
        let header = Header { place: key.place(), material: index }.to_bytes();
        let sealed = material.seal(&associated(&header, context), plaintext, &*self.random);
        Ok([header, sealed].concat())
    }

    /// Opens a ciphertext for `requester`, who needs `action`. `expected` is the key that it must be of.
    pub(crate) async fn open(
        &self,
        action: &'static str,
        requester: Requester<'_>,
        blob: &[u8],
        context: &EncryptionContext,
        expected: Option<&Found>,
    ) -> Result<Opened, KmsError> {
        let (header, bytes, sealed) = Header::split(blob).ok_or(KmsError::InvalidCiphertext)?;
        if expected.is_some_and(|expected| expected.key.place() != header.place) {
            return Err(KmsError::IncorrectKey);
        }
        let found = match expected {
            Some(found) => found.clone(),
            None => {
                let place = header.place.clone();
                let found = self.keys.find(&place, self.clock.now()).await?.ok_or_else(no_key_of_ciphertext)?;
                Found { key: found.value, revision: found.revision, alias: None }
            }
        };
        self.require_usable(requester, action, &found, context)?;
        let (plaintext, material_id) = open_blob(&self.ring, &found.key, &header, bytes, sealed, context)?;
        Ok(Opened { plaintext, key: found.key, material_id })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// KMS's words for a ciphertext whose key is not to be found.
pub(crate) fn no_key_of_ciphertext() -> KmsError {
    KmsError::AccessDenied(
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are \
         not allowed to access."
            .to_owned(),
    )
}

/// Refuses keys that are switched off or about to be deleted.
pub(crate) fn require_enabled(key: &Key) -> Result<(), KmsError> {
    match key.state {
        KeyState::Enabled => Ok(()),
        KeyState::Disabled => Err(KmsError::Disabled { arn: key.arn() }),
        KeyState::PendingDeletion { .. } => {
            Err(KmsError::InvalidState { arn: key.arn(), problem: "is pending deletion" })
        }
    }
}

/// Opens the parts of a ciphertext with the material that its header names; the plaintext, and the material's id.
pub(crate) fn open_blob(
    ring: &KeyRing,
    key: &Key,
    header: &Header,
    bytes: &[u8],
    sealed: &[u8],
    context: &EncryptionContext,
) -> Result<(Zeroizing<Vec<u8>>, String), KmsError> {
    let stored = key.materials.get(header.material as usize).ok_or(KmsError::InvalidCiphertext)?;
    let material = open_material(ring, key, header.material, stored)?;
    let plaintext = material.open(&associated(bytes, context), sealed).map_err(|_| KmsError::InvalidCiphertext)?;
    Ok((plaintext, stored.id.clone()))
}

fn open_material(ring: &KeyRing, key: &Key, index: u32, stored: &StoredMaterial) -> Result<Material, KmsError> {
    let damaged = || KmsError::Damaged { arn: key.arn() };
    let sealed = hex::decode(&stored.sealed).map_err(|_| damaged())?;
    let bytes = ring.unseal(&Key::purpose(&key.place(), index as usize), &sealed).map_err(|_| damaged())?;
    Material::from_bytes(&bytes).ok_or_else(damaged)
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms").finish_non_exhaustive()
    }
}
