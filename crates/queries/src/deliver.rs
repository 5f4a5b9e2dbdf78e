//! Results on their way to S3.
//!
//! The file of results is made of the rows on disk and is the same each time: after a crash it is put again over itself.
//! The sign file comes after it, so that what can be verified is whole; then the catalog knows. A bucket that refuses is
//! not asked again; one that fails otherwise is, for `delivery_patience`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload};
use opentrail_catalog::CatalogError;
use opentrail_delivery::layout::{self, QUERY_FOLDER, Root};
use opentrail_model::Timestamp;
use opentrail_runtime::{CrashPoint, OnError};
use opentrail_trails::{BucketError, Delivery as Target};
use serde::Serialize;
use tracing::{info, warn};

use crate::queries::blocking;
use crate::result_file::{ResultReader, ResultWriter};
use crate::results::Reader;
use crate::seal::Seal;
use crate::{DeliveryStatus, Queries, Query, ResultsError, csv, metrics};

/// A file may have 1 TB, and results are bounded far below: there is one.
const RESULT: &str = "result_1.csv.gz";
/// How it is called here where it is sealed.
const SEALED_RESULT: &str = "result_1.csv.gz.sealed";
const SIGN: &str = "result_sign.json";
/// What is larger goes in parts of this size.
const PART: usize = 8 << 20;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why an attempt came to nothing.
#[derive(Debug)]
enum Failure {
    /// Asking again does not help.
    Final(DeliveryStatus, String),
    /// It may.
    Passing(String),
}

/// Which of the two files an attempt was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Results,
    SignFile,
}

impl Failure {
    fn of_bucket(error: BucketError) -> Self {
        let text = error.to_string();
        match error {
            BucketError::NoSuchBucket { .. } => Self::Final(DeliveryStatus::ResourceNotFound, text),
            BucketError::AccessDenied { .. } => Self::Final(DeliveryStatus::AccessDenied, text),
            BucketError::Unavailable { .. } => Self::Passing(text),
        }
    }

    fn of_put(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let text = error.to_string();
        match error {
            E::NotFound { .. } => Self::Final(DeliveryStatus::ResourceNotFound, text),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::Final(DeliveryStatus::AccessDenied, text),
            _ => Self::Passing(text),
        }
    }

    /// What `DeliveryStatus` says of it when it is not tried again.
    fn status(&self, at: At) -> DeliveryStatus {
        match (self, at) {
            (Self::Final(DeliveryStatus::AccessDenied, _), At::SignFile) => DeliveryStatus::AccessDeniedSigningFile,
            (Self::Final(status, _), _) => *status,
            (Self::Passing(_), At::Results) => DeliveryStatus::Failed,
            (Self::Passing(_), At::SignFile) => DeliveryStatus::FailedSigningFile,
        }
    }
}

/// `result_sign.json`. (User Guide, "CloudTrail sign file structure".)
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignFile {
    version: &'static str,
    region: String,
    files: Vec<SignedFile>,
    hash_algorithm: &'static str,
    signature_algorithm: &'static str,
    query_complete_time: String,
    hash_signature: String,
    public_key_fingerprint: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedFile {
    file_hash_value: String,
    file_name: String,
}

/// A file of results, ready to be put.
#[derive(Clone, Debug)]
struct Made {
    path: PathBuf,
    /// What opens it, if it is sealed as its rows are.
    seal: Option<Seal>,
    /// Of its bytes, SHA-256 in hex.
    hash: String,
}

impl Queries {
    pub(crate) fn spawn_delivery(&self, query: Query, revision: u64) {
        let queries = self.clone();
        self.inner.tasks.spawn("query delivery", OnError::Log, async move {
            queries.deliver(query, revision).await;
            Ok::<(), CatalogError>(())
        });
    }

    /// Delivers the results of the finished query whose document is at `revision`, unless the server stops before.
    pub(crate) async fn deliver(&self, mut query: Query, revision: u64) {
        let Some(status) = self.try_for_long(&query).await else { return };
        info!(query.id = %query.key.id, status = status.as_str(), "a delivery of query results ended");
        if let Some(delivery) = &mut query.delivery {
            delivery.status = status;
        }
        loop {
            match self.put(&query, revision).await {
                // Nothing else changes a finished query but its expiry.
                Ok(()) | Err(CatalogError::Conflict { .. }) => break,
                Err(error) => warn!(query.id = %query.key.id, %error, "a delivery cannot be noted; trying again"),
            }
            tokio::select! {
                () = self.inner.clock.sleep(FIRST_PAUSE) => {}
                () = self.inner.tasks.shutdown().begun() => return,
            }
        }
        metrics::delivered(status);
    }

    async fn try_for_long(&self, query: &Query) -> Option<DeliveryStatus> {
        let shutdown = self.inner.tasks.shutdown();
        let give_up = self.inner.clock.now() + self.inner.options.delivery_patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut at = At::Results;
            let attempt = tokio::select! {
                attempt = self.attempt(query, &mut at) => attempt,
                () = shutdown.begun() => return None,
            };
            let failure = match attempt {
                Ok(()) => return Some(DeliveryStatus::Success),
                Err(failure) => failure,
            };
            let status = failure.status(at);
            let (Failure::Final(_, reason) | Failure::Passing(reason)) = &failure;
            warn!(query.id = %query.key.id, reason, "query results were not delivered");
            if matches!(failure, Failure::Final(..)) || self.inner.clock.now() + pause > give_up {
                return Some(status);
            }
            tokio::select! {
                () = self.inner.clock.sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = shutdown.begun() => return None,
            }
        }
    }

    async fn attempt(&self, query: &Query, at: &mut At) -> Result<(), Failure> {
        let passing = |error: &dyn std::fmt::Display| Failure::Passing(error.to_string());
        let (Some(delivery), Some(ended), Some(store)) = (&query.delivery, &query.ended, query.stores.first()) else {
            return Err(Failure::Final(DeliveryStatus::Failed, "nothing is to be delivered".to_owned()));
        };
        let (results, id) = (self.inner.results.clone(), query.key.id);
        let (statement, executed) = (query.statement.clone(), query.created);
        let made = async {
            let reader = self.opened(blocking(move || results.read(id)).await?).await?;
            blocking(move || make(&reader, executed, &statement)).await
        };
        let made = made.await.map_err(|error| match error {
            ResultsError::Disk { .. } | ResultsError::Key(_) => passing(&error),
            damaged => Failure::Final(DeliveryStatus::Failed, damaged.to_string()),
        })?;

        let (arn, prefix) = (store.arn(), delivery.prefix.as_deref());
        let target = Target {
            bucket: &delivery.bucket,
            prefix,
            trail: &arn,
            kms_key: None,
            account: query.key.account,
            recipient: query.key.account,
            organization: None,
            folder: QUERY_FOLDER,
        };
        let root = Root { prefix, organization: None };
        let key = |file| {
            let text = layout::query_result(root, query.key.account, query.created, &id.to_string(), file);
            Key::parse(&text).map_err(|error| Failure::Final(DeliveryStatus::Failed, error.to_string()))
        };
        let bucket = self.inner.buckets.open(target).await.map_err(Failure::of_bucket)?;
        put_file(&bucket, &key(RESULT)?, &made).await?;
        CrashPoint::QueriesPut.reach();

        *at = At::SignFile;
        // One text for all files: their hashes, a space between them.
        let signature = self.inner.signer.sign(&query.key.region, ended.at, made.hash.as_bytes()).await;
        let signature = signature.map_err(|error| passing(&error))?;
        let sign = SignFile {
            version: "1.0",
            region: query.key.region.to_string(),
            files: vec![SignedFile { file_hash_value: made.hash, file_name: RESULT.to_owned() }],
            hash_algorithm: "SHA-256",
            signature_algorithm: "SHA256withRSA",
            query_complete_time: ended.at.to_iso(),
            hash_signature: signature.hex,
            public_key_fingerprint: signature.fingerprint,
        };
        let text = serde_json::to_vec(&sign).expect("a sign file serializes to JSON");
        let options = PutOptions { attributes: content_type("application/json"), ..PutOptions::default() };
        bucket.put_opts(&key(SIGN)?, text.into(), options).await.map_err(Failure::of_put)?;
        CrashPoint::QueriesSigned.reach();
        // What is left lies there until the query expires, and harms nobody.
        if let Err(error) = tokio::fs::remove_file(&made.path).await {
            warn!(query.id = %id, %error, "a delivered file is kept until its query expires");
        }
        Ok(())
    }
}

fn content_type(value: &'static str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, value)])
}

/// Writes the file of results beside the rows.
fn make(rows: &Reader, executed: Timestamp, statement: &str) -> Result<Made, ResultsError> {
    let seal = rows.seal().cloned();
    let path = rows.dir.join(if seal.is_some() { SEALED_RESULT } else { RESULT });
    let disk = |source| ResultsError::Disk { path: path.clone(), source };
    let to = ResultWriter::create(&path, seal.as_ref()).map_err(disk)?;
    let hashed = Hashed { hash: Context::new(&SHA256), to };
    // No name and no time in the header: the same rows make the same bytes.
    let mut gzip = GzBuilder::new().write(hashed, Compression::default());
    gzip.write_all(csv::comment(executed, statement).as_bytes()).map_err(disk)?;
    gzip.write_all(csv::headings(rows.columns()).as_bytes()).map_err(disk)?;
    rows.each_block(0, |_, block| {
        for row in &block {
            gzip.write_all(csv::row(row).as_bytes()).map_err(disk)?;
        }
        Ok(true)
    })?;
    let Hashed { hash, to } = gzip.finish().map_err(disk)?;
    to.finish().map_err(disk)?;
    Ok(Made { hash: hex::encode(hash.finish()), path, seal })
}

/// Hashes what passes.
struct Hashed<W> {
    hash: Context,
    to: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The next part of a file; an empty one at its end.
async fn part(mut file: ResultReader) -> Result<(ResultReader, Bytes), Failure> {
    let read = move || Ok(file.part().map(|bytes| (file, bytes.into())));
    let read = blocking(read).await.map_err(|error| Failure::Passing(error.to_string()))?;
    read.map_err(|error| Failure::Passing(error.to_string()))
}

async fn put_file(bucket: &Arc<dyn ObjectStore>, key: &Key, made: &Made) -> Result<(), Failure> {
    let file = ResultReader::open(&made.path, made.seal.as_ref(), PART)
        .map_err(|error| Failure::Passing(error.to_string()))?;
    let (file, first) = part(file).await?;
    let attributes = content_type("application/gzip");
    if first.len() < PART {
        let options = PutOptions { attributes, ..PutOptions::default() };
        return bucket.put_opts(key, first.into(), options).await.map(drop).map_err(Failure::of_put);
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let mut upload = bucket.put_multipart_opts(key, options).await.map_err(Failure::of_put)?;
    let done = put_parts(&mut *upload, file, first).await;
    if done.is_err() {
        // Best effort: the bucket's own rules let go of what is left.
        let _ = upload.abort().await;
    }
    done
}

async fn put_parts(upload: &mut dyn MultipartUpload, mut file: ResultReader, first: Bytes) -> Result<(), Failure> {
    let mut bytes = first;
    while !bytes.is_empty() {
        upload.put_part(PutPayload::from(bytes)).await.map_err(Failure::of_put)?;
        (file, bytes) = part(file).await?;
    }
    upload.complete().await.map(drop).map_err(Failure::of_put)
}
