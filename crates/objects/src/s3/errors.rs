//! Where the store's errors become S3's.

use s3s::{S3Error, S3ErrorCode};

use crate::StoreError;

/// The S3 error for `error`. (S3 API Reference, "Error responses".)
pub(crate) fn refused(error: StoreError) -> S3Error {
    let code = match &error {
        StoreError::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
        StoreError::NoSuchKey { .. } => S3ErrorCode::NoSuchKey,
        StoreError::NoSuchVersion { .. } => S3ErrorCode::NoSuchVersion,
        StoreError::IsMarker { .. } => return marker(error.to_string()),
        StoreError::Locked { .. } => S3ErrorCode::AccessDenied,
        StoreError::NotLocking => S3ErrorCode::InvalidRequest,
        StoreError::BucketState { .. } => S3ErrorCode::InvalidBucketState,
        StoreError::InvalidBucketName { .. } => S3ErrorCode::InvalidBucketName,
        StoreError::BucketExists { by_caller: true, .. } => S3ErrorCode::BucketAlreadyOwnedByYou,
        StoreError::BucketExists { .. } => S3ErrorCode::BucketAlreadyExists,
        StoreError::BucketNotEmpty { .. } => S3ErrorCode::BucketNotEmpty,
        StoreError::KeyLength { .. } => S3ErrorCode::KeyTooLongError,
        StoreError::MalformedPolicy { .. } => S3ErrorCode::MalformedPolicy,
        StoreError::Precondition { .. } => S3ErrorCode::PreconditionFailed,
        StoreError::BadDigest { .. } => S3ErrorCode::BadDigest,
        StoreError::TooLarge { .. } => S3ErrorCode::EntityTooLarge,
        StoreError::NoSuchUpload { .. } => S3ErrorCode::NoSuchUpload,
        StoreError::InvalidPart { .. } => S3ErrorCode::InvalidPart,
        StoreError::InvalidPartOrder => S3ErrorCode::InvalidPartOrder,
        StoreError::PartTooSmall { .. } => S3ErrorCode::EntityTooSmall,
        StoreError::Invalid { .. } => S3ErrorCode::InvalidArgument,
        StoreError::Body { .. } => return broken_body(error),
        StoreError::Key { code, reason } => return refused_key(code, reason),
        StoreError::Disk { .. } => {
            // Retried by SDKs. Where our files are is nobody's business out there.
            metrics::counter!("opentrail_objects_disk_failures_total").increment(1);
            tracing::error!(error = %error, "the object store's disk failed");
            let message = "The disk of the object store failed or is full. Please try again.";
            return S3Error::with_message(S3ErrorCode::ServiceUnavailable, message);
        }
        StoreError::Altered { .. }
        | StoreError::Damaged { .. }
        | StoreError::IgnoresCase { .. }
        | StoreError::CoarseTimes { .. } => {
            tracing::error!(error = %error, "the object store is damaged");
            let message = "A file of the object store is damaged; its log says which.";
            return S3Error::with_message(S3ErrorCode::InternalError, message);
        }
    };
    S3Error::with_message(code, error.to_string())
}

/// What S3 answers who asks for a delete marker by its id. (S3 User Guide, "Working with delete markers".)
fn marker(message: String) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::MethodNotAllowed, message);
    let mut headers = http::HeaderMap::new();
    headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
    headers.insert(http::header::ALLOW, http::HeaderValue::from_static("DELETE"));
    error.set_headers(headers);
    error
}

/// KMS's refusals have its names behind `KMS.`; that a policy does not allow the key is S3's own AccessDenied.
fn refused_key(code: &str, reason: &str) -> S3Error {
    if code == "AccessDenied" {
        return S3Error::with_message(S3ErrorCode::AccessDenied, reason.to_owned());
    }
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), reason.to_owned());
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

/// What `s3s` found wrong while the body streamed keeps S3's name for it.
///
/// The library's types for these errors are private, so its words are all there is to go by. `tests/s3/signatures.rs` sends
/// such bodies and notices when a new version words them differently; unknown ones are taken for an incomplete body.
fn broken_body(error: StoreError) -> S3Error {
    let StoreError::Body { reason, source } = error else {
        return S3Error::with_message(S3ErrorCode::IncompleteBody, error.to_string());
    };
    let (code, message) = if reason.contains("AwsChunkedStreamError: SignatureMismatch") {
        (S3ErrorCode::SignatureDoesNotMatch, "The signature of a chunk or of the trailers does not match.".to_owned())
    } else if reason.contains("UploadStreamError: Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        (S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()), message.to_owned())
    } else if reason.contains("AwsChunkedStreamError: FormatError") {
        let message = "The body is not well-formed aws-chunked encoding, or a chunk or the trailers lack a signature.";
        (S3ErrorCode::InvalidRequest, message.to_owned())
    } else if source.is_none() {
        (S3ErrorCode::IncompleteBody, format!("You did not provide the announced number of bytes: {reason}"))
    } else {
        let message = "You did not provide the number of bytes specified by the Content-Length HTTP header.";
        (S3ErrorCode::IncompleteBody, message.to_owned())
    };
    let status = code.status_code().unwrap_or(http::StatusCode::BAD_REQUEST);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    if let Some(source) = source {
        error.set_source(source);
    }
    error
}
