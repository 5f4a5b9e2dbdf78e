//! What S3 has and the store has not, refused wherever a request asks for it rather than taken in silence.

use http::HeaderMap;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::signing::query_value;

/// The one kind of encryption that is accepted: clients ask for it by habit, and S3 does it whether asked or not. Whether
/// bytes are encrypted at rest is up to the disk (a choice; objects put with it answer with it).
pub(crate) const AES256: &str = "AES256";

/// Sealed with a KMS key.
const KMS: &str = "aws:kms";

const ENCRYPTION: &str = "x-amz-server-side-encryption";

/// The operations that say how an object is sealed.
const SEALING: [&str; 3] = ["PutObject", "CopyObject", "CreateMultipartUpload"];

/// Looks at the headers of a request of `operation`, which a presigned URL may have in its query.
pub(crate) fn require_available(operation: &str, headers: &HeaderMap, query: &str) -> S3Result<()> {
    let in_headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default()));
    let in_query = query.split('&').filter_map(|pair| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        // Those of a presigned URL are among the headers by now.
        (name.starts_with("x-amz-") && !headers.contains_key(&name)).then_some((name, ""))
    });
    for (name, value) in in_headers.chain(in_query) {
        let from_query = if value.is_empty() { query_value(query, &name) } else { None };
        let value = from_query.as_deref().unwrap_or(value);
        if name.starts_with("x-amz-grant-") {
            // S3 answers so for a bucket whose owner owns all objects. (S3 User Guide, "Controlling ownership of
            // objects and disabling ACLs".)
            return refused(
                S3ErrorCode::AccessControlListNotSupported,
                format!("The bucket does not allow ACLs; leave {name} out and grant access with a bucket policy"),
            );
        }
        let customer = name.strip_prefix("x-amz-copy-source-server-side-encryption-").is_some()
            || name.starts_with("x-amz-server-side-encryption-customer-");
        if customer {
            let message = format!("Encryption with keys of the customer's is not available; leave {name} out");
            return refused(S3ErrorCode::NotImplemented, message);
        }
        if SEALING.contains(&operation)
            && (name == ENCRYPTION && value == KMS
                || ["x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context"]
                    .contains(&name.as_str()))
        {
            continue;
        }
        let with_kms = name == ENCRYPTION && value != AES256
            || name.starts_with("x-amz-server-side-encryption-") && value != "false";
        if with_kms {
            let message = format!(
                "This encryption with KMS keys is not available ({name}: {value}); objects can be sealed with \
                 {ENCRYPTION}: {KMS} when they are put, copied or an upload is created; otherwise leave the header out"
            );
            return refused(S3ErrorCode::NotImplemented, message);
        }
    }
    Ok(())
}

fn refused(code: S3ErrorCode, message: String) -> S3Result<()> {
    Err(S3Error::with_message(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &'static str, value: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]);
        let by_header =
            require_available("UploadPart", &headers, "").err().map(|error| error.code().as_str().to_owned());
        let query = format!("X-Amz-Expires=60&{name}={}", value.replace(':', "%3A"));
        let by_query = require_available("UploadPart", &HeaderMap::new(), &query)
            .err()
            .map(|error| error.code().as_str().to_owned());
        assert_eq!(by_header, by_query, "{name}: {value}");
        by_header
    }

    #[test]
    fn grants_and_keys_are_refused_and_plain_encryption_is_not() {
        let refused = |code: &str| Some(code.to_owned());
        assert_eq!(code("x-amz-grant-read", "id=1"), refused("AccessControlListNotSupported"));
        assert_eq!(code("x-amz-grant-full-control", "id=1"), refused("AccessControlListNotSupported"));
        assert_eq!(code("x-amz-server-side-encryption", "aws:kms"), refused("NotImplemented"));
        assert_eq!(code("x-amz-server-side-encryption", "aws:kms:dsse"), refused("NotImplemented"));
        assert_eq!(code("x-amz-server-side-encryption-aws-kms-key-id", "alias/a"), refused("NotImplemented"));
        assert_eq!(code("x-amz-server-side-encryption-bucket-key-enabled", "true"), refused("NotImplemented"));
        assert_eq!(code("x-amz-server-side-encryption-bucket-key-enabled", "false"), None);
        assert_eq!(code("x-amz-server-side-encryption-customer-algorithm", "AES256"), refused("NotImplemented"));
        let of_source = "x-amz-copy-source-server-side-encryption-customer-algorithm";
        assert_eq!(code(of_source, "AES256"), refused("NotImplemented"));
        assert_eq!(code("x-amz-server-side-encryption", "AES256"), None);
        assert_eq!(code("x-amz-acl", "private"), None);
    }

    #[test]
    fn whole_objects_can_be_sealed_with_kms_keys() {
        let ask = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]);
            require_available("PutObject", &headers, "").is_ok()
        };
        assert!(ask("x-amz-server-side-encryption", "aws:kms"));
        assert!(ask("x-amz-server-side-encryption-aws-kms-key-id", "alias/a"));
        assert!(!ask("x-amz-server-side-encryption", "aws:kms:dsse"));
        assert!(!ask("x-amz-server-side-encryption-bucket-key-enabled", "true"));
    }
}
