//! How a request and its response become a CloudTrail record: one way for the gateway and for OpenTrail's own services.
//!
//! [`wanted_capture`] says which bodies whoever carries a call has to keep, [`tap`] keeps them while they stream past,
//! and [`record`] makes the record of the finished [`Exchange`]. Nothing here does I/O or looks at a clock.
//!
//! Inside, [`service`] tells which protocol a call speaks, one module per protocol ([`s3`], [`json`], [`form`],
//! [`rest`]) says what the call was as a [`draft::Draft`], and [`draft`] writes the record. Secrets are taken out in
//! [`redact`] and nowhere else.

mod asked;
mod capture;
mod cbor;
mod classify;
mod credential;
mod crossing;
mod draft;
mod dynamodb;
mod exchange;
mod form;
mod generated;
mod iam;
mod json;
mod limits;
mod organizations;
mod partiql;
mod query;
mod redact;
mod resources;
mod rest;
mod s3;
mod service;
mod service_event;
mod service_use;
mod shared;
mod spelling;
pub mod tap;
#[cfg(test)]
mod tests;
mod tls;
mod xml;

pub use asked::{Ask, asked, is_asked_in_body};
pub use capture::{Capture, CaptureMode, MAX_CAPTURE, wanted_capture};
pub use credential::{Credential, credential};
pub use crossing::Crossing;
pub use draft::Recorded;
pub use exchange::{Break, Caller, Captured, Endpoint, Exchange};
pub use service_event::ServiceEvent;
pub use service_use::ServiceUse;
pub use shared::shared;
pub use tls::TlsDetails;

use opentrail_model::is_network_source;
use service::Protocol;

/// The record of a finished call; `None` for what is no API call (a CORS pre-flight).
pub fn record(exchange: &Exchange) -> Option<Recorded> {
    draft_of(exchange).map(|draft| draft::write(exchange, draft, None, None))
}

/// The record of a finished call to a service that knows what the call was about: `resources` as the record lists them,
/// in place of those that can be told from the request. With none it is [`record`].
pub fn record_about(exchange: &Exchange, resources: Vec<serde_json::Value>) -> Option<Recorded> {
    let mut draft = draft_of(exchange)?;
    if !resources.is_empty() {
        draft.resources = resources;
    }
    Some(draft::write(exchange, draft, None, None))
}

/// The record of a call that broke off. Its shape is a choice, since no source shows one:
///
/// - the client went away before a response: `errorCode` `ClientDisconnected`;
/// - the client went away during the response: no error, since the call was carried out; `bytesTransferredOut` and
///   `additionalEventData.interruptedBy` `client` show it;
/// - the upstream broke off its response: `errorCode` `ServiceUnavailable`, `interruptedBy` `upstream`.
pub fn record_broken(exchange: &Exchange, by: Break) -> Option<Recorded> {
    draft_of(exchange).map(|draft| draft::write(exchange, draft, Some(by), None))
}

/// The records of a call that came to a VPC endpoint: the ordinary one, and the network activity event where the source
/// has them. A call that the endpoint's policy denied leaves the second alone, since the service never had it (S3 User
/// Guide, "Amazon S3 CloudTrail events", requests denied by a VPC endpoint policy); of a source without such events it
/// leaves the ordinary one, a choice, so that no denial goes unseen. Calls through Multi-Region Access Points have none
/// either. (User Guide, "Logging network activity events".)
pub fn record_crossing(exchange: &Exchange, crossing: &Crossing<'_>) -> Vec<Recorded> {
    let Some(draft) = draft_of(exchange) else { return Vec::new() };
    let of_s3 = draft.event_source == "s3.amazonaws.com";
    let has_activity = is_network_source(&draft.event_source) && !(of_s3 && s3::is_multi_region(exchange));
    let activity = has_activity.then(|| crossing.activity(exchange, &draft));
    let ordinary = !(crossing.denied && has_activity);
    let ordinary = ordinary.then(|| draft::write(exchange, draft, crossing.broken, Some(crossing)));
    ordinary.into_iter().chain(activity).collect()
}

/// The data events of the objects that an S3 DeleteObjects call deletes, beside the call's own record; none of another
/// call. What broke the call off, or the VPC endpoint that it came to, is in them, too.
pub fn record_deletions(
    exchange: &Exchange,
    broken: Option<Break>,
    crossing: Option<&Crossing<'_>>,
    mut event_id: impl FnMut() -> uuid::Uuid,
) -> Vec<Recorded> {
    let call = service::identify(&exchange.method, &exchange.uri, &exchange.request_headers, &exchange.endpoint);
    match call.protocol {
        Protocol::S3 => s3::record_deletions(exchange, &call, broken, crossing, &mut event_id),
        _ => Vec::new(),
    }
}

fn draft_of(exchange: &Exchange) -> Option<draft::Draft> {
    if exchange.method == http::Method::OPTIONS {
        return None;
    }
    let call = service::identify(&exchange.method, &exchange.uri, &exchange.request_headers, &exchange.endpoint);
    Some(match call.protocol {
        Protocol::S3 => s3::draft(exchange, &call),
        Protocol::Json { target } => {
            let mut draft = json::draft(exchange, &call, target);
            organizations::adjust(&mut draft);
            draft
        }
        Protocol::Cbor { shape, operation } => json::rpc_v2_draft(exchange, &call, shape, operation),
        Protocol::Query => {
            let mut draft = form::draft(exchange, &call);
            iam::adjust(&mut draft);
            draft
        }
        Protocol::Rest => rest::draft(exchange, &call),
    })
}
