//! Checks saved results of a query: that they are those that were signed.
//!
//! The steps are those of `aws cloudtrail verify-query-results`, in their order and with their words, so that scripts
//! which look for them find them here.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use crate::keys::PublicKeys;

const SIGN_FILE: &str = "result_sign.json";
const READ_BYTES: usize = 1 << 20;

/// Where the files of one query's results are.
#[derive(Clone, Debug)]
pub enum ResultsPlace {
    /// A directory with copies.
    Directory(PathBuf),
    /// A bucket.
    Bucket {
        /// The bucket.
        store: Arc<dyn ObjectStore>,
        /// What their keys begin with, without the slash before their names.
        prefix: String,
    },
}

/// Why results were not found to be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultsError {
    /// Something that is needed cannot be read.
    #[error("InformationCollectionError: {0}")]
    Collection(String),
    /// There is no result, or it is not what was signed.
    #[error("ValidationError: {0}")]
    Validation(String),
    /// Nobody knows the key.
    #[error("RuntimeError: No public keys found for key with fingerprint: {fingerprint}")]
    NoKey {
        /// What the sign file calls it.
        fingerprint: String,
    },
}

/// `result_sign.json`. (User Guide, "CloudTrail sign file structure".)
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignFile {
    region: String,
    files: Vec<SignedFile>,
    query_complete_time: String,
    hash_signature: String,
    public_key_fingerprint: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedFile {
    file_hash_value: String,
    file_name: String,
}

/// Results whose files are those that the sign file lists; whether that is signed is not known yet.
#[derive(Clone, Debug)]
pub struct HashedResults {
    sign: SignFile,
    complete: Timestamp,
    bytes: u64,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedResults {
    /// The files, in the order of the sign file.
    pub files: Vec<String>,
    /// Their bytes together.
    pub bytes: u64,
    /// When the query was complete.
    pub query_complete_time: String,
    /// Where it ran.
    pub region: String,
}

/// Reads the sign file and compares the hashes in it with the files.
///
/// # Errors
/// [`ResultsError::Collection`] when a file cannot be read, [`ResultsError::Validation`] when one is another.
pub async fn hash_query_results(place: &ResultsPlace) -> Result<HashedResults, ResultsError> {
    let mut text = Vec::new();
    place.read(SIGN_FILE, |bytes| text.extend_from_slice(bytes)).await?;
    let collection = |reason: String| ResultsError::Collection(format!("Unable to load sign file: {reason}"));
    let sign: SignFile = serde_json::from_slice(&text).map_err(|error| collection(error.to_string()))?;
    let complete = sign.query_complete_time.parse().map_err(|error| collection(format!("{error}")))?;
    if sign.files.is_empty() {
        return Err(ResultsError::Validation("No export file was found in sign file.".to_owned()));
    }
    let mut bytes = 0;
    for SignedFile { file_hash_value, file_name } in &sign.files {
        // A sign file that was tampered with must not make us read elsewhere.
        if file_name.contains(['/', '\\']) || file_name.starts_with('.') {
            return Err(ResultsError::Validation(format!("Invalid export file name {file_name:?} in sign file")));
        }
        let mut hash = Context::new(&SHA256);
        place
            .read(file_name, |some| {
                hash.update(some);
                bytes += some.len() as u64;
            })
            .await?;
        let hash = hex::encode(hash.finish());
        if hash != *file_hash_value {
            return Err(ResultsError::Validation(format!(
                "File {file_name} has inconsistent hash value with hash value recorded in sign file, hash value in \
                 sign file is {file_hash_value} , but get {hash}"
            )));
        }
    }
    Ok(HashedResults { sign, complete, bytes })
}

impl HashedResults {
    /// The Region whose key signed.
    pub fn region(&self) -> &str {
        &self.sign.region
    }

    /// When the query was complete: its key is listed for the time from then on.
    pub fn complete(&self) -> Timestamp {
        self.complete
    }

    /// Checks the signature with the key that the sign file names.
    ///
    /// # Errors
    /// [`ResultsError::NoKey`] when `keys` has none of that fingerprint, [`ResultsError::Validation`] when the signature is
    /// not that key's.
    pub fn verify(self, keys: &PublicKeys) -> Result<VerifiedResults, ResultsError> {
        let SignFile { region, files, query_complete_time, hash_signature, public_key_fingerprint: fingerprint } =
            self.sign;
        let hashes: Vec<&str> = files.iter().map(|file| file.file_hash_value.as_str()).collect();
        let signature = hex::decode(&hash_signature).unwrap_or_default();
        match keys.verify_listed(&fingerprint, hashes.join(" ").as_bytes(), &signature) {
            None => Err(ResultsError::NoKey { fingerprint }),
            Some(false) => Err(ResultsError::Validation("Invalid signature in sign file".to_owned())),
            Some(true) => {
                let files = files.into_iter().map(|file| file.file_name).collect();
                Ok(VerifiedResults { files, bytes: self.bytes, query_complete_time, region })
            }
        }
    }
}

impl ResultsPlace {
    /// Hands the bytes of a file on as they come.
    async fn read(&self, name: &str, mut take: impl FnMut(&[u8])) -> Result<(), ResultsError> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(name);
                let told = |error: std::io::Error| ResultsError::Collection(format!("{}: {error}", path.display()));
                let mut file = tokio::fs::File::open(&path).await.map_err(told)?;
                let mut buffer = vec![0; READ_BYTES];
                loop {
                    match file.read(&mut buffer).await.map_err(told)? {
                        0 => return Ok(()),
                        read => take(&buffer[..read]),
                    }
                }
            }
            Self::Bucket { store, prefix } => {
                let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
                let told = |error: object_store::Error| ResultsError::Collection(format!("{key}: {error}"));
                let result = store.get(&object_store::path::Path::from(key.as_str())).await.map_err(told)?;
                let mut stream = result.into_stream();
                while let Some(bytes) = stream.try_next().await.map_err(told)? {
                    take(&bytes);
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
    use serde_json::{Value, json};

    use super::*;

    struct World {
        dir: tempfile::TempDir,
        pair: RsaKeyPair,
        sign: Value,
    }

    fn hash(bytes: &[u8]) -> String {
        hex::encode(aws_lc_rs::digest::digest(&SHA256, bytes))
    }

    impl World {
        /// Two files, as one query may have, signed as the user guide says.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let files: Vec<Value> = [("result_1.csv.gz", "one"), ("result_2.csv.gz", "two")]
                .into_iter()
                .map(|(name, text)| {
                    std::fs::write(dir.path().join(name), text).unwrap();
                    json!({ "fileHashValue": hash(text.as_bytes()), "fileName": name })
                })
                .collect();
            let text = format!("{} {}", hash(b"one"), hash(b"two"));
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
            let sign = json!({
                "version": "1.0", "region": "us-east-1", "files": files, "hashAlgorithm": "SHA-256",
                "signatureAlgorithm": "SHA256withRSA", "queryCompleteTime": "2022-05-10T22:06:30Z",
                "hashSignature": hex::encode(signature), "publicKeyFingerprint": "67b9fa73676d86966b449dd677850753",
            });
            Self { dir, pair, sign }
        }

        /// The keys as ListPublicKeys lists them, whatever the fingerprint is made of.
        fn keys(&self) -> PublicKeys {
            use base64::Engine;
            let value = base64::engine::general_purpose::STANDARD.encode(self.pair.public_key().as_ref());
            let fingerprint = "67b9fa73676d86966b449dd677850753";
            let listed = json!({ "PublicKeyList": [{ "Value": value, "Fingerprint": fingerprint }] });
            PublicKeys::from_json(&listed.to_string()).unwrap()
        }

        async fn verdict(&self, keys: &PublicKeys) -> Result<VerifiedResults, ResultsError> {
            std::fs::write(self.dir.path().join(SIGN_FILE), self.sign.to_string()).unwrap();
            let hashed = hash_query_results(&ResultsPlace::Directory(self.dir.path().to_owned())).await?;
            assert_eq!((hashed.region(), hashed.complete().as_secs()), ("us-east-1", 1_652_220_390));
            hashed.verify(keys)
        }

        async fn refused(&self, message: &str) {
            let told = self.verdict(&self.keys()).await.unwrap_err().to_string();
            assert!(told.starts_with(message), "{told}");
        }
    }

    #[tokio::test]
    async fn what_was_signed_is_verified_in_a_directory_and_a_bucket() {
        let world = World::new();
        let verified = world.verdict(&world.keys()).await.unwrap();
        assert_eq!((verified.files.len(), verified.bytes), (2, 6));
        let store = object_store::local::LocalFileSystem::new_with_prefix(world.dir.path()).unwrap();
        let place = ResultsPlace::Bucket { store: Arc::new(store), prefix: String::new() };
        hash_query_results(&place).await.unwrap().verify(&world.keys()).unwrap();
    }

    #[tokio::test]
    async fn each_fault_has_the_words_of_the_aws_cli() {
        let mut world = World::new();
        let good = world.sign.clone();
        std::fs::write(world.dir.path().join("result_2.csv.gz"), "2wo").unwrap();
        world
            .refused(&format!(
                "ValidationError: File result_2.csv.gz has inconsistent hash value with hash value recorded in sign file, \
                 hash value in sign file is {} , but get {}",
                hash(b"two"),
                hash(b"2wo")
            ))
            .await;
        // The hash adjusted to the file: the signature is not over it.
        world.sign["files"][1]["fileHashValue"] = hash(b"2wo").into();
        world.refused("ValidationError: Invalid signature in sign file").await;
        std::fs::remove_file(world.dir.path().join("result_2.csv.gz")).unwrap();
        world.refused("InformationCollectionError: ").await;
        std::fs::write(world.dir.path().join("result_2.csv.gz"), "two").unwrap();
        world.sign = good.clone();
        world.sign["hashSignature"] = "no hex".into();
        world.refused("ValidationError: Invalid signature in sign file").await;
        world.sign = good.clone();
        world.sign["files"] = json!([]);
        world.refused("ValidationError: No export file was found in sign file.").await;
        world.sign["files"] = json!([{ "fileHashValue": "", "fileName": "../result_1.csv.gz" }]);
        world.refused("ValidationError: Invalid export file name").await;
        world.sign = json!({ "version": "1.0" });
        world.refused("InformationCollectionError: Unable to load sign file").await;
        world.sign = good;
        let nobody = world.verdict(&PublicKeys::default()).await.unwrap_err();
        assert_eq!(
            nobody.to_string(),
            "RuntimeError: No public keys found for key with fingerprint: 67b9fa73676d86966b449dd677850753"
        );
    }

    #[tokio::test]
    async fn another_keys_signature_is_none() {
        let mut world = World::new();
        world.verdict(&world.keys()).await.unwrap();
        world.pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        world.refused("ValidationError: Invalid signature in sign file").await;
    }
}
