//! Calls through a VPC endpoint: their network activity events, and what their ordinary ones say of the endpoint.

use bytes::Bytes;
use opentrail_model::AccountId;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::draft::{Draft, Recorded};
use crate::exchange::{Break, Caller, Exchange};
use crate::{limits, shared};

const DENIED_CODE: &str = "VpceAccessDenied";
const DENIED_MESSAGE: &str = "The request was denied due to a VPC endpoint policy";

/// The VPC endpoint that a call came to, and what became of the call there.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    /// `vpce-…`.
    pub endpoint_id: &'a str,
    /// The account whose endpoint it is: it receives the network activity event.
    pub owner: AccountId,
    /// Whether the endpoint's policy denied the call, so that the service never had it.
    pub denied: bool,
    /// Who stopped a call that broke off.
    pub broken: Option<Break>,
    /// The network activity event's `eventID`.
    pub event_id: Uuid,
    /// What joins the records of one call.
    pub shared_id: Uuid,
}

impl Crossing<'_> {
    /// What the ordinary record says of the endpoint. Its `sharedEventID` is there where the call has records in two
    /// accounts. (User Guide, "CloudTrail record contents", `sharedEventID`.)
    pub(crate) fn note_in(&self, recipient: AccountId, put: &mut impl FnMut(&str, Value)) {
        if self.owner != recipient {
            put("sharedEventID", self.shared_id.to_string().into());
        }
        self.put_endpoint(put);
    }

    fn put_endpoint(&self, put: &mut impl FnMut(&str, Value)) {
        put("vpcEndpointId", self.endpoint_id.into());
        put("vpcEndpointAccountId", self.owner.to_string().into());
    }

    /// The network activity event of a call. (User Guide, "Network activity events", record contents and examples.)
    ///
    /// It tells of an error only what the endpoint itself decided: whatever the service answered to a call that it let
    /// through is in the ordinary event. That, and the version, which is the examples', are choices.
    pub(crate) fn activity(&self, exchange: &Exchange, draft: &Draft) -> Recorded {
        let mut record = Map::with_capacity(18);
        let mut put = |key: &str, value: Value| {
            record.insert(key.to_owned(), value);
        };
        put("eventVersion", "1.09".into());
        put("userIdentity", self.identity(&exchange.caller, &draft.event_source));
        put("eventTime", exchange.started.floor_secs().to_iso().into());
        put("eventSource", draft.event_source.as_str().into());
        put("eventName", draft.event_name.as_str().into());
        put("awsRegion", draft.region.as_str().into());
        put("sourceIPAddress", exchange.peer.to_canonical().to_string().into());
        if self.denied {
            put("errorCode", DENIED_CODE.into());
            put("errorMessage", DENIED_MESSAGE.into());
        }
        if let Some(id) = &draft.request_id {
            put("requestID", limits::shortened(id).into());
        }
        put("eventID", self.event_id.to_string().into());
        put("eventType", "AwsVpceEvent".into());
        put("recipientAccountId", self.owner.to_string().into());
        put("sharedEventID", self.shared_id.to_string().into());
        self.put_endpoint(&mut put);
        put("eventCategory", "NetworkActivity".into());
        Recorded {
            account: self.owner,
            body: Bytes::from(Value::Object(record).to_string()),
            management: false,
            operation: draft.event_name.clone(),
            event_source: draft.event_source.clone(),
        }
    }

    /// A caller of another account than the endpoint's shows as that account and an id only.
    fn identity(&self, caller: &Caller, event_source: &str) -> Value {
        let identity = caller.user_identity(event_source);
        let foreign = matches!(caller, Caller::Identity(_))
            && identity["accountId"].as_str().is_none_or(|account| account.parse() != Ok(self.owner));
        if foreign { shared::reduced(&identity) } else { identity }
    }
}
