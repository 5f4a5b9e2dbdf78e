//! Conditional requests: `If-Match` and its relatives.

use opentrail_model::Timestamp;

use crate::StoreError;
use crate::sidecar::Description;

/// What an entity tag header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `*`: anything that exists.
    Any,
    /// This ETag, without quotes.
    Is(String),
}

impl Tag {
    fn fits(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(wanted) => wanted == etag,
        }
    }
}

/// The conditions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tag>,
    pub(crate) if_none_match: Option<Tag>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// How a read's conditions came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    NotModified,
    Failed(&'static str),
}

impl Conditions {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether to serve the object. Tags win over times; times count in whole seconds. (RFC 9110, 13.2.2.)
    pub(crate) fn check_read(&self, current: &Description) -> Verdict {
        let modified = current.stamp.timestamp().floor_secs();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tag), _) if !tag.fits(&current.etag) => return Verdict::Failed("If-Match"),
            (None, Some(time)) if modified > time => return Verdict::Failed("If-Unmodified-Since"),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tag), _) if tag.fits(&current.etag) => Verdict::NotModified,
            (None, Some(time)) if modified <= time => Verdict::NotModified,
            _ => Verdict::Serve,
        }
    }

    /// Whether to write over (or delete) what is there.
    pub(crate) fn check_write(&self, bucket: &str, key: &str, current: Option<&Description>) -> Result<(), StoreError> {
        match (&self.if_match, current) {
            (Some(_), None) => {
                return Err(StoreError::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() });
            }
            (Some(tag), Some(current)) if !tag.fits(&current.etag) => {
                return Err(StoreError::Precondition { condition: "If-Match" });
            }
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(tag), Some(current)) if tag.fits(&current.etag) => {
                Err(StoreError::Precondition { condition: "If-None-Match" })
            }
            _ => Ok(()),
        }
    }
}
