use std::collections::BTreeMap;

use opentrail_model::AccountId;

/// Who may do what: the seam between the store and whoever knows callers and policies.
pub trait Access: Send + Sync + 'static {
    /// The secret of an access key that is in use. A key of temporary credentials has none without its token.
    ///
    /// # Errors
    /// When there is no secret to verify the signature with.
    fn secret(&self, access_key_id: &str, session_token: Option<&str>) -> Result<String, NoSecret>;

    /// Whether the call is allowed; the account of the caller if so.
    ///
    /// # Errors
    /// When it is not, with the message that the caller reads.
    fn check(&self, call: &S3Call<'_>) -> Result<AccountId, Denied>;
}

/// Why a key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSecret {
    /// There is no such key, it is switched off, or its session token is missing.
    UnknownKey,
    /// The session token is not this key's.
    WrongToken,
    /// The session is over.
    ExpiredToken,
}

/// One question to [`Access`]: an IAM action on a resource.
#[derive(Clone, Debug)]
pub struct S3Call<'a> {
    /// The key that signed the request.
    pub access_key_id: Option<String>,
    /// The session token sent with it.
    pub session_token: Option<String>,
    /// The IAM action, e.g. `s3:PutObject`; not always the operation's name (`HeadObject` needs `s3:GetObject`).
    pub action: &'static str,
    /// The ARN that the action is on, where that is neither the bucket nor the object: that of a [`Mount`](crate::Mount).
    pub resource: Option<String>,
    /// The bucket, if the action has one.
    pub bucket: Option<&'a str>,
    /// The key, if the action is on an object.
    pub key: Option<&'a str>,
    /// The account that owns the bucket, if the bucket exists.
    pub bucket_owner: Option<AccountId>,
    /// The bucket's policy, as it was put.
    pub bucket_policy: Option<&'a str>,
    /// Condition keys and values: `s3:x-amz-acl`, `s3:prefix`, `aws:UserAgent`, and what the server adds with
    /// [`ConditionKeys`](crate::ConditionKeys).
    pub context: BTreeMap<String, String>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What the caller reads.
    pub message: String,
}

/// The IAM action that an operation needs on the resource in its path; `None` for operations that ask for themselves
/// or that the store does not have. (Service Authorization Reference, "Actions defined by Amazon S3".)
pub(crate) fn action_of(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "ListBuckets" => "s3:ListAllMyBuckets",
        "CreateBucket" => "s3:CreateBucket",
        "DeleteBucket" => "s3:DeleteBucket",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "s3:ListBucket",
        "ListObjectVersions" => "s3:ListBucketVersions",
        "ListMultipartUploads" => "s3:ListBucketMultipartUploads",
        "GetBucketLocation" => "s3:GetBucketLocation",
        "GetBucketPolicy" => "s3:GetBucketPolicy",
        "GetBucketPolicyStatus" => "s3:GetBucketPolicyStatus",
        "PutBucketPolicy" => "s3:PutBucketPolicy",
        "DeleteBucketPolicy" => "s3:DeleteBucketPolicy",
        "GetBucketAcl" => "s3:GetBucketAcl",
        "PutBucketAcl" => "s3:PutBucketAcl",
        "GetBucketVersioning" => "s3:GetBucketVersioning",
        "PutBucketVersioning" => "s3:PutBucketVersioning",
        "GetBucketEncryption" => "s3:GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "s3:PutEncryptionConfiguration",
        "GetBucketTagging" => "s3:GetBucketTagging",
        "PutBucketTagging" | "DeleteBucketTagging" => "s3:PutBucketTagging",
        "GetObject" | "HeadObject" | "GetObjectAttributes" => "s3:GetObject",
        "PutObject"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => "s3:PutObject",
        "DeleteObject" => "s3:DeleteObject",
        "AbortMultipartUpload" => "s3:AbortMultipartUpload",
        "ListParts" => "s3:ListMultipartUploadParts",
        "GetObjectRetention" => "s3:GetObjectRetention",
        "PutObjectRetention" => "s3:PutObjectRetention",
        "GetObjectLegalHold" => "s3:GetObjectLegalHold",
        "PutObjectLegalHold" => "s3:PutObjectLegalHold",
        "GetObjectLockConfiguration" => "s3:GetBucketObjectLockConfiguration",
        "PutObjectLockConfiguration" => "s3:PutBucketObjectLockConfiguration",
        "GetObjectAcl" => "s3:GetObjectAcl",
        "PutObjectAcl" => "s3:PutObjectAcl",
        "GetObjectTagging" => "s3:GetObjectTagging",
        "PutObjectTagging" => "s3:PutObjectTagging",
        "DeleteObjectTagging" => "s3:DeleteObjectTagging",
        _ => return None,
    })
}

/// The action on a version that is named in the request, where it is another.
pub(crate) fn action_on_version(action: &'static str) -> &'static str {
    match action {
        "s3:GetObject" => "s3:GetObjectVersion",
        "s3:DeleteObject" => "s3:DeleteObjectVersion",
        "s3:GetObjectAcl" => "s3:GetObjectVersionAcl",
        "s3:PutObjectAcl" => "s3:PutObjectVersionAcl",
        "s3:GetObjectTagging" => "s3:GetObjectVersionTagging",
        "s3:PutObjectTagging" => "s3:PutObjectVersionTagging",
        "s3:DeleteObjectTagging" => "s3:DeleteObjectVersionTagging",
        other => other,
    }
}

/// The condition keys that query parameters and headers of S3 are. (Service Authorization Reference, "Condition keys
/// for Amazon S3".)
pub(crate) const CONDITION_QUERIES: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

/// See [`CONDITION_QUERIES`].
pub(crate) const CONDITION_HEADERS: [(&str, &str); 15] = [
    ("user-agent", "aws:UserAgent"),
    ("referer", "aws:Referer"),
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-content-sha256", "s3:x-amz-content-sha256"),
    ("x-amz-copy-source", "s3:x-amz-copy-source"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-server-side-encryption", "s3:x-amz-server-side-encryption"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
    ("x-amz-object-lock-mode", "s3:object-lock-mode"),
    ("x-amz-object-lock-retain-until-date", "s3:object-lock-retain-until-date"),
    ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
    ("x-amz-grant-full-control", "s3:x-amz-grant-full-control"),
    ("x-amz-grant-read", "s3:x-amz-grant-read"),
    ("x-amz-website-redirect-location", "s3:x-amz-website-redirect-location"),
];
