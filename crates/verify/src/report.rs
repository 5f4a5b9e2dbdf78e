use std::collections::HashSet;
use std::fmt;

use opentrail_model::Timestamp;
use serde::Serialize;

/// What is wrong with one file or chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// Not gzip, or not the JSON of a digest.
    InvalidFormat {
        /// What is wrong.
        reason: String,
    },
    /// The digest names another bucket or key as its own.
    Moved {
        /// The key that it names.
        claimed: String,
    },
    /// No public key of that fingerprint is known.
    PublicKeyNotFound {
        /// The fingerprint.
        fingerprint: String,
    },
    /// The signature does not fit the content.
    SignatureFailed,
    /// No copy of the signature is at hand: the newest digest of a copy without object metadata.
    SignatureUnknown,
    /// A listed file, or the digest before, is not there.
    NotFound,
    /// The file's content is not what the digest that lists it says; a digest's, not what the next one says.
    HashMismatch,
    /// Bytes follow the end of the gzip stream.
    TrailingData,
    /// The digest does not begin where the one before ended.
    TimeGap {
        /// Where the one before ended.
        previous_end: String,
        /// Where this one begins.
        start: String,
    },
    /// The chain ends before the time that was asked for.
    EndsEarly {
        /// The end of its last digest.
        last_end: String,
    },
    /// A log file in the time that digests cover, which none of them lists.
    Unlisted,
}

impl Problem {
    /// Whether it means that evidence is damaged; otherwise it is only a remark.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::SignatureUnknown | Self::EndsEarly { .. })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidFormat { reason } => write!(f, "invalid format ({reason})"),
            Self::Moved { claimed } => write!(f, "has been moved from its original location {claimed}"),
            Self::PublicKeyNotFound { fingerprint } => {
                write!(f, "public key not found for fingerprint {fingerprint}")
            }
            Self::SignatureFailed => f.write_str("signature verification failed"),
            Self::SignatureUnknown => {
                f.write_str("signature not at hand (a copy without object metadata); content not proven")
            }
            Self::NotFound => f.write_str("not found"),
            Self::HashMismatch => f.write_str("hash value doesn't match"),
            Self::TrailingData => f.write_str("unexpected data after end of compressed stream"),
            Self::TimeGap { previous_end, start } => {
                write!(f, "nothing covers the time from {previous_end} to {start}")
            }
            Self::EndsEarly { last_end } => write!(f, "the chain ends at {last_end}"),
            Self::Unlisted => f.write_str("not listed in any digest"),
        }
    }
}

/// A problem, and the file that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `digest` or `log file`.
    pub kind: &'static str,
    /// The object's key, or the path in the directory.
    pub name: String,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
}

/// The digests of one trail, account and Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// The trail's name.
    pub trail: String,
    /// Where the trail is at home.
    pub home_region: String,
    /// Whose events.
    pub account: String,
    /// Where they were recorded.
    pub region: String,
    /// The beginning of the first digest looked at.
    pub start: Option<Timestamp>,
    /// The end of the last one.
    pub end: Option<Timestamp>,
    /// How many times the chain starts anew (logging or validation was off before).
    pub starting_digests: usize,
    /// Digests looked at.
    pub digests: usize,
    /// Digests that are valid.
    pub valid_digests: usize,
    /// Log files that valid digests list.
    pub log_files: usize,
    /// Log files that are as listed.
    pub valid_log_files: usize,
}

/// The verdict on everything looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each chain.
    pub chains: Vec<ChainReport>,
    /// Everything that is wrong or worth a remark, in the order of the files' names.
    pub findings: Vec<Finding>,
    /// Bytes of log files read, uncompressed.
    pub log_bytes: u64,
    /// The log files that are as a digest lists them whose signature is valid.
    #[serde(skip)]
    pub proven: HashSet<String>,
}

impl Report {
    /// Whether no evidence is damaged.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| !finding.problem.is_damage())
    }
}
