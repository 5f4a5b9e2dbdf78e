//! Compares what the catalog says of delivery with the journal and with what is in the buckets.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File as DiskFile;
use std::io::{self, BufReader, Read};

use aws_lc_rs::digest::{Context, SHA256, digest};
use flate2::bufread::GzDecoder;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::catalog::{Documents, FILE, Intent, Worker};
use super::expected::Change;
use super::journal::Extent;
use super::objects::Buckets;
use super::report::Notes;
use super::{FsckError, Pace, blocking};
use crate::evidence::Evidence;
use crate::report::Problem;
use crate::{Range, verify};

/// Checks positions, trails, files and digests. `changes` are the last changes of trails in the journal.
pub(super) async fn check(
    journal: Extent,
    documents: &Documents,
    changes: &HashMap<String, Change>,
    buckets: Buckets,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), FsckError> {
    if documents.readable {
        journal.check_position(documents.supervisor, document("delivery-supervisor/position"), notes);
        for (key, worker) in &documents.workers {
            check_worker(journal, key, worker, notes);
        }
        check_trails(journal, documents, changes, notes);
        check_documents(documents, notes);
        let files = delivered(documents);
        notes.checked("files that the catalog names", files.len() as u64);
        let (found, buckets) = blocking({
            let pace = pace.clone();
            move || {
                let mut found = Vec::new();
                for file in &files {
                    if let Some(finding) = check_file(file, &buckets, &pace)? {
                        found.push(finding);
                    }
                }
                Ok((found, buckets))
            }
        })
        .await?;
        for Verdict { path, problem, is_damage } in found {
            if is_damage { notes.damage(path, problem) } else { notes.remark(path, problem) }
        }
        check_digests(documents, buckets, notes, pace).await?;
    } else {
        notes.remark(FILE, "deliveries were not checked, since the catalog cannot be read");
    }
    Ok(())
}

fn document(name: impl fmt::Display) -> String {
    format!("{FILE}:{name}")
}

fn check_worker(journal: Extent, key: &str, worker: &Worker, notes: &mut Notes) {
    let name = format!("delivery-workers/{key}");
    journal.check_position(worker.cursor, document(&name), notes);
    let cut = worker.cut.as_ref();
    let further = worker.ahead.iter().map(|(_, position)| *position).chain(cut.map(|cut| cut.cursor));
    let files = cut.map_or(&[][..], |cut| &cut.files);
    if further.chain(files.iter().map(|file| file.last)).any(|position| position > journal.last) {
        notes.damage(
            document(&name),
            format_args!("it delivered positions past the journal's end at {}: the journal lost entries", journal.last),
        );
    }
    if let Some(aggregated) = &worker.aggregated {
        journal.check_position(aggregated.from, document(format_args!("{name} (aggregated)")), notes);
    }
    // One event may be summed up in several records.
    let sums = cut.is_some_and(|cut| cut.round.is_some());
    let too_many = |file: &Intent| !sums && file.count > file.last - file.first + 1;
    for file in files.iter().filter(|file| file.first > file.last || too_many(file)) {
        notes.damage(
            document(&name),
            format_args!(
                "{} cannot hold {} records of positions {} to {}",
                file.key, file.count, file.first, file.last
            ),
        );
    }
}

fn check_trails(journal: Extent, documents: &Documents, changes: &HashMap<String, Change>, notes: &mut Notes) {
    for (key, trail) in &documents.trails {
        notes.checked("trails", 1);
        let name = document(format_args!("trails/{key}"));
        if let Some(Change { position, version: Some(version) }) = changes.get(key)
            && *version > trail.version
        {
            notes.damage(
                &name,
                format_args!("it has version {}, but the journal has version {version} at position {position}: the catalog lost changes", trail.version),
            );
        }
        match documents.workers.get(key) {
            None => notes.remark(&name, "the trail has no delivery yet; the next start begins it"),
            Some(worker) => {
                if let Some(known) = worker.trail.as_ref().filter(|known| known.version > trail.version) {
                    notes.damage(
                        &name,
                        format_args!(
                            "it has version {}, and its delivery obeys version {}: the catalog lost changes",
                            trail.version, known.version
                        ),
                    );
                }
            }
        }
    }
    for (key, worker) in &documents.workers {
        if worker.deleted.is_none() && worker.cursor >= journal.last && !documents.trails.contains_key(key) {
            notes.remark(document(format_args!("delivery-workers/{key}")), "its trail is gone; the next start ends it");
        }
    }
}

/// What documents of delivery say of one another.
fn check_documents(documents: &Documents, notes: &mut Notes) {
    for (key, pending) in &documents.digests {
        let name = document(format_args!("delivery-digests/{key}"));
        if hex::encode(digest(&SHA256, pending.body.as_bytes())) != pending.sha256 {
            notes.damage(&name, "the digest that is on its way is not the one that was signed");
        }
        for file in pending.files.iter().filter(|file| !documents.files.contains_key(*file)) {
            notes.damage(&name, format_args!("the log file {file} that it lists is not among the delivered ones"));
        }
    }
}

/// An object that must be in a bucket, or may be.
#[derive(Debug)]
struct Delivered {
    /// Where the catalog says so.
    source: String,
    bucket: String,
    key: String,
    sha256: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    LogFile,
    /// A log file whose put may not have happened yet.
    Intent {
        count: u64,
    },
    Digest {
        signature: String,
    },
    /// A digest whose put may not have happened yet.
    DigestIntent,
}

/// Every object that the catalog tells of.
fn delivered(documents: &Documents) -> Vec<Delivered> {
    let mut all = Vec::new();
    let mut add = |source: String, bucket: &str, key: &str, sha256: &str, kind| {
        let (bucket, key, sha256) = (bucket.to_owned(), key.to_owned(), sha256.to_owned());
        all.push(Delivered { source: document(source), bucket, key, sha256, kind });
    };
    for (key, file) in &documents.files {
        add(format!("delivery-files/{key}"), &file.bucket, &file.key, &file.sha256, Kind::LogFile);
    }
    for (key, worker) in &documents.workers {
        let source = format!("delivery-workers/{key}");
        for Intent { bucket, key, sha256, count, .. } in worker.cut.iter().flat_map(|cut| &cut.files) {
            add(source.clone(), bucket, key, sha256, Kind::Intent { count: *count });
        }
    }
    let earlier = documents
        .workers
        .iter()
        .flat_map(|(key, worker)| worker.chains.values().map(move |chain| (format!("delivery-workers/{key}"), chain)));
    let chains = documents.chains.iter().map(|(key, chain)| (format!("delivery-chains/{key}"), chain));
    for (source, chain) in earlier.chain(chains) {
        if let Some(link) = &chain.previous {
            let kind = Kind::Digest { signature: link.signature.clone() };
            add(source, &link.bucket, &link.key, &link.sha256, kind);
        }
    }
    for (key, pending) in &documents.digests {
        let source = format!("delivery-digests/{key}");
        add(source, &pending.bucket, &pending.key, &pending.sha256, Kind::DigestIntent);
    }
    all
}

struct Verdict {
    path: String,
    problem: String,
    is_damage: bool,
}

fn check_file(file: &Delivered, buckets: &Buckets, pace: &Pace) -> Result<Option<Verdict>, super::Cancelled> {
    let finding = |path: String, problem: String, is_damage| Ok(Some(Verdict { path, problem, is_damage }));
    let Some(bucket) = buckets.get(&file.bucket) else {
        let problem =
            format!("{} is in the bucket {}, which is not in the embedded store: not checked", file.key, file.bucket);
        return finding(file.source.clone(), problem, false);
    };
    let name = format!("objects/{}/{}", file.bucket, file.key);
    let Some(path) = bucket.paths.get(&file.key) else {
        return match file.kind {
            Kind::Intent { .. } | Kind::DigestIntent => Ok(None),
            Kind::LogFile => finding(name, format!("a delivered log file is missing ({})", file.source), true),
            Kind::Digest { .. } => {
                finding(name, format!("the last digest of a chain is missing ({})", file.source), true)
            }
        };
    };
    if bucket.sealed.contains_key(&file.key) {
        return Ok(None);
    }
    let count = matches!(file.kind, Kind::LogFile | Kind::Intent { .. });
    let content = match bucket.seals.get(&file.key) {
        None => DiskFile::open(path).map_err(|error| error.to_string()).and_then(|file| read(file, count)),
        Some(key) => {
            let stored = std::fs::read(path).map_err(|error| error.to_string());
            stored.and_then(|stored| key.open(&stored)).and_then(|bytes| read(&bytes[..], count))
        }
    };
    let content = match content {
        Ok(content) => content,
        Err(error) => return finding(name, format!("it is not what was delivered: {error}"), true),
    };
    pace.advance(content.bytes)?;
    if content.sha256 != file.sha256 {
        return finding(
            name,
            format!("its content is not what was delivered: the hash differs from that in {}", file.source),
            true,
        );
    }
    match &file.kind {
        Kind::Intent { count } if Some(*count) != content.records => {
            let found = content.records.unwrap_or_default();
            finding(name, format!("it holds {found} records where {count} were to be delivered"), true)
        }
        Kind::Digest { signature } if bucket.signatures.get(&file.key).is_some_and(|stored| stored != signature) => {
            finding(name, format!("the signature in its metadata is not the one in {}", file.source), true)
        }
        _ => Ok(None),
    }
}

/// What a gzip file holds.
struct Content {
    sha256: String,
    /// Uncompressed.
    bytes: u64,
    records: Option<u64>,
}

/// Reads a file as it streams by; `count` tells to take it for a log file.
fn read(file: impl Read, count: bool) -> Result<Content, String> {
    let decoder = GzDecoder::new(BufReader::new(file));
    let mut hashing = Hashing { inner: decoder, context: Context::new(&SHA256), bytes: 0 };
    let records = if count {
        let mut json = serde_json::Deserializer::from_reader(BufReader::new(&mut hashing));
        let log = LogFile::deserialize(&mut json).and_then(|log| json.end().map(|()| log));
        Some(log.map_err(|error| format!("it is no log file: {error}"))?.records.0)
    } else {
        None
    };
    io::copy(&mut hashing, &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(Content { sha256: hex::encode(hashing.context.finish()), bytes: hashing.bytes, records })
}

struct Hashing<R> {
    inner: R,
    context: Context,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.context.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogFile {
    records: Count,
}

/// Counts a list and keeps nothing of it.
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// Verifies the digest chains of every bucket with the public keys of the catalog.
async fn check_digests(
    documents: &Documents,
    buckets: Buckets,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), FsckError> {
    // Delivered, but in no digest yet: not unlisted.
    let files = documents.files.values().map(|file| (&file.bucket, &file.key));
    let intents = documents.workers.values().filter_map(|worker| worker.cut.as_ref()).flat_map(|cut| &cut.files);
    let waiting: BTreeSet<_> = files.chain(intents.map(|intent| (&intent.bucket, &intent.key))).collect();
    for (name, bucket) in buckets {
        let trails = || documents.trails.values().filter(|trail| trail.bucket == name);
        // Whoever puts other files into the bucket can also put foreign digests there.
        let own = trails().next().is_some();
        let only_digested = own && trails().all(|trail| trail.log_file_validation);
        if !bucket.sealed.is_empty() {
            notes.remark(
                format_args!("objects/{name}"),
                format_args!(
                    "{} of its log files and digests are sealed with KMS keys that are not here, so that its digests are \
                     not verified; \
                     `opentrail verify` does it, for somebody with kms:Decrypt, from the running server",
                    bucket.sealed.len()
                ),
            );
            continue;
        }
        let evidence = Evidence::Files { paths: bucket.paths, signatures: bucket.signatures, seals: bucket.seals };
        let progress = |_| (pace.progress)(0);
        let verified = verify(&evidence, &documents.public_keys, Range::default(), &progress).await;
        let report = match verified {
            Ok(report) => report,
            Err(error) => {
                notes.damage(format_args!("objects/{name}"), format_args!("its digests cannot be verified: {error}"));
                continue;
            }
        };
        notes.checked("digest chains", report.chains.len() as u64);
        notes.checked("digests", report.chains.iter().map(|chain| chain.digests as u64).sum());
        notes.checked("log files in digests", report.chains.iter().map(|chain| chain.log_files as u64).sum());
        for finding in report.findings {
            let path = format!("objects/{name}/{}", finding.name);
            let problem = format!("{}: {}", finding.kind, finding.problem);
            match finding.problem {
                Problem::Unlisted if waiting.contains(&(&name, &finding.name)) => {}
                Problem::Unlisted if !only_digested => notes.remark(path, problem),
                Problem::PublicKeyNotFound { .. } if !own => notes.remark(path, problem),
                found if found.is_damage() => notes.damage(path, problem),
                _ => notes.remark(path, problem),
            }
        }
    }
    Ok(())
}
