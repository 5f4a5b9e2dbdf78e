//! The digest document: what it says and how it is signed.
//!
//! User Guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity
//! validation". The signature covers the hash of the very bytes, so that they are made once and kept.

use aws_lc_rs::digest::{SHA256, digest as hash};
use opentrail_model::{AccountId, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::chain::Link;
use crate::signing::{SigningError, SigningKey};
use crate::state::DeliveredFile;

/// The value of the metadata `signature-algorithm`.
pub(crate) const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";

/// A digest whose bytes and signature are fixed, stored before its put so that a crash puts the same bytes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingDigest {
    pub(crate) bucket: String,
    /// The trail's prefix, which is in the key.
    pub(crate) prefix: Option<String>,
    /// The organization in the key, for an organization's trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) key: String,
    /// `digestEndTime`.
    pub(crate) end: Timestamp,
    /// The JSON.
    pub(crate) body: String,
    /// Lower-case hex of the SHA-256 of `body`.
    pub(crate) sha256: String,
    /// Lower-case hex.
    pub(crate) signature: String,
    /// The documents of the files that it lists; they are deleted once it is delivered.
    pub(crate) files: Vec<String>,
}

/// What a digest is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) account: AccountId,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) previous: Option<&'a Link>,
    pub(crate) files: &'a [DeliveredFile],
}

/// The JSON, members in the order in which CloudTrail prints them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    aws_account_id: AccountId,
    digest_start_time: Iso,
    digest_end_time: Iso,
    #[serde(rename = "digestS3Bucket")]
    digest_s3_bucket: &'a str,
    #[serde(rename = "digestS3Object")]
    digest_s3_object: &'a str,
    digest_public_key_fingerprint: &'a str,
    digest_signature_algorithm: &'static str,
    newest_event_time: Option<Iso>,
    oldest_event_time: Option<Iso>,
    #[serde(rename = "previousDigestS3Bucket")]
    previous_digest_s3_bucket: Option<&'a str>,
    #[serde(rename = "previousDigestS3Object")]
    previous_digest_s3_object: Option<&'a str>,
    previous_digest_hash_value: Option<&'a str>,
    previous_digest_hash_algorithm: Option<&'static str>,
    previous_digest_signature: Option<&'a str>,
    log_files: Vec<LogFile<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogFile<'a> {
    #[serde(rename = "s3Bucket")]
    s3_bucket: &'a str,
    #[serde(rename = "s3Object")]
    s3_object: &'a str,
    hash_value: &'a str,
    hash_algorithm: &'static str,
    newest_event_time: Option<Iso>,
    oldest_event_time: Option<Iso>,
}

/// A time as digests spell it: `2026-01-02T03:04:05Z`.
#[derive(Clone, Copy)]
struct Iso(Timestamp);

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_iso())
    }
}

const HASH_ALGORITHM: &str = "SHA-256";

impl Contents<'_> {
    /// The digest's JSON, its hash (lower-case hex) and its signature under `key` (lower-case hex). Takes a
    /// millisecond or more: not for the async threads.
    pub(crate) fn sign(self, key: &SigningKey) -> Result<(String, String, String), SigningError> {
        let body = self.json(&key.fingerprint);
        let sha256 = hex::encode(hash(&SHA256, body.as_bytes()));
        let signature = key.sign(self.string_to_sign(&sha256).as_bytes())?;
        Ok((body, sha256, signature))
    }

    fn json(self, fingerprint: &str) -> String {
        let Self { account, start, end, bucket, key, previous, files } = self;
        let document = Document {
            aws_account_id: account,
            digest_start_time: Iso(start),
            digest_end_time: Iso(end),
            digest_s3_bucket: bucket,
            digest_s3_object: key,
            digest_public_key_fingerprint: fingerprint,
            digest_signature_algorithm: SIGNATURE_ALGORITHM,
            newest_event_time: files.iter().filter_map(|file| file.newest_event).max().map(Iso),
            oldest_event_time: files.iter().filter_map(|file| file.oldest_event).min().map(Iso),
            previous_digest_s3_bucket: previous.map(|link| link.bucket.as_str()),
            previous_digest_s3_object: previous.map(|link| link.key.as_str()),
            previous_digest_hash_value: previous.map(|link| link.sha256.as_str()),
            previous_digest_hash_algorithm: previous.map(|_| HASH_ALGORITHM),
            previous_digest_signature: previous.map(|link| link.signature.as_str()),
            log_files: files
                .iter()
                .map(|file| LogFile {
                    s3_bucket: &file.bucket,
                    s3_object: &file.key,
                    hash_value: &file.sha256,
                    hash_algorithm: HASH_ALGORITHM,
                    newest_event_time: file.newest_event.map(Iso),
                    oldest_event_time: file.oldest_event.map(Iso),
                })
                .collect(),
        };
        serde_json::to_string(&document).expect("texts, times and lists have a JSON form")
    }

    /// The text that is signed: no line break at its end, the word `null` for a starting digest.
    fn string_to_sign(self, sha256: &str) -> String {
        let previous = self.previous.map_or("null", |link| link.signature.as_str());
        format!("{}\n{}/{}\n{sha256}\n{previous}", self.end.to_iso(), self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents<'a>(previous: Option<&'a Link>, files: &'a [DeliveredFile]) -> Contents<'a> {
        Contents {
            account: "111122223333".parse().unwrap(),
            start: "2015-08-17T14:01:31Z".parse().unwrap(),
            end: "2015-08-17T15:01:31Z".parse().unwrap(),
            bucket: "b",
            key: "k",
            previous,
            files,
        }
    }

    #[test]
    fn a_starting_digest_without_files_has_nulls_and_an_empty_list() {
        assert_eq!(
            contents(None, &[]).json("31e8"),
            r#"{"awsAccountId":"111122223333","digestStartTime":"2015-08-17T14:01:31Z","digestEndTime":"2015-08-17T15:01:31Z","digestS3Bucket":"b","digestS3Object":"k","digestPublicKeyFingerprint":"31e8","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":null,"oldestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"logFiles":[]}"#
        );
        assert_eq!(contents(None, &[]).string_to_sign("aa"), "2015-08-17T15:01:31Z\nb/k\naa\nnull");
    }

    #[test]
    fn a_later_digest_links_back_and_spans_its_files() {
        let link = Link { bucket: "pb".into(), key: "pk".into(), sha256: "ph".into(), signature: "ps".into() };
        let file = |key: &str, oldest: i64, newest: i64| DeliveredFile {
            bucket: "b".into(),
            key: key.into(),
            sha256: "fh".into(),
            oldest_event: Some(Timestamp::from_secs(oldest)),
            newest_event: Some(Timestamp::from_secs(newest)),
            delivered: Timestamp::EPOCH,
        };
        let unknown = DeliveredFile { oldest_event: None, newest_event: None, ..file("f3", 0, 0) };
        let files = [file("f1", 50, 60), file("f2", 40, 55), unknown];
        let json: serde_json::Value = serde_json::from_str(&contents(Some(&link), &files).json("31e8")).unwrap();
        assert_eq!(json["oldestEventTime"], "1970-01-01T00:00:40Z");
        assert_eq!(json["newestEventTime"], "1970-01-01T00:01:00Z");
        assert_eq!(json["previousDigestS3Object"], "pk");
        assert_eq!(json["previousDigestHashAlgorithm"], "SHA-256");
        assert_eq!(
            json["logFiles"][0],
            serde_json::json!({"s3Bucket": "b", "s3Object": "f1", "hashValue": "fh", "hashAlgorithm": "SHA-256",
                "newestEventTime": "1970-01-01T00:01:00Z", "oldestEventTime": "1970-01-01T00:00:50Z"})
        );
        assert_eq!(json["logFiles"][2]["oldestEventTime"], serde_json::Value::Null);
        assert_eq!(contents(Some(&link), &files).string_to_sign("aa"), "2015-08-17T15:01:31Z\nb/k\naa\nps");
    }
}
