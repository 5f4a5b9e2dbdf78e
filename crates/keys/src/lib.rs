//! The key ring: secrets are sealed with it before they touch a disk or leave the process.
//!
//! AES-256-GCM under a key of the ring. A sealed text names its key, so that new keys can be added and old ones still
//! open what they sealed; the *purpose* it was sealed for is authenticated with it, so that a text sealed for one
//! purpose cannot be passed off as another.
//!
//! [`Material`] is the key of somebody else's secrets (a KMS key, or a data key made under one), which the ring keeps
//! sealed; [`chunks`] seals long texts under a data key, [`SealingWriter`] files that keep their data key with them.

pub mod chunks;
mod file;
mod material;

pub use file::{DataKey, SealedDataKey, SealedHeader, SealingWriter};
pub use material::Material;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use opentrail_runtime::{CrashPoint, Random};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_LEN;

/// Seals and opens secrets.
pub struct KeyRing {
    /// The last one seals.
    keys: Vec<([u8; KEY_ID_BYTES], LessSafeKey)>,
    random: std::sync::Arc<dyn Random>,
}

/// Why a key ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The file cannot be read or written.
    #[error("key ring {}: {source}", path.display())]
    Io {
        /// The ring's file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The file is no key ring.
    #[error("key ring {} is damaged: {reason}; restore it from a backup, without it sealed secrets are lost", path.display())]
    Damaged {
        /// The ring's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A sealed text that does not open: altered, cut, sealed for another purpose or by a ring that is not this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed text is not one of this key ring for this purpose")]
pub struct UnsealError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    keys: Vec<RingKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingKey {
    id: String,
    aes_256: Zeroizing<String>,
}

impl KeyRing {
    /// Opens the ring in `dir`, making it with one key when there is none. Directory and file are the owner's alone.
    ///
    /// # Errors
    /// [`KeyRingError::Damaged`] rather than a new ring when the file is there but cannot be understood.
    pub fn open(dir: &Path, random: std::sync::Arc<dyn Random>) -> Result<Self, KeyRingError> {
        let path = dir.join("ring.json");
        let io = |source| KeyRingError::Io { path: path.clone(), source };
        let ring = match fs::read(&path) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                serde_json::from_slice(&bytes)
                    .map_err(|error| KeyRingError::Damaged { path: path.clone(), reason: error.to_string() })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ring = RingFile { keys: vec![new_key(&*random)] };
                write_private(dir, &path, &ring).map_err(io)?;
                ring
            }
            Err(error) => return Err(io(error)),
        };
        let damaged = |reason: &str| KeyRingError::Damaged { path: path.clone(), reason: reason.to_owned() };
        let keys = ring.keys.iter().map(parse_key).collect::<Option<Vec<_>>>();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or_else(|| damaged("it holds no usable key"))?;
        Ok(Self { keys, random })
    }

    /// A ring that lives in memory only.
    ///
    /// # Panics
    /// Never: a new key is always usable.
    pub fn ephemeral(random: std::sync::Arc<dyn Random>) -> Self {
        let key = parse_key(&new_key(&*random)).expect("a new key has the right length");
        Self { keys: vec![key], random }
    }

    /// Seals `plaintext` for `purpose`, e.g. `digest-key`.
    ///
    /// # Panics
    /// Never for texts below 64 GiB.
    pub fn seal(&self, purpose: &str, plaintext: &[u8]) -> Vec<u8> {
        let (id, key) = self.keys.last().expect("a ring has a key");
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce);
        let mut body = plaintext.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut body)
            .expect("AES-GCM seals texts below 64 GiB");
        [&[FORMAT][..], id, &nonce, &body].concat()
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`UnsealError`], without saying which part is wrong.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (header, body) = sealed.split_at_checked(HEADER_BYTES).ok_or(UnsealError)?;
        let (id, nonce) = header[1..].split_at(KEY_ID_BYTES);
        let (_, key) = self.keys.iter().find(|(known, _)| known == id).ok_or(UnsealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plaintext = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut body);
        let length = plaintext.map_err(|_| UnsealError)?.len();
        body.truncate(length);
        if header[0] == FORMAT { Ok(body) } else { Err(UnsealError) }
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

fn new_key(random: &dyn Random) -> RingKey {
    let (mut id, mut key) = ([0; KEY_ID_BYTES], Zeroizing::new([0; 32]));
    random.fill(&mut id);
    random.fill(&mut *key);
    RingKey { id: hex::encode(id), aes_256: Zeroizing::new(hex::encode(*key)) }
}

fn parse_key(key: &RingKey) -> Option<([u8; KEY_ID_BYTES], LessSafeKey)> {
    let id = hex::decode(&key.id).ok()?.try_into().ok()?;
    let bytes = Zeroizing::new(hex::decode(&*key.aes_256).ok()?);
    Some((id, LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?)))
}

/// A crash at any point leaves either no ring or a whole one.
fn write_private(dir: &Path, path: &Path, ring: &RingFile) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = path.with_extension("new");
    let bytes = Zeroizing::new(serde_json::to_vec_pretty(ring)?);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    CrashPoint::KeysStaged.reach();
    fs::rename(&temporary, path)?;
    CrashPoint::KeysMade.reach();
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use opentrail_runtime::SystemRandom;

    fn open(dir: &Path) -> Result<KeyRing, KeyRingError> {
        KeyRing::open(&dir.join("keys"), Arc::new(SystemRandom))
    }

    #[test]
    fn a_reopened_ring_opens_what_it_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = open(dir.path()).unwrap().seal("token", b"secret");
        assert_eq!(open(dir.path()).unwrap().unseal("token", &sealed).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn purpose_ring_and_every_byte_matter() {
        let dir = tempfile::tempdir().unwrap();
        let ring = open(dir.path()).unwrap();
        let sealed = ring.seal("token", b"secret");
        assert_eq!(ring.unseal("key", &sealed), Err(UnsealError));
        assert_eq!(KeyRing::ephemeral(Arc::new(SystemRandom)).unseal("token", &sealed), Err(UnsealError));
        for i in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[i] ^= 1;
            assert_eq!(ring.unseal("token", &altered), Err(UnsealError), "byte {i}");
            assert_eq!(ring.unseal("token", &sealed[..i]), Err(UnsealError), "cut at {i}");
        }
    }

    #[test]
    fn the_file_is_private_and_a_damaged_one_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        let path = dir.path().join("keys/ring.json");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{}").unwrap();
        assert!(matches!(open(dir.path()), Err(KeyRingError::Damaged { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"{}");
    }
}
