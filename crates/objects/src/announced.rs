//! The sums that a request's head announces for a document: a list of objects to delete, a policy, a configuration.
//!
//! Operations that take an object's content check its sums themselves, since they keep them. For every other body
//! nobody does: `s3s` reads the document and ignores `Content-MD5` and `x-amz-checksum-…`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use http::request::Parts;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::arriving::Fault;
use crate::checksums::{Algorithm, Summer, content_md5};
use crate::signing::query_value;

/// Queries with which a PUT still carries an object's content; any other names a part of a bucket's or an object's
/// configuration.
const OF_CONTENT: [&str; 3] = ["partNumber", "uploadId", "x-id"];

/// The announced sums, and what has come of the document.
pub(crate) struct Announced {
    md5: Option<String>,
    sum: Option<(Algorithm, String)>,
    summer: Summer,
}

impl Announced {
    /// The sums of a document that has any announced; `None` for an object's content.
    ///
    /// # Errors
    /// When `Content-MD5` is none, on a document or an object, or a document has several checksums.
    pub(crate) fn of(head: &Parts) -> S3Result<Option<Self>> {
        let text = |name: &str| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let md5 = text("content-md5").map(|value| value.trim().to_owned());
        if md5.as_ref().is_some_and(|md5| !BASE64.decode(md5).is_ok_and(|bytes| bytes.len() == 16)) {
            let message = "The Content-MD5 you specified is not valid.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidDigest, message));
        }
        if !is_document(head) {
            return Ok(None);
        }
        let query = head.uri.query().unwrap_or_default();
        // The completion of an upload carries the sum of the object that it makes.
        let of_body = query_value(query, "uploadId").is_none();
        let sums = Algorithm::ALL.into_iter().filter(|_| of_body);
        let mut sums = sums.filter_map(|algorithm| Some((algorithm, text(algorithm.header())?.trim().to_owned())));
        let sum = sums.next();
        if sums.next().is_some() {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        let summer = Summer::new(sum.as_ref().map(|(algorithm, _)| *algorithm).as_slice());
        Ok((md5.is_some() || sum.is_some()).then_some(Self { md5, sum, summer }))
    }

    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        self.summer.update(bytes);
    }

    /// Whether the document was the announced one.
    pub(crate) fn verify(self) -> Result<(), Fault> {
        let (md5, sums) = self.summer.finish();
        if self.md5.is_some_and(|announced| announced != content_md5(&md5)) {
            return Err(Fault::BadDigest { algorithm: "Content-MD5" });
        }
        match self.sum {
            Some((algorithm, announced)) if sums.iter().all(|sum| sum.value != announced) => {
                Err(Fault::BadDigest { algorithm: algorithm.name() })
            }
            _ => Ok(()),
        }
    }
}

/// A PUT to what looks like a bucket may be to an object whose bucket is in the host's name; its sums are then checked
/// twice, which costs only time.
fn is_document(head: &Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    match head.method {
        Method::POST => true,
        Method::PUT => {
            let to_bucket = !head.uri.path().trim_matches('/').contains('/');
            let configures =
                names.any(|name| !name.is_empty() && !OF_CONTENT.contains(&name) && !name.starts_with("X-Amz-"));
            to_bucket || configures
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(method: Method, uri: &str) -> bool {
        is_document(&http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0)
    }

    #[test]
    fn documents_are_told_from_content() {
        for uri in ["/b?policy", "/b/k?acl=", "/b", "/b/", "/b/k?x-id=PutObjectTagging&tagging"] {
            assert!(document(Method::PUT, uri), "{uri}");
        }
        for uri in ["/b/k", "/b/k?partNumber=1&uploadId=u", "/b/k?x-id=PutObject", "/b/k?X-Amz-Signature=0"] {
            assert!(!document(Method::PUT, uri), "{uri}");
        }
        assert!(document(Method::POST, "/b?delete"));
        assert!(!document(Method::DELETE, "/b?policy"));
    }
}
