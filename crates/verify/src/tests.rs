//! Each verdict, on a small bucket written here from the documentation alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use flate2::Compression;
use flate2::write::GzEncoder;
use opentrail_model::Timestamp;
use serde_json::{Value, json};

use crate::{Evidence, Finding, Problem, PublicKeys, Range, Report, verify};

const HOUR: Duration = Duration::from_secs(3600);

struct Bucket {
    dir: tempfile::TempDir,
    key: KeyPair,
    keys: PublicKeys,
    signatures: BTreeMap<String, String>,
    digests: Vec<String>,
    logs: Vec<String>,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

impl Bucket {
    /// `hours` digests from midnight of 2026-01-02, each with one log file.
    fn new(hours: usize) -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut keys = PublicKeys::default();
        keys.add(key.public_key().as_ref().to_vec());
        let dir = tempfile::tempdir().unwrap();
        let mut bucket = Self { dir, key, keys, signatures: BTreeMap::new(), digests: vec![], logs: vec![] };
        let midnight: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let mut previous: Option<(String, String, String)> = None;
        for hour in 0..hours {
            let start = midnight + HOUR * u32::try_from(hour).unwrap();
            previous = Some(bucket.add_hour(start, previous));
        }
        bucket
    }

    fn add_hour(&mut self, start: Timestamp, previous: Option<(String, String, String)>) -> (String, String, String) {
        let end = start + HOUR;
        let minute = start + Duration::from_secs(300);
        let log = format!(
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/111122223333_CloudTrail_us-east-1_{}_{:016}.json.gz",
            minute.format("%Y%m%dT%H%MZ"),
            self.logs.len()
        );
        let records = format!(r#"{{"Records":[{{"eventTime":"{minute}"}}]}}"#);
        put(self.dir.path(), &log, &gzip(records.as_bytes()));
        let name = format!(
            "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/02/\
             111122223333_CloudTrail-Digest_us-east-1_my_trail_eu-west-1_{}.json.gz",
            end.format("%Y%m%dT%H%M%SZ")
        );
        let (previous_name, previous_hash, previous_signature) = match previous {
            Some((name, hash, signature)) => (json!(name), json!(hash), Value::from(signature)),
            None => (Value::Null, Value::Null, Value::Null),
        };
        let json = json!({
            "awsAccountId": "111122223333",
            "digestStartTime": start.to_iso(), "digestEndTime": end.to_iso(),
            "digestS3Bucket": "logs", "digestS3Object": name,
            "digestPublicKeyFingerprint": self.fingerprint(), "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": minute.to_iso(), "oldestEventTime": minute.to_iso(),
            "previousDigestS3Bucket": "logs", "previousDigestS3Object": previous_name,
            "previousDigestHashValue": previous_hash, "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": previous_signature,
            "logFiles": [{"s3Bucket": "logs", "s3Object": log, "hashValue": sha256(records.as_bytes()),
                "hashAlgorithm": "SHA-256", "newestEventTime": minute.to_iso(), "oldestEventTime": minute.to_iso()}],
        })
        .to_string();
        let text = format!(
            "{}\nlogs/{name}\n{}\n{}",
            end.to_iso(),
            sha256(json.as_bytes()),
            previous_signature.as_str().unwrap_or("null")
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        let signature = hex::encode(signature);
        put(self.dir.path(), &name, &gzip(json.as_bytes()));
        self.signatures.insert(name.clone(), signature.clone());
        self.digests.push(name.clone());
        self.logs.push(log);
        (name, sha256(json.as_bytes()), signature)
    }

    fn fingerprint(&self) -> String {
        use md5::Digest as _;
        hex::encode(md5::Md5::digest(self.key.public_key().as_ref()))
    }

    async fn verify_in(&self, range: Range) -> Report {
        let evidence = Evidence::Directory { root: self.dir.path().to_owned(), signatures: self.signatures.clone() };
        verify(&evidence, &self.keys, range, &|_| ()).await.unwrap()
    }

    async fn findings(&self) -> Vec<(String, Problem)> {
        let report = self.verify_in(Range::default()).await;
        report.findings.into_iter().map(|Finding { name, problem, .. }| (name, problem)).collect()
    }

    fn rewrite(&self, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = self.dir.path().join(name);
        std::fs::write(&path, change(std::fs::read(&path).unwrap())).unwrap();
    }
}

#[tokio::test]
async fn an_untouched_bucket_is_sound() {
    let bucket = Bucket::new(5);
    let report = bucket.verify_in(Range::default()).await;
    assert_eq!(report.findings, []);
    let chain = &report.chains[0];
    assert_eq!((chain.trail.as_str(), chain.home_region.as_str()), ("my_trail", "eu-west-1"));
    assert_eq!((chain.digests, chain.valid_digests, chain.starting_digests), (5, 5, 1));
    assert_eq!((chain.log_files, chain.valid_log_files), (5, 5));
}

#[tokio::test]
async fn a_changed_log_file_is_named() {
    let bucket = Bucket::new(3);
    bucket.rewrite(&bucket.logs[1], |_| gzip(br#"{"Records":[]}"#));
    assert_eq!(bucket.findings().await, [(bucket.logs[1].clone(), Problem::HashMismatch)]);
}

#[tokio::test]
async fn a_broken_or_extended_gzip_stream_is_named() {
    let bucket = Bucket::new(2);
    bucket.rewrite(&bucket.logs[0], |bytes| bytes[..bytes.len() - 9].to_vec());
    bucket.rewrite(&bucket.logs[1], |bytes| [bytes.clone(), bytes].concat());
    let findings = bucket.findings().await;
    assert!(matches!(findings[0].1, Problem::InvalidFormat { .. }), "{findings:?}");
    assert_eq!(findings[1].1, Problem::TrailingData);
}

#[tokio::test]
async fn a_deleted_log_file_is_named() {
    let bucket = Bucket::new(3);
    std::fs::remove_file(bucket.dir.path().join(&bucket.logs[2])).unwrap();
    assert_eq!(bucket.findings().await, [(bucket.logs[2].clone(), Problem::NotFound)]);
}

#[tokio::test]
async fn a_deleted_digest_breaks_the_chain_by_name() {
    let bucket = Bucket::new(4);
    std::fs::remove_file(bucket.dir.path().join(&bucket.digests[1])).unwrap();
    let findings = bucket.findings().await;
    assert_eq!(findings, [(bucket.digests[1].clone(), Problem::NotFound)]);
}

#[tokio::test]
async fn a_beginning_cut_off_is_noticed() {
    let bucket = Bucket::new(3);
    std::fs::remove_file(bucket.dir.path().join(&bucket.digests[0])).unwrap();
    assert_eq!(bucket.findings().await, [(bucket.digests[0].clone(), Problem::NotFound)]);
}

#[tokio::test]
async fn an_end_cut_off_is_noticed_when_the_end_is_known() {
    let bucket = Bucket::new(6);
    for name in &bucket.digests[3..] {
        std::fs::remove_file(bucket.dir.path().join(name)).unwrap();
    }
    let range = Range { start: None, end: Some("2026-01-02T06:00:00Z".parse().unwrap()) };
    let report = bucket.verify_in(range).await;
    let expected = Problem::EndsEarly { last_end: "2026-01-02T03:00:00Z".into() };
    assert_eq!(report.findings.iter().map(|f| &f.problem).collect::<Vec<_>>(), [&expected]);
}

#[tokio::test]
async fn a_changed_digest_fails_its_signature() {
    let bucket = Bucket::new(3);
    bucket.rewrite(&bucket.digests[1], |bytes| {
        let mut json = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*bytes), &mut json).unwrap();
        gzip(json.replace("2026-01-02T01:05:00Z", "2026-01-02T01:06:00Z").as_bytes())
    });
    let findings = bucket.findings().await;
    assert!(findings.contains(&(bucket.digests[1].clone(), Problem::SignatureFailed)), "{findings:?}");
}

#[tokio::test]
async fn a_digest_put_in_place_of_another_has_moved() {
    let bucket = Bucket::new(3);
    let other = std::fs::read(bucket.dir.path().join(&bucket.digests[0])).unwrap();
    bucket.rewrite(&bucket.digests[2], |_| other);
    let findings = bucket.findings().await;
    let moved = Problem::Moved { claimed: bucket.digests[0].clone() };
    assert!(findings.contains(&(bucket.digests[2].clone(), moved)), "{findings:?}");
}

#[tokio::test]
async fn a_log_file_slipped_in_is_named() {
    let bucket = Bucket::new(3);
    let planted = bucket.logs[1].replace("0000000000000001", "plantedplanted00");
    put(bucket.dir.path(), &planted, &gzip(br#"{"Records":[]}"#));
    assert_eq!(bucket.findings().await, [(planted, Problem::Unlisted)]);
}

#[tokio::test]
async fn an_unknown_key_is_named_by_fingerprint() {
    let mut bucket = Bucket::new(1);
    bucket.keys = PublicKeys::default();
    let fingerprint = bucket.fingerprint();
    assert_eq!(bucket.findings().await, [(bucket.digests[0].clone(), Problem::PublicKeyNotFound { fingerprint })]);
}

#[tokio::test]
async fn a_copy_without_metadata_is_proven_up_to_its_newest_digest() {
    let mut bucket = Bucket::new(3);
    bucket.signatures.clear();
    let report = bucket.verify_in(Range::default()).await;
    let problems: Vec<_> = report.findings.iter().map(|f| (&f.name, &f.problem)).collect();
    assert_eq!(problems, [(&bucket.digests[2], &Problem::SignatureUnknown)]);
    assert!(report.is_sound());
}

#[tokio::test]
async fn a_copy_of_a_part_of_the_bucket_is_enough() {
    let bucket = Bucket::new(3);
    let root = bucket.dir.path().join("AWSLogs/111122223333");
    let report =
        verify(&Evidence::Directory { root, signatures: BTreeMap::new() }, &bucket.keys, Range::default(), &|_| ())
            .await
            .unwrap();
    assert_eq!((report.chains[0].valid_digests, report.chains[0].valid_log_files), (3, 3));
    assert!(report.is_sound(), "{:?}", report.findings);
}
