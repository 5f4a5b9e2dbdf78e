//! What is counted: the keys of Insights.

use std::fmt;
use std::sync::Arc;

use opentrail_model::AccountId;
pub use opentrail_model::{InsightCategory as Category, InsightType};

/// The longest text of a key that is kept, in bytes; AWS's own are shorter (API Reference, `ListInsightsMetricData`: 256).
pub(crate) const LONGEST_TEXT: usize = 256;

/// What is counted for itself: the calls of one operation in an account and a Region, or those that ended with one error.
/// (User Guide, "Working with CloudTrail Insights".)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The recipient account.
    pub account: AccountId,
    /// `awsRegion`.
    pub region: Arc<str>,
    /// `eventSource`.
    pub event_source: Arc<str>,
    /// `eventName`.
    pub event_name: Arc<str>,
    /// Which events.
    pub category: Category,
    /// The error code; `None` counts all calls.
    pub error_code: Option<Arc<str>>,
}

impl Key {
    /// What is counted about the events.
    pub fn insight_type(&self) -> InsightType {
        if self.error_code.is_some() { InsightType::ApiErrorRate } else { InsightType::ApiCallRate }
    }

    pub(crate) fn borrowed(&self) -> KeyRef<'_> {
        KeyRef {
            account: self.account,
            region: &self.region,
            event_source: &self.event_source,
            event_name: &self.event_name,
            category: self.category,
            error_code: self.error_code.as_deref(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {} of {}", self.event_source, self.event_name, self.region, self.account)?;
        match &self.error_code {
            Some(code) => write!(f, ", error {code}"),
            None => Ok(()),
        }
    }
}

/// A key as an event tells it, nothing copied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyRef<'a> {
    pub(crate) account: AccountId,
    pub(crate) region: &'a str,
    pub(crate) event_source: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) category: Category,
    pub(crate) error_code: Option<&'a str>,
}

/// The beginning of `text`, at most `bytes` long, whole characters.
pub(crate) fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
