//! What is sealed with KMS keys, opened with the keys of a data directory: objects of the embedded store
//! (`crates/objects/README.md`, "Sealed objects"), and files of event data stores' tables.
//!
//! The key ring opens the material of the KMS keys in the catalog, that opens an object's data key, and that the chunks
//! of its bytes. Keys of another KMS are not here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use serde::Deserialize;

const FORMAT: u8 = 1;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 << 10;
const MESSAGE: &[u8] = b"opentrail material, one message";
/// What sealed files of tables begin with.
const FILE_MARK: &[u8; 8] = b"OTSEAL1\n";
const LONGEST_FILE_KEY: u32 = 64 << 10;
const STREAM: &[u8] = b"opentrail stream of chunks";

/// How an object is sealed, as its sidecar says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seal {
    /// The sealed data key, in hexadecimal.
    data_key: String,
    context: BTreeMap<String, String>,
    plain_bytes: u64,
    /// The MD5 of the bytes on disk, where the ETag is another.
    #[serde(default)]
    pub(crate) stored_md5: Option<String>,
}

/// Why a data key is not had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataKeyError {
    /// It is sealed with a key that this data directory has not: one of another KMS, or one that is deleted.
    #[error("{0}")]
    NotHere(String),
    /// It is not what the directory's keys sealed for that purpose.
    #[error("{0}")]
    Wrong(&'static str),
}

/// The keys of a data directory.
pub(crate) struct Keys {
    /// By the id that sealed texts begin with.
    ring: Vec<(Vec<u8>, LessSafeKey)>,
    /// The sealed versions of each KMS key's material, by the name of its document.
    kms: BTreeMap<String, Vec<Vec<u8>>>,
}

#[derive(Deserialize)]
struct RingFile {
    keys: Vec<RingKey>,
}

#[derive(Deserialize)]
struct RingKey {
    id: String,
    aes_256: String,
}

impl Keys {
    /// The key ring in `root`, and KMS keys by the names of their documents.
    pub(crate) fn open(root: &Path, kms: BTreeMap<String, Vec<Vec<u8>>>) -> Result<Self, String> {
        let path = root.join("keys").join("ring.json");
        let bytes = fs::read(&path).map_err(|error| format!("the key ring cannot be read: {error}"))?;
        let file: RingFile =
            serde_json::from_slice(&bytes).map_err(|_| "the key ring cannot be understood".to_owned())?;
        let key = |key: RingKey| {
            let bytes = hex::decode(key.aes_256).ok()?;
            Some((hex::decode(key.id).ok()?, aes(&bytes)?))
        };
        let ring = file.keys.into_iter().map(key).collect::<Option<_>>().ok_or("the key ring holds no usable key")?;
        Ok(Self { ring, kms })
    }

    /// The data key of an object.
    pub(crate) fn data_key(&self, seal: &Seal) -> Result<DataKey, DataKeyError> {
        let not_here = |reason: &str| DataKeyError::NotHere(reason.to_owned());
        let wrong = DataKeyError::Wrong;
        let blob = hex::decode(&seal.data_key).map_err(|_| wrong("its data key is not hexadecimal"))?;
        let header =
            Header::read(&blob).ok_or_else(|| not_here("its data key was not sealed by keys of this catalog"))?;
        let materials = self.kms.get(&header.document);
        let materials =
            materials.ok_or_else(|| not_here(&format!("the catalog has no KMS key {}", header.document)))?;
        let sealed = materials.get(header.material).ok_or(wrong("its KMS key has not the material that sealed it"))?;
        let purpose = format!("kms-key/{}/{}", header.document, header.material);
        let material = self.unseal(&purpose, sealed).ok_or(wrong("the key ring does not open its KMS key"))?;
        let (bytes, sealed) = blob.split_at(header.length);
        let mut associated = bytes.to_vec();
        for text in seal.context.iter().flat_map(|(key, value)| [key, value]) {
            associated.extend_from_slice(&(text.len() as u64).to_be_bytes());
            associated.extend_from_slice(text.as_bytes());
        }
        let opened = message(&material, &associated, sealed).filter(|key| key.len() == 32);
        let key = opened.ok_or(wrong("its data key does not open with its KMS key and encryption context"))?;
        Ok(DataKey { key, plain_bytes: seal.plain_bytes })
    }

    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (format, rest) = sealed.split_first()?;
        let (_, key) = self.ring.iter().find(|(id, _)| rest.starts_with(id))?;
        let (nonce, body) = rest.get(4..)?.split_first_chunk::<NONCE_LEN>()?;
        (*format == FORMAT).then(|| gcm(key, *nonce, purpose.as_bytes(), body)).flatten()
    }
}

/// What a ciphertext says in the clear: its KMS key and which material.
struct Header {
    document: String,
    material: usize,
    length: usize,
}

impl Header {
    fn read(blob: &[u8]) -> Option<Self> {
        let (format, rest) = blob.split_first()?;
        let (account, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (material, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first()?;
        let region = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
        let id = hex::encode(id);
        let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        let document = format!("{:012}/{region}/{id}", u64::from_be_bytes(*account));
        let length = 1 + 8 + 16 + 4 + 1 + usize::from(*length);
        (*format == FORMAT).then_some(Self { document, material: u32::from_be_bytes(*material) as usize, length })
    }
}

/// A file of a store's table that is sealed: a mark, the length of its sealed data key, that, then the stream.
#[derive(Debug)]
pub(crate) struct SealedFile {
    key: FileKey,
    /// Where the stream begins.
    start: u64,
    /// How long its text is.
    pub(crate) plain_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct FileKey {
    data_key: String,
}

impl SealedFile {
    /// Reads the beginning of the file; what is wrong with it otherwise.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| format!("the sealed file cannot be read: {error}");
        let mut file = File::open(path).map_err(unreadable)?;
        let stored = file.metadata().map_err(unreadable)?.len();
        let mut begin = [0; FILE_MARK.len() + 4];
        file.read_exact(&mut begin).map_err(unreadable)?;
        let (mark, length) = begin.split_at(FILE_MARK.len());
        let length = u32::from_be_bytes(length.try_into().expect("four bytes are left"));
        if mark != FILE_MARK || length > LONGEST_FILE_KEY {
            return Err("the file does not begin as a sealed one".to_owned());
        }
        let mut json = vec![0; length as usize];
        file.read_exact(&mut json).map_err(unreadable)?;
        let key = serde_json::from_slice(&json).map_err(|error| format!("its data key makes no sense: {error}"))?;
        let start = begin.len() as u64 + u64::from(length);
        let chunk = (CHUNK_BYTES + TAG_BYTES) as u64;
        let body = stored.checked_sub(start + 1 + SALT_BYTES as u64).filter(|body| *body > 0);
        let plain_bytes = body.and_then(|body| body.checked_sub(body.div_ceil(chunk) * TAG_BYTES as u64));
        Ok(Self { key, start, plain_bytes: plain_bytes.ok_or("the sealed file was cut")? })
    }

    /// What opens it, if it is one of the store with this ARN.
    pub(crate) fn seal(&self, store: &str) -> Seal {
        let context = BTreeMap::from([("aws:cloudtrail:arn".to_owned(), store.to_owned())]);
        Seal { data_key: self.key.data_key.clone(), context, plain_bytes: self.plain_bytes, stored_md5: None }
    }

    /// Its text; `bound` is its path without the checksum.
    pub(crate) fn open(&self, path: &Path, key: &DataKey, bound: &str) -> Result<Vec<u8>, String> {
        let stored = fs::read(path).map_err(|error| format!("the sealed file cannot be read: {error}"))?;
        let stream = usize::try_from(self.start).ok().and_then(|start| stored.get(start..));
        key.open_bound(stream.ok_or("the sealed file was cut")?, bound.as_bytes())
    }
}

/// Opens one object.
#[derive(Clone)]
pub struct DataKey {
    key: Vec<u8>,
    plain_bytes: u64,
}

impl DataKey {
    /// The object, of which `stored` are the bytes on disk; what is wrong with them otherwise.
    pub(crate) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, String> {
        self.open_bound(stored, b"")
    }

    /// The same of a stream that is bound to these bytes.
    pub(crate) fn open_bound(&self, stored: &[u8], bound: &[u8]) -> Result<Vec<u8>, String> {
        let altered = || "it is sealed, and not with its data key: the bytes were altered".to_owned();
        let (format, rest) = stored.split_first().ok_or_else(altered)?;
        let (salt, rest) = rest.split_at_checked(SALT_BYTES).ok_or_else(altered)?;
        let purpose = if bound.is_empty() { STREAM.to_vec() } else { [STREAM, b"\0", bound].concat() };
        let key = derived(&self.key, salt, &purpose).filter(|_| *format == FORMAT).ok_or_else(altered)?;
        let mut plain = Vec::new();
        // An empty object has one empty chunk.
        let mut chunks = rest.chunks(CHUNK_BYTES + TAG_BYTES).zip(0u64..).peekable();
        while let Some((chunk, number)) = chunks.next() {
            let mut nonce = [0; NONCE_LEN];
            nonce[0] = u8::from(chunks.peek().is_none());
            nonce[4..].copy_from_slice(&number.to_be_bytes());
            plain.append(&mut gcm(&key, nonce, b"", chunk).ok_or_else(altered)?);
        }
        if plain.len() as u64 == self.plain_bytes && !rest.is_empty() { Ok(plain) } else { Err(altered()) }
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// Opens a message: a salt, a nonce, and the sealed text.
fn message(material: &[u8], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (salt, rest) = sealed.split_at_checked(SALT_BYTES)?;
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
    gcm(&derived(material, salt, MESSAGE)?, *nonce, associated, body)
}

fn derived(material: &[u8], salt: &[u8], purpose: &[u8]) -> Option<LessSafeKey> {
    let mut key = [0; 32];
    let pseudo_random = Salt::new(HKDF_SHA256, salt).extract(material);
    pseudo_random.expand(&[purpose], HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    aes(&key)
}

fn aes(bytes: &[u8]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?))
}

fn gcm(key: &LessSafeKey, nonce: [u8; NONCE_LEN], associated: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut body = body.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::from(associated), &mut body).ok()?.len();
    body.truncate(length);
    Some(body)
}
