use aws_lc_rs::digest::{SHA256, digest};
use flate2::bufread::GzDecoder;
use opentrail_model::Timestamp;
use serde::Deserialize;
use std::io::Read;

use crate::report::Problem;

/// The largest digest that is read: 10,000 files an hour make about 4 MB.
const MAX_DIGEST_BYTES: u64 = 256 << 20;

/// A digest file's content. (User Guide, "CloudTrail digest file structure".)
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Digest {
    pub(crate) digest_start_time: String,
    pub(crate) digest_end_time: String,
    pub(crate) digest_s3_bucket: String,
    pub(crate) digest_s3_object: String,
    pub(crate) digest_public_key_fingerprint: String,
    pub(crate) previous_digest_s3_object: Option<String>,
    pub(crate) previous_digest_hash_value: Option<String>,
    pub(crate) previous_digest_signature: Option<String>,
    pub(crate) log_files: Vec<LogFile>,
    /// SHA-256 of the uncompressed file, in hexadecimal.
    #[serde(skip)]
    pub(crate) hash: String,
}

/// A log file as a digest lists it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogFile {
    pub(crate) s3_object: String,
    pub(crate) hash_value: String,
}

impl Digest {
    /// Reads the compressed file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let invalid = |reason: String| Problem::InvalidFormat { reason };
        let mut json = Vec::new();
        GzDecoder::new(bytes)
            .take(MAX_DIGEST_BYTES)
            .read_to_end(&mut json)
            .map_err(|error| invalid(error.to_string()))?;
        let mut read: Self = serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))?;
        read.hash = hex::encode(digest(&SHA256, &json));
        Ok(read)
    }

    /// The text that the signature is over. (User Guide, "Custom implementations of log file integrity validation".)
    pub(crate) fn signed_text(&self) -> String {
        format!(
            "{}\n{}/{}\n{}\n{}",
            self.digest_end_time,
            self.digest_s3_bucket,
            self.digest_s3_object,
            self.hash,
            self.previous_digest_signature.as_deref().unwrap_or("null")
        )
    }

    pub(crate) fn start(&self) -> Option<Timestamp> {
        self.digest_start_time.parse().ok()
    }

    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.digest_end_time.parse().ok()
    }
}

/// What a digest's file name says: `<account>_CloudTrail-Digest_<region>_<trail>_<home region>_<time>.json.gz`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChainName {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) trail: String,
    pub(crate) home_region: String,
}

/// The chain that a digest of that key belongs to, and the digest's end as the name spells it; `None` for keys of
/// other files.
pub(crate) fn parse_name(key: &str) -> Option<(ChainName, String)> {
    let file = key.rsplit('/').next()?;
    let stem = file.strip_suffix(".json.gz")?;
    let stem = stem.strip_suffix("_backfill").unwrap_or(stem);
    let (account, rest) = stem.split_once("_CloudTrail-Digest_")?;
    // Trail names may hold underscores; Regions and times do not.
    let (region, rest) = rest.split_once('_')?;
    let (rest, time) = rest.rsplit_once('_')?;
    let (trail, home_region) = rest.rsplit_once('_')?;
    let name = ChainName {
        account: account.to_owned(),
        region: region.to_owned(),
        trail: trail.to_owned(),
        home_region: home_region.to_owned(),
    };
    Some((name, time.to_owned()))
}
