use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use opentrail_model::{AccountId, Region, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::TlsDetails;

/// What stands behind the address that a call was sent to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The account that the calls belong to.
    pub account: AccountId,
    /// The Region of calls whose signature names none.
    pub region: Region,
    /// The service (as credential scopes spell it, e.g. `s3`) of calls that nothing else tells; `s3` when absent.
    pub service: Option<String>,
    /// Domains under which buckets are host names, e.g. `s3.example.org`.
    pub s3_hosts: Vec<String>,
}

/// What was kept of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Captured {
    /// All of it.
    Complete(Bytes),
    /// It was longer than wanted, or broke off; nothing is kept.
    Truncated,
    /// It was not wanted.
    #[default]
    None,
}

impl Captured {
    /// The whole body, where it is known.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Complete(bytes) => Some(bytes),
            Self::Truncated | Self::None => None,
        }
    }
}

/// Everything observed of one call.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Where it was sent.
    pub endpoint: Endpoint,
    /// When its request head had arrived.
    pub started: Timestamp,
    /// Who sent it.
    pub peer: IpAddr,
    /// How the client's connection was encrypted, if it was.
    pub tls: Option<TlsDetails>,
    /// The request's method.
    pub method: Method,
    /// The request's target as sent.
    pub uri: Uri,
    /// The request's protocol version.
    pub version: Version,
    /// The request's headers as sent.
    pub request_headers: HeaderMap,
    /// The request's body, where [`crate::wanted_capture`] asked for it.
    pub request_body: Captured,
    /// The response's status; `None` when the connection broke before there was one.
    pub status: Option<StatusCode>,
    /// The response's headers; empty when there was none.
    pub response_headers: HeaderMap,
    /// The response's body, where [`crate::wanted_capture`] asked for it.
    pub response_body: Captured,
    /// Bytes of request body that arrived.
    pub bytes_in: u64,
    /// Bytes of response body that were sent.
    pub bytes_out: u64,
    /// Who signed it.
    pub caller: Caller,
    /// The record's `eventID`.
    pub event_id: Uuid,
}

/// Who stopped a call that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The client closed its connection.
    Client,
    /// The upstream did, or sent what is no HTTP.
    Upstream,
}

/// Who signed a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Somebody known: a complete `userIdentity`.
    Identity(Value),
    /// An access key that nobody here knows.
    UnknownKey {
        /// The key as the request names it.
        access_key_id: String,
    },
    /// Nobody: the call is unsigned.
    Anonymous,
}

impl Caller {
    /// The record's `userIdentity`. The form for an unknown key is a choice: type `Unknown`, which "may hold only
    /// type", with the key and, as S3 writes them for callers it cannot name, empty ids.
    pub(crate) fn user_identity(&self, event_source: &str) -> Value {
        match self {
            Self::Identity(identity) => identity.clone(),
            Self::UnknownKey { access_key_id } => json!({
                "type": "Unknown",
                "principalId": "",
                "accountId": "",
                "accessKeyId": crate::limits::shortened(access_key_id),
            }),
            Self::Anonymous if event_source == "s3.amazonaws.com" => {
                json!({ "type": "AWSAccount", "principalId": "", "accountId": "anonymous" })
            }
            Self::Anonymous => json!({ "type": "Unknown", "principalId": "", "accountId": "" }),
        }
    }
}
