//! Keys: as much of AWS KMS as trails, stores and their administrators need.
//!
//! A [`Key`] is a document of the catalog: state, policy, tags, and its versions of key material, each sealed with the
//! key ring. [`Kms`] uses keys, for somebody ([`Requester`]) whom the key's policy must allow; services of this process
//! ask it directly, clients through [`api`] (`aws kms …`). A ciphertext says which key and which version of its material
//! opens it, so that nothing is lost by a rotation.
//! (KMS Developer Guide; KMS API Reference.)

mod access;
mod api;
mod ciphertext;
mod context;
mod error;
mod key;
mod kms;
mod policy;
mod reference;
mod repository;
#[cfg(test)]
mod tests;

pub use access::{Conditions, Requester};
pub use api::{Reply, api};
pub use context::EncryptionContext;
pub use error::KmsError;
pub use key::{Key, KeyId, KeyManager, KeyState, ParseKeyIdError, Rotation, Tag};
pub use kms::{DataKey, Kms};
