//! One put into a bucket: with a time limit, and with the error code that GetTrailStatus is to answer.

use std::borrow::Cow;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, PutOptions};
use opentrail_model::AccountId;
use opentrail_runtime::Clock;
use opentrail_trails::{Buckets, Delivery, TRAIL_FOLDER, TrailKey};

use crate::layout::Root;

/// Why a put failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PutError {
    /// Nothing was heard in time. The object may be there all the same.
    #[error("no answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// The time allowed.
        limit: Duration,
    },
    /// The bucket or its endpoint refused.
    #[error("{code}: {reason}")]
    Refused {
        /// An S3 error code.
        code: String,
        /// The whole answer.
        reason: String,
        /// Whether the object may have been stored all the same.
        doubtful: bool,
    },
}

/// Codes of answers after which an object may have been stored; all others say that it was not.
const DOUBTFUL: [&str; 5] = ["InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"];

impl PutError {
    /// The code for `LatestDeliveryError`: none for time-outs. (API Reference, GetTrailStatus.)
    pub(crate) fn status_code(&self) -> Option<&str> {
        match self {
            Self::TimedOut { .. } => None,
            Self::Refused { code, .. } => Some(code),
        }
    }

    /// Whether the object may have been stored all the same.
    pub(crate) fn is_doubtful(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Refused { doubtful, .. } => *doubtful,
        }
    }
}

/// Where something is put, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) root: Root<'a>,
    /// The key that it is to be sealed with.
    pub(crate) kms_key: Option<&'a str>,
    /// The account whose log files they are.
    pub(crate) recipient: AccountId,
}

/// Opens buckets and puts objects, each within a time limit.
#[derive(Clone, Debug)]
pub(crate) struct Putter {
    pub(crate) buckets: Arc<dyn Buckets>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timeout: Duration,
}

impl Putter {
    /// The bucket, checked for `trail`.
    pub(crate) async fn open(
        &self,
        trail: &TrailKey,
        destination: Destination<'_>,
    ) -> Result<Arc<dyn ObjectStore>, PutError> {
        let Destination { bucket, root: Root { prefix, organization }, kms_key, recipient } = destination;
        let (arn, account) = (trail.arn(), trail.account);
        let folder = TRAIL_FOLDER;
        let delivery = Delivery { bucket, prefix, trail: &arn, kms_key, account, recipient, organization, folder };
        self.limited(self.buckets.open(delivery)).await?.map_err(|error| PutError::Refused {
            code: error.code().to_owned(),
            reason: error.to_string(),
            doubtful: false,
        })
    }

    /// Puts a gzip file of JSON, over whatever is there.
    ///
    /// CloudTrail also sends `x-amz-acl: bucket-owner-full-control`, and asks for encryption where the trail has no
    /// key; `object_store` has no such headers, so that the bucket's own defaults hold.
    pub(crate) async fn put(
        &self,
        store: &dyn ObjectStore,
        key: &str,
        gzip: Bytes,
        metadata: &[(&'static str, String)],
    ) -> Result<(), PutError> {
        let path = exact_path(key)?;
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, "application/json".into());
        attributes.insert(Attribute::ContentEncoding, "gzip".into());
        for (name, value) in metadata {
            attributes.insert(Attribute::Metadata(Cow::Borrowed(name)), value.clone().into());
        }
        let options = PutOptions { attributes, ..PutOptions::default() };
        match self.limited(store.put_opts(&path, gzip.into(), options)).await? {
            Ok(_) => Ok(()),
            Err(error) => {
                let code = code_of(&error);
                let doubtful = DOUBTFUL.contains(&code.as_str());
                Err(PutError::Refused { code, reason: error.to_string(), doubtful })
            }
        }
    }

    async fn limited<T>(&self, work: impl Future<Output = T>) -> Result<T, PutError> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.clock.sleep(self.timeout) => Err(PutError::TimedOut { limit: self.timeout }),
        }
    }
}

/// The path that is `key` to the letter; prefixes such as `/a` or `a//b` have none.
fn exact_path(key: &str) -> Result<Path, PutError> {
    let refused = |reason: String| PutError::Refused { code: "InvalidURI".to_owned(), reason, doubtful: false };
    let path = Path::parse(key).map_err(|error| refused(error.to_string()))?;
    if path.as_ref() == key {
        Ok(path)
    } else {
        Err(refused(format!("{key:?} is no key that the object store can spell; change the trail's prefix")))
    }
}

/// The S3 error code: the endpoint's own word where its answer carries one.
fn code_of(error: &object_store::Error) -> String {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(current) = cause {
        let text = current.to_string();
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        if let Some((code, _)) = code {
            return code.to_owned();
        }
        cause = current.source();
    }
    match error {
        object_store::Error::NotFound { .. } => "NoSuchBucket",
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => "AccessDenied",
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } => "NotImplemented",
        object_store::Error::InvalidPath { .. } => "InvalidURI",
        _ => "ServiceUnavailable",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_own_code_wins() {
        let body = "Server returned <Error><Code>KMS.DisabledException</Code></Error>";
        let error = object_store::Error::Generic { store: "S3", source: body.into() };
        assert_eq!(code_of(&error), "KMS.DisabledException");
        let error = object_store::Error::NotFound { path: "k".into(), source: "gone".into() };
        assert_eq!(code_of(&error), "NoSuchBucket");
    }

    #[test]
    fn a_key_that_would_be_stored_under_another_name_is_refused() {
        assert!(exact_path("a b/AWSLogs/ü~#%20").is_ok());
        for key in ["/a/AWSLogs", "a//AWSLogs", "a/../AWSLogs", "AWSLogs/"] {
            assert!(exact_path(key).is_err(), "{key}");
        }
    }
}
