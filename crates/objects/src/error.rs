use std::io;
use std::path::PathBuf;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed or is full. Worth a retry.
    #[error("{}: {source}", path.display())]
    Disk {
        /// What was read or written.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file of the store's own was damaged or made by a newer version.
    #[error("{} cannot be read: {source}; restore it or remove it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file system does not tell `a` from `A`, so that two keys would share one file.
    #[error("{} is on a file system that ignores case; choose a data directory on one that does not", path.display())]
    IgnoresCase {
        /// The store's directory.
        path: PathBuf,
    },
    /// The file system keeps times of modification too coarsely to tell two writes apart.
    #[error("{} is on a file system without nanoseconds in its times; choose a data directory on one that has them", path.display())]
    CoarseTimes {
        /// The store's directory.
        path: PathBuf,
    },
    /// No such bucket.
    #[error("bucket {bucket} does not exist")]
    NoSuchBucket {
        /// The name.
        bucket: String,
    },
    /// No such object.
    #[error("object {key} does not exist in bucket {bucket}")]
    NoSuchKey {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// No such version of the object.
    #[error("version {version} does not exist")]
    NoSuchVersion {
        /// Its id.
        version: String,
    },
    /// A delete marker has no bytes.
    #[error("version {version} is a delete marker")]
    IsMarker {
        /// Its id.
        version: String,
    },
    /// Object Lock keeps the version.
    #[error("Access Denied because object protected by object lock: {by}")]
    Locked {
        /// What keeps it.
        by: &'static str,
    },
    /// The bucket has no Object Lock.
    #[error("Bucket is missing Object Lock Configuration")]
    NotLocking,
    /// The state of the bucket does not allow it.
    #[error("{reason}")]
    BucketState {
        /// Why.
        reason: &'static str,
    },
    /// The name breaks S3's rules.
    #[error("{bucket:?} is no bucket name: 3 to 63 lower-case letters, digits, hyphens and dots")]
    InvalidBucketName {
        /// The name.
        bucket: String,
    },
    /// The bucket is there already.
    #[error("bucket {bucket} exists already")]
    BucketExists {
        /// The name.
        bucket: String,
        /// Whether the caller's account owns it.
        by_caller: bool,
    },
    /// Only an empty bucket can be deleted.
    #[error("bucket {bucket} holds objects or uploads; delete them first")]
    BucketNotEmpty {
        /// The name.
        bucket: String,
    },
    /// The key is empty or longer than 1024 bytes.
    #[error("a key has 1 to 1024 bytes, this one has {length}")]
    KeyLength {
        /// Its bytes.
        length: usize,
    },
    /// The policy is no JSON object, or is too large.
    #[error("the bucket policy is not valid: {reason}")]
    MalformedPolicy {
        /// What is wrong.
        reason: String,
    },
    /// The object is not (or is) what the caller's condition says.
    #[error("the object does not meet the condition {condition}")]
    Precondition {
        /// The header that failed.
        condition: &'static str,
    },
    /// The bytes that arrived are not those that the client summed.
    #[error("the {algorithm} of what arrived is {found}, not {declared}")]
    BadDigest {
        /// The checksum's name.
        algorithm: &'static str,
        /// What the client said.
        declared: String,
        /// What it is.
        found: String,
    },
    /// The body is too large.
    #[error("the body is larger than the {limit} bytes allowed; upload it in parts")]
    TooLarge {
        /// The most bytes allowed.
        limit: u64,
    },
    /// The client's body ended early or broke off.
    #[error("the body could not be read: {reason}")]
    Body {
        /// Why.
        reason: String,
        /// What broke off.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// No such upload.
    #[error("upload {upload} does not exist; it was completed or aborted")]
    NoSuchUpload {
        /// Its id.
        upload: String,
    },
    /// A part that the completion names is not there, or is another.
    #[error("part {part} was not uploaded, or its ETag is another")]
    InvalidPart {
        /// Its number.
        part: i32,
    },
    /// Parts are not named in ascending order.
    #[error("the parts are not in ascending order of their numbers")]
    InvalidPartOrder,
    /// A part other than the last is too small.
    #[error("part {part} has {size} bytes; all but the last need 5 MiB")]
    PartTooSmall {
        /// Its number.
        part: i32,
        /// Its bytes.
        size: u64,
    },
    /// A KMS key cannot be used, or not by this caller.
    #[error("<Code>{code}</Code> {reason}")]
    Key {
        /// S3's error code.
        code: String,
        /// What KMS says.
        reason: String,
    },
    /// The bytes of a sealed object are not those that were sealed.
    #[error("a sealed object was altered: {reason}")]
    Altered {
        /// Where.
        reason: String,
    },
    /// Something in the request cannot be.
    #[error("{reason}")]
    Invalid {
        /// What to change.
        reason: String,
    },
}

/// Names the path in an error of the system.
pub(crate) trait At<T> {
    /// The same, with `path`.
    fn at(self, path: &std::path::Path) -> Result<T, StoreError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &std::path::Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Disk { path: path.to_owned(), source })
    }
}
