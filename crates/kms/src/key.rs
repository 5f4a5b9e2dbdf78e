use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A key's id: a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub(crate) Uuid);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

/// The text is no UUID in lower case with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id is a UUID in lower case with hyphens")]
pub struct ParseKeyIdError;

impl FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id: Uuid = text.parse().map_err(|_| ParseKeyIdError)?;
        // Other spellings of UUIDs are no key ids.
        if id.hyphenated().to_string() == text { Ok(Self(id)) } else { Err(ParseKeyIdError) }
    }
}

/// Where a key is: the account that owns it, its Region, its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) id: KeyId,
}

impl KeyPlace {
    /// `arn:aws:kms:<region>:<account>:key/<id>`.
    pub(crate) fn arn(&self) -> String {
        format!("arn:{}:kms:{}:{}:key/{}", self.region.partition(), self.region, self.account, self.id)
    }

    /// The key's document in the catalog.
    pub(crate) fn document(&self) -> String {
        format!("{}/{}/{}", self.account, self.region, self.id)
    }
}

/// A symmetric key for encryption (`SYMMETRIC_DEFAULT`, `ENCRYPT_DECRYPT`), the only kind there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The key's id.
    pub id: KeyId,
    /// The account that owns it.
    pub account: AccountId,
    /// Its Region, which it never leaves.
    pub region: Region,
    /// `Description`.
    pub description: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it can be used.
    pub state: KeyState,
    /// `KeyManager`.
    pub manager: KeyManager,
    /// The key policy, as it was put.
    pub policy: String,
    /// In the order in which they were added.
    pub tags: Vec<Tag>,
    /// Automatic rotation, while it is on.
    pub rotation: Option<Rotation>,
    /// The versions of its material, oldest first; never empty. The last one encrypts.
    pub(crate) materials: Vec<StoredMaterial>,
}

/// `KeyState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// It can be used.
    Enabled,
    /// It was switched off.
    Disabled,
    /// It is deleted at that time, with its material and aliases.
    PendingDeletion {
        /// `DeletionDate`.
        at: Timestamp,
    },
}

/// `KeyManager`: who may change a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyManager {
    /// The account.
    Customer,
    /// A service, whose key it is in the account (`alias/aws/s3`).
    Aws,
}

/// A tag of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Unique within the key.
    pub key: String,
    /// May be empty.
    pub value: String,
}

/// Automatic rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// `RotationPeriodInDays`.
    pub period_days: u16,
    /// `NextRotationDate`.
    pub next: Timestamp,
}

/// One version of a key's material.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMaterial {
    /// `KeyMaterialId`: 64 hexadecimal digits by chance.
    pub(crate) id: String,
    /// Sealed with the key ring, in hexadecimal.
    pub(crate) sealed: String,
    pub(crate) made: Timestamp,
    /// Absent for the first.
    pub(crate) rotated: Option<RotationType>,
}

/// Why material was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RotationType {
    Automatic,
    OnDemand,
}

/// An alias: another name for a key of its account and Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// With `alias/`.
    pub(crate) name: String,
    pub(crate) target: KeyId,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// One day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Key {
    /// The key's ARN.
    pub fn arn(&self) -> String {
        self.place().arn()
    }

    pub(crate) fn place(&self) -> KeyPlace {
        KeyPlace { account: self.account, region: self.region.clone(), id: self.id }
    }

    /// The material that encrypts, and its number.
    pub(crate) fn current(&self) -> (u32, &StoredMaterial) {
        let last = self.materials.last().expect("a key has material");
        (u32::try_from(self.materials.len() - 1).expect("a key has at most a few rotations a day"), last)
    }

    /// Whether its waiting period is over: then it is as if it had never been.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        matches!(self.state, KeyState::PendingDeletion { at } if at <= now)
    }

    /// What version `index` of the material is sealed for. Bound to its place, so that it cannot pass for another's.
    pub(crate) fn purpose(place: &KeyPlace, index: usize) -> String {
        format!("kms-key/{}/{index}", place.document())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_have_one_spelling() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(id.parse::<KeyId>().unwrap().to_string(), id);
        for other in ["1234ABCD-12AB-34CD-56EF-1234567890AB", "1234abcd12ab34cd56ef1234567890ab", "x", ""] {
            assert!(other.parse::<KeyId>().is_err(), "{other}");
        }
    }
}
