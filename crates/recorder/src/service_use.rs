use opentrail_model::{AccountId, Region, Timestamp};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::draft::Recorded;
use crate::limits;

/// What records have in place of an address and a client when a service calls another.
const INTERNAL: &str = "AWS Internal";

/// A call that a service made to another in its caller's name, e.g. S3's to KMS: nobody sent it over HTTP.
#[derive(Clone, Debug)]
pub struct ServiceUse {
    /// When.
    pub at: Timestamp,
    /// `userIdentity` of the caller.
    pub user_identity: Value,
    /// Where.
    pub region: Region,
    /// E.g. `kms.amazonaws.com`.
    pub event_source: String,
    /// E.g. `Decrypt`.
    pub operation: String,
    /// `requestParameters`.
    pub request: Value,
    /// `resources`.
    pub resources: Vec<Value>,
    /// `errorCode` and `errorMessage`, if it was refused.
    pub error: Option<(String, String)>,
    /// Whether it changed nothing.
    pub reads: bool,
    /// `requestID`.
    pub request_id: Uuid,
}

impl ServiceUse {
    /// The record for `account`. With `shared` it is one of several of the same call, each for another account.
    /// (KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail", the examples of calls by services.)
    pub fn record(&self, account: AccountId, event_id: Uuid, shared: Option<Uuid>) -> Recorded {
        let mut identity = self.user_identity.clone();
        identity["invokedBy"] = INTERNAL.into();
        let mut record = Map::new();
        let mut put = |key: &str, value: Value| {
            record.insert(key.to_owned(), value);
        };
        put("eventVersion", "1.11".into());
        put("userIdentity", identity);
        put("eventTime", self.at.floor_secs().to_iso().into());
        put("eventSource", self.event_source.as_str().into());
        put("eventName", self.operation.as_str().into());
        put("awsRegion", self.region.as_str().into());
        put("sourceIPAddress", INTERNAL.into());
        put("userAgent", INTERNAL.into());
        if let Some((code, message)) = &self.error {
            put("errorCode", limits::shortened(code).into());
            put("errorMessage", limits::shortened(message).into());
        }
        put("requestParameters", limits::parameters(self.request.clone()));
        put("responseElements", Value::Null);
        put("requestID", self.request_id.to_string().into());
        put("eventID", event_id.to_string().into());
        put("readOnly", self.reads.into());
        if !self.resources.is_empty() {
            put("resources", self.resources.clone().into());
        }
        put("eventType", "AwsApiCall".into());
        put("managementEvent", true.into());
        put("recipientAccountId", account.to_string().into());
        if let Some(shared) = shared {
            put("sharedEventID", shared.to_string().into());
        }
        put("eventCategory", "Management".into());
        Recorded {
            account,
            body: limits::event(record),
            management: true,
            operation: self.operation.clone(),
            event_source: self.event_source.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_services_call_shows_the_caller_and_that_a_service_made_it() {
        let account: AccountId = "111122223333".parse().unwrap();
        let used = ServiceUse {
            at: Timestamp::from_secs(1_767_323_045),
            user_identity: json!({ "type": "IAMUser", "userName": "alice" }),
            region: Region::us_east_1(),
            event_source: "kms.amazonaws.com".to_owned(),
            operation: "Decrypt".to_owned(),
            request: json!({ "encryptionContext": { "aws:s3:arn": "arn:aws:s3:::b/k" } }),
            resources: vec![json!({ "type": "AWS::KMS::Key" })],
            error: Some(("AccessDenied".to_owned(), "no".to_owned())),
            reads: true,
            request_id: Uuid::nil(),
        };
        let record: Value = serde_json::from_slice(&used.record(account, Uuid::nil(), None).body).unwrap();
        assert_eq!(record["userIdentity"]["userName"], "alice");
        assert_eq!(record["userIdentity"]["invokedBy"], INTERNAL);
        assert_eq!((&record["errorCode"], &record["readOnly"]), (&json!("AccessDenied"), &json!(true)));
        assert_eq!((&record["recipientAccountId"], record.get("sharedEventID")), (&json!("111122223333"), None));
    }
}
