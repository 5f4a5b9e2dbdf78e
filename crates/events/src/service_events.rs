//! Events of services of this process, e.g. of alarms and findings.

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_patterns::Scratch;
use serde_json::Value;

use crate::envelope::{Envelope, time};
use crate::error::EventsError;
use crate::outbox::{Matched, Reached};
use crate::place::{BusPlace, DEFAULT};
use crate::service::Events;

/// An event for the default bus of an account and Region.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEvent {
    /// Its id: the same when it is put again.
    pub id: String,
    /// E.g. `aws.cloudwatch`.
    pub source: String,
    /// E.g. `CloudWatch Alarm State Change`.
    pub detail_type: String,
    /// Whose it is.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// When it happened.
    pub time: Timestamp,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
    /// What it tells: an object.
    pub detail: Value,
}

impl Events {
    /// Puts events to the rules of default buses. When this returns, what rules took survives a crash; put again, it is
    /// taken again.
    ///
    /// # Errors
    /// When nothing was stored.
    pub async fn put_as_service(&self, events: &[ServiceEvent]) -> Result<(), EventsError> {
        let mut scratch = Scratch::default();
        let matched: Vec<Matched> = events.iter().filter_map(|event| self.matched(event, &mut scratch)).collect();
        if !matched.is_empty() {
            self.outbox.append(&matched, Reached::Nothing, self.now()).await?;
        }
        Ok(())
    }

    fn matched(&self, event: &ServiceEvent, scratch: &mut Scratch) -> Option<Matched> {
        let page = self.book.page(&BusPlace::new(event.account, &event.region, DEFAULT))?;
        let resources: Vec<&str> = event.resources.iter().map(String::as_str).collect();
        let detail = event.detail.to_string();
        let envelope = Envelope {
            id: event.id.clone(),
            detail_type: &event.detail_type,
            source: event.source.clone(),
            account: event.account.to_string(),
            time: time(event.time),
            region: event.region.as_str(),
            resources: &resources,
            detail: detail.as_bytes(),
        };
        page.take_event(&envelope, scratch)
    }
}
