//! One put into a bucket: with a time limit, and with the error code that GetTrailStatus is to answer.

use std::borrow::Cow;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, PutOptions};
use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::{Clock, Random};
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
    fn is_doubtful(&self) -> bool {
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

/// When to try again.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    next: Option<Timestamp>,
    /// Whether the object may be in its bucket.
    doubtful: bool,
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// So many attempts, about half an hour, are made to learn whether a doubtful put was kept.
const ATTEMPTS_IN_DOUBT: u32 = 12;

impl BackOff {
    /// For what may have been put before a crash.
    pub(crate) fn in_doubt() -> Self {
        Self { doubtful: true, ..Self::default() }
    }

    /// Takes note of a failure at `now`: pauses double from a second up to `longest`, each up to a fifth longer by
    /// chance, so that trails of one bucket do not come all at once.
    pub(crate) fn failed(&mut self, error: &PutError, now: Timestamp, longest: Duration, random: &dyn Random) {
        self.doubtful |= error.is_doubtful();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(20)).min(longest);
        let mut chance = [0];
        random.fill(&mut chance);
        self.failures += 1;
        self.next = Some(now + pause + pause.mul_f64(f64::from(chance[0]) / 1275.0));
    }

    /// Whether nothing has failed since the last success.
    pub(crate) fn is_clear(&self) -> bool {
        self.failures == 0
    }

    /// Whether the object may be put into another bucket: not while it may be in its own, where a repetition overwrites
    /// itself; but a bucket that never answers is not waited for longer than half an hour.
    pub(crate) fn may_move(&self) -> bool {
        !self.doubtful || self.failures >= ATTEMPTS_IN_DOUBT
    }

    /// When the next attempt may be made; `None` for at once.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Allows an attempt at once.
    pub(crate) fn hurry(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_runtime::SeededRandom;

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

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let random = SeededRandom::new(1);
        let mut backoff = BackOff::default();
        let longest = Duration::from_secs(300);
        let mut pauses = Vec::new();
        let error = PutError::TimedOut { limit: longest };
        for _ in 0..40 {
            backoff.failed(&error, Timestamp::EPOCH, longest, &random);
            pauses.push(backoff.next().unwrap().since(Timestamp::EPOCH));
        }
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] <= FIRST_PAUSE.mul_f64(1.2));
        assert!(pauses.iter().all(|pause| *pause <= longest.mul_f64(1.2)));
        assert!(pauses[39] >= longest);
    }

    #[test]
    fn what_may_be_in_its_bucket_moves_only_after_many_attempts() {
        let random = SeededRandom::new(1);
        let refused = |doubtful| PutError::Refused { code: String::new(), reason: String::new(), doubtful };
        let mut backoff = BackOff::default();
        backoff.failed(&refused(false), Timestamp::EPOCH, FIRST_PAUSE, &random);
        assert!(backoff.may_move());
        backoff.failed(&refused(true), Timestamp::EPOCH, FIRST_PAUSE, &random);
        backoff.failed(&refused(false), Timestamp::EPOCH, FIRST_PAUSE, &random);
        assert!(!backoff.may_move(), "the second put may have been kept");
        assert!(!BackOff::in_doubt().may_move());
        for _ in 0..ATTEMPTS_IN_DOUBT {
            backoff.failed(&refused(true), Timestamp::EPOCH, FIRST_PAUSE, &random);
        }
        assert!(backoff.may_move());
    }
}
