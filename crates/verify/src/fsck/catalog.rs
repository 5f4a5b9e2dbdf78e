//! Reads the catalog: one SQLite file with a table `document (kind, key, revision, body)`, bodies in JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use opentrail_model::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sqlx::{Connection, Row};

use super::FsckError;
use super::expected::TrailKey;
use super::report::Notes;
use super::sqlite;
use crate::keys::PublicKeys;

/// The file's name, and how findings begin that are about its documents.
pub(super) const FILE: &str = "catalog.sqlite";

/// Kinds of documents that nothing else on the disk follows from: they must be JSON.
const PLAIN: [&str; 30] = [
    "channels",
    "dashboard-refreshes",
    "dashboards",
    "delivery-log-groups",
    "delivery-notifications",
    "events-api-destinations",
    "events-buses",
    "events-connections",
    "events-rules",
    "follow-folders",
    "follow-sources",
    "follow-totals",
    "generated-queries",
    "iam-accounts",
    "iam-aliases",
    "iam-groups",
    "iam-key-uses",
    "iam-policies",
    "iam-roles",
    "iam-users",
    "organization-account-requests",
    "organization-handshakes",
    "organizations",
    "queries",
    "sns-held-subscriptions",
    "sns-signing-keys",
    "sns-subscriptions",
    "sns-topics",
    "trail-log-group-status",
    "trail-notification-status",
];

/// What the documents say, by their keys.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Whether the file could be read: otherwise the rest is empty for that reason.
    pub(super) readable: bool,
    pub(super) trails: BTreeMap<String, Trail>,
    pub(super) workers: BTreeMap<String, Worker>,
    pub(super) chains: BTreeMap<String, Chain>,
    pub(super) files: BTreeMap<String, File>,
    pub(super) digests: BTreeMap<String, Digest>,
    /// How far changes of trails were seen by delivery.
    pub(super) supervisor: u64,
    pub(super) public_keys: PublicKeys,
    /// The sealed material of each KMS key.
    pub(super) kms_keys: BTreeMap<String, Vec<Vec<u8>>>,
    pub(super) stores: BTreeMap<String, Store>,
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) imports: BTreeMap<String, Import>,
    /// Through which position the journal's marks of followed log files are documents.
    pub(super) followed: Option<u64>,
}

/// `follow-files`: a followed log file of which records were taken.
#[derive(Debug, Deserialize)]
struct FollowedFile {
    #[serde(rename = "records")]
    _records: u64,
    #[serde(rename = "done")]
    _done: bool,
}

/// `follow-failures`: a followed log file that cannot be read.
#[derive(Debug, Deserialize)]
struct FollowFailure {
    #[serde(rename = "attempts")]
    _attempts: u32,
}

/// `imports`: how far an import into a store is.
#[derive(Debug, Deserialize)]
pub(super) struct Import {
    key: ImportKey,
    pub(super) destination: StoreKey,
    pub(super) progress: ImportProgress,
    pub(super) intent: Option<ImportIntent>,
}

/// What names an import.
#[derive(Debug, Deserialize)]
struct ImportKey {
    account: String,
    region: String,
    id: String,
}

/// How far an import is.
#[derive(Debug, Deserialize)]
pub(super) struct ImportProgress {
    /// The last of its chunks in the store's table.
    pub(super) chunk: u64,
}

/// What an import is about to have done.
#[derive(Debug, Deserialize)]
pub(super) struct ImportIntent {
    pub(super) progress: ImportProgress,
}

/// `import-failures`: an entry of an import that failed, now or before.
#[derive(Debug, Deserialize)]
struct ImportFailure {
    location: String,
}

/// `event-data-stores`: a store's settings.
#[derive(Debug, Deserialize)]
pub(super) struct Store {
    key: StoreKey,
    #[serde(rename = "version")]
    _version: u64,
    #[serde(rename = "retention_days")]
    _retention_days: u32,
    /// Whether it may hold events of other accounts of an organization.
    #[serde(default)]
    pub(super) shared_once: bool,
}

/// What names a store.
#[derive(Debug, Deserialize)]
pub(super) struct StoreKey {
    account: String,
    home_region: String,
    id: String,
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.home_region, self.id)
    }
}

/// `resource-policies`: a resource's own policy.
#[derive(Debug, Deserialize)]
struct ResourcePolicy {
    text: String,
}

/// `store-tables`: where a store's table begins.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub(super) begin: u64,
    #[serde(default)]
    pub(super) dropped: bool,
}

/// `trails`: a trail's settings.
#[derive(Debug, Deserialize)]
pub(super) struct Trail {
    pub(super) key: TrailKey,
    pub(super) version: u64,
    pub(super) bucket: String,
    pub(super) log_file_validation: bool,
}

/// `delivery-workers`: how far a trail's delivery has come.
#[derive(Debug, Deserialize)]
pub(super) struct Worker {
    pub(super) cursor: u64,
    pub(super) trail: Option<Trail>,
    pub(super) deleted: Option<IgnoredAny>,
    pub(super) ahead: Vec<(IgnoredAny, u64)>,
    pub(super) cut: Option<Cut>,
    #[serde(default)]
    pub(super) aggregated: Option<Aggregated>,
    /// Chains that an earlier release stored here.
    #[serde(default)]
    pub(super) chains: BTreeMap<String, Chain>,
}

/// How far data events are summed up.
#[derive(Debug, Deserialize)]
pub(super) struct Aggregated {
    /// Everything up to here is; some behind may not be.
    pub(super) from: u64,
}

/// Log files that are fixed and on their way.
#[derive(Debug, Deserialize)]
pub(super) struct Cut {
    pub(super) files: Vec<Intent>,
    pub(super) cursor: u64,
    /// Present when the files are of aggregated events.
    #[serde(default)]
    pub(super) round: Option<IgnoredAny>,
}

/// A log file on its way.
#[derive(Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) sha256: String,
    pub(super) count: u64,
}

/// `delivery-chains`: where a digest chain stands.
#[derive(Debug, Deserialize)]
pub(super) struct Chain {
    pub(super) previous: Option<Link>,
}

/// A chain's last digest.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) sha256: String,
    pub(super) signature: String,
}

/// `delivery-files`: a delivered log file that no digest lists yet.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) sha256: String,
}

/// `delivery-digests`: a digest whose bytes are fixed.
#[derive(Debug, Deserialize)]
pub(super) struct Digest {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) body: String,
    pub(super) sha256: String,
    pub(super) files: Vec<String>,
}

/// `digest-keys`: a key that signs digests.
#[derive(Debug, Deserialize)]
struct DigestKey {
    public: String,
    private: String,
    fingerprint: String,
}

/// `root-keys`: the access key of an account's root.
#[derive(Debug, Deserialize)]
struct RootKey {
    #[serde(rename = "access_key_id")]
    _access_key_id: String,
    sealed_secret: String,
}

/// Checks the file and every document.
///
/// # Errors
/// When a temporary copy cannot be made.
pub(super) async fn check(root: &Path, notes: &mut Notes) -> Result<Documents, FsckError> {
    if !root.join(FILE).exists() {
        notes.damage(FILE, "the catalog is missing: trails, digest keys and the state of delivery are lost");
        return Ok(Documents::default());
    }
    let mut documents = Documents::default();
    if let Some(file) = sqlite::open(root, FILE, notes).await? {
        match read(file, &mut documents, notes).await {
            Ok(()) => documents.readable = true,
            Err(error) => sqlite::unreadable(FILE, &error, notes),
        }
    }
    Ok(documents)
}

async fn read(file: sqlite::File, documents: &mut Documents, notes: &mut Notes) -> Result<(), sqlx::Error> {
    let mut connection = file.connection;
    let rows = sqlx::query("SELECT kind, key, revision, body FROM document ORDER BY kind, key");
    for row in rows.fetch_all(&mut connection).await? {
        let (kind, key): (String, String) = (row.try_get("kind")?, row.try_get("key")?);
        let (revision, body): (i64, Vec<u8>) = (row.try_get("revision")?, row.try_get("body")?);
        notes.checked("documents", 1);
        let name = format!("{FILE}:{kind}/{key}");
        if revision < 1 {
            notes.damage(&name, format_args!("its revision is {revision}, which no commit gives"));
        }
        if let Err(problem) = documents.take(&kind, key, &body, &name, notes) {
            notes.damage(&name, problem);
        }
    }
    connection.close().await
}

#[derive(Deserialize)]
struct KmsKey {
    id: String,
    account: String,
    region: String,
    materials: Vec<KmsMaterial>,
}

#[derive(Deserialize)]
struct KmsMaterial {
    sealed: String,
}

#[derive(Deserialize)]
struct KmsAlias {
    name: String,
    target: String,
}

impl Documents {
    fn take(&mut self, kind: &str, key: String, body: &[u8], name: &str, notes: &mut Notes) -> Result<(), String> {
        match kind {
            "trails" => {
                let trail: Trail = parse(body)?;
                if trail.key.to_string() != key {
                    return Err(format!("it is the document of the trail {}", trail.key));
                }
                self.trails.insert(key, trail);
            }
            "trail-status" => drop(parse::<BTreeMap<String, IgnoredAny>>(body)?),
            "root-keys" => {
                let root: RootKey = parse(body)?;
                hex::decode(root.sealed_secret).map_err(|_| "the sealed secret is not hexadecimal")?;
            }
            "delivery-workers" => drop(self.workers.insert(key, parse(body)?)),
            "delivery-chains" => drop(self.chains.insert(key, parse(body)?)),
            "delivery-files" => drop(self.files.insert(key, parse(body)?)),
            "delivery-digests" => drop(self.digests.insert(key, parse(body)?)),
            "delivery-supervisor" => self.supervisor = parse(body)?,
            "digest-keys" => {
                let stored: DigestKey = parse(body)?;
                let der = hex::decode(stored.public).map_err(|_| "the public key is not hexadecimal")?;
                hex::decode(stored.private).map_err(|_| "the sealed private key is not hexadecimal")?;
                let mut key = PublicKeys::default();
                key.add(der);
                if !key.knows(&stored.fingerprint) {
                    return Err(format!("its fingerprint {} is not that of its public key", stored.fingerprint));
                }
                self.public_keys.extend(key);
            }
            "kms-keys" => {
                let KmsKey { id, account, region, materials } = parse(body)?;
                if format!("{account}/{region}/{id}") != key {
                    return Err(format!("it is the document of the key {account}/{region}/{id}"));
                }
                let materials: Result<Vec<_>, _> =
                    materials.iter().map(|material| hex::decode(&material.sealed)).collect();
                let Some(materials) = materials.ok().filter(|materials| !materials.is_empty()) else {
                    return Err("it has no material, or some that is not hexadecimal".to_owned());
                };
                self.kms_keys.insert(key, materials);
            }
            "kms-aliases" => {
                let KmsAlias { name, target } = parse(body)?;
                let place = key.strip_suffix(&name).unwrap_or_default();
                if place.matches('/').count() != 2 || target.is_empty() {
                    return Err(format!("it is the document of the alias {name}"));
                }
            }
            "event-data-stores" => {
                let store: Store = parse(body)?;
                if store.key.to_string() != key {
                    return Err(format!("it is the document of the store {}", store.key));
                }
                self.stores.insert(key, store);
            }
            "store-tables" => drop(self.tables.insert(key, parse(body)?)),
            "resource-policies" => {
                let ResourcePolicy { text } = parse(body)?;
                let IgnoredAny = parse(text.as_bytes())?;
            }
            "imports" => {
                let import: Import = parse(body)?;
                let ImportKey { account, region, id } = &import.key;
                if format!("{account}/{region}/{id}") != key {
                    return Err(format!("it is the document of the import {account}/{region}/{id}"));
                }
                self.imports.insert(key, import);
            }
            "import-failures" => {
                let ImportFailure { location } = parse(body)?;
                if !key.ends_with(&format!("/{location}")) {
                    return Err(format!("it is the document of the entry {location}"));
                }
            }
            "store-supervisor" => drop(parse::<u64>(body)?),
            "follow-fold" => self.followed = Some(parse(body)?),
            "follow-files" => {
                let FollowedFile { .. } = parse(body)?;
            }
            "follow-failures" => {
                let FollowFailure { .. } = parse(body)?;
            }
            plain if PLAIN.contains(&plain) => {
                let IgnoredAny = parse(body)?;
            }
            "imported-files" => drop(parse::<Timestamp>(body)?),
            _ => {
                let IgnoredAny = parse(body)?;
                notes.remark(name, "a document of a kind that this release does not know");
            }
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the document cannot be understood: {error}"))
}
