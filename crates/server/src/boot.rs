//! The data directory: whose it is, and the account made at the first start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use opentrail_catalog::{Catalog, CatalogExt, Change, Expect};
use opentrail_identity::Secret;
use opentrail_keys::KeyRing;
use opentrail_model::AccountId;
use opentrail_runtime::{CrashPoint, Random};
use serde::{Deserialize, Serialize};

const ROOT_KEYS: &str = "root-keys";
const SEALED_FOR: &str = "root-key";

/// The directory, held by this process alone until dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl DataDir {
    /// Makes the directory when absent (the owner's alone) and takes it.
    ///
    /// # Errors
    /// When another server has it, by that server's process id.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let lock_path = path.join("LOCK");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .with_context(|| format!("cannot open {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            // A server holds it alone, and only `fsck` shares it. What the file says is of a server then, long gone.
            Err(TryLockError::WouldBlock) if lock.try_lock_shared().is_ok() => {
                bail!(
                    "the data directory {} is being checked by opentrail fsck; wait until that has ended, or choose \
                     another --data-dir",
                    path.display()
                );
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder).unwrap_or_default();
                let holder = holder.trim();
                bail!(
                    "the data directory {} is in use by another opentrail server (process {holder}); \
                     stop that one, or choose another --data-dir",
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", lock_path.display()));
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// A path inside the directory.
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// The access key of an account's root, as the catalog keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct RootKeyDocument {
    access_key_id: String,
    /// Sealed with the key ring, in hexadecimal.
    sealed_secret: String,
}

/// The root access key of the account made at the first start.
#[derive(Debug)]
pub(crate) struct RootKey {
    pub(crate) account: AccountId,
    pub(crate) access_key_id: String,
    pub(crate) secret: Secret,
}

/// The accounts that have a root key: those of earlier starts, or `account` with a new key at the first.
pub(crate) async fn root_keys(
    catalog: &Arc<dyn Catalog>,
    keys: &KeyRing,
    random: &dyn Random,
    account: AccountId,
) -> anyhow::Result<Vec<RootKey>> {
    let mut stored = catalog.all::<RootKeyDocument>(ROOT_KEYS, "").await?;
    if stored.is_empty() {
        let document = RootKeyDocument {
            access_key_id: format!("AKIA{}", random.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            sealed_secret: hex::encode(keys.seal(
                SEALED_FOR,
                random.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 40).as_bytes(),
            )),
        };
        catalog.commit(vec![Change::put(ROOT_KEYS, account.to_string(), Expect::Absent, &document)]).await?;
        CrashPoint::ServerRootKey.reach();
        stored = catalog.all(ROOT_KEYS, "").await?;
    }
    let mut out = Vec::new();
    for document in stored {
        let account = document.key.parse()?;
        let sealed = hex::decode(&document.value.sealed_secret)?;
        let secret = keys
            .unseal(SEALED_FOR, &sealed)
            .with_context(|| format!("the root key of account {account} does not open with the key ring in keys/"))?;
        let secret = Secret::new(String::from_utf8(secret.to_vec())?);
        out.push(RootKey { account, access_key_id: document.value.access_key_id, secret });
    }
    Ok(out)
}

/// Writes the keys in the AWS shared-credentials format, mode 0600: the first as profile `default`, further ones as
/// profiles named by account. A file that is already there is left alone when it says the same.
pub(crate) fn write_credentials(path: &Path, keys: &[RootKey]) -> io::Result<()> {
    let mut text = String::new();
    for (index, key) in keys.iter().enumerate() {
        let profile = if index == 0 { "default".to_owned() } else { key.account.to_string() };
        text.push_str(&format!(
            "[{profile}]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = us-east-1\n",
            key.access_key_id,
            key.secret.expose()
        ));
    }
    if fs::read_to_string(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    CrashPoint::ServerCredentialsStaged.reach();
    fs::rename(temporary, path)?;
    CrashPoint::ServerCredentials.reach();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_catalog::MemoryCatalog;
    use opentrail_runtime::SystemRandom;

    #[test]
    fn a_second_server_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let _first = DataDir::take(dir.path()).unwrap();
        let second = DataDir::take(dir.path()).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
    }

    #[test]
    fn a_check_that_holds_the_directory_is_named_and_no_process_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("LOCK"), "4242\n").unwrap();
        let check = File::open(dir.path().join("LOCK")).unwrap();
        check.try_lock_shared().unwrap();
        for _ in 0..2 {
            let refused = DataDir::take(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("opentrail fsck") && !refused.contains("4242"), "{refused}");
        }
        check.unlock().unwrap();
        DataDir::take(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn the_first_start_makes_the_account_and_later_ones_keep_it() {
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
        let keys = KeyRing::ephemeral(Arc::new(SystemRandom));
        let start = async |account: &str| {
            let keys = root_keys(&catalog, &keys, &SystemRandom, account.parse().unwrap()).await.unwrap();
            (keys.len(), keys[0].account.to_string(), keys[0].secret.expose().to_owned())
        };
        let first = start("100000000001").await;
        assert_eq!(first.1, "100000000001");
        assert_eq!(start("100000000002").await, first);
    }
}
