use bytes::Bytes;
use opentrail_model::{AccountId, Region, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::draft::Recorded;
use crate::{organizations, spelling};

/// What came of a call later, told by the service itself: nobody called for it.
/// (AWS Organizations User Guide, "Logging AWS Organizations API calls with AWS CloudTrail", `CreateAccountResult`.)
#[derive(Clone, Debug)]
pub struct ServiceEvent {
    /// When.
    pub at: Timestamp,
    /// Whose call it was.
    pub account: AccountId,
    /// Where that was.
    pub region: Region,
    /// E.g. `organizations.amazonaws.com`.
    pub event_source: &'static str,
    /// E.g. `CreateAccountResult`.
    pub name: &'static str,
    /// `serviceEventDetails`, in the service model's spelling.
    pub details: Value,
}

impl ServiceEvent {
    /// The record for the account.
    pub fn record(self, event_id: Uuid) -> Recorded {
        let Self { at, account, region, event_source, name, details } = self;
        let mut details = spelling::respelled(details);
        organizations::respell_details(&mut details);
        let mut record = Map::new();
        let mut put = |key: &str, value: Value| {
            record.insert(key.to_owned(), value);
        };
        put("eventVersion", "1.11".into());
        put("userIdentity", json!({ "accountId": account.to_string(), "invokedBy": event_source }));
        put("eventTime", at.floor_secs().to_iso().into());
        put("eventSource", event_source.into());
        put("eventName", name.into());
        put("awsRegion", region.of_global_services().as_str().into());
        put("sourceIPAddress", event_source.into());
        put("userAgent", event_source.into());
        put("requestParameters", Value::Null);
        put("responseElements", Value::Null);
        put("eventID", event_id.to_string().into());
        put("readOnly", false.into());
        put("eventType", "AwsServiceEvent".into());
        put("managementEvent", true.into());
        put("recipientAccountId", account.to_string().into());
        put("serviceEventDetails", details);
        put("eventCategory", "Management".into());
        Recorded {
            account,
            body: Bytes::from(Value::Object(record).to_string()),
            management: true,
            operation: name.to_owned(),
            event_source: event_source.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_account_is_told_with_its_digits_and_without_its_name() {
        let status = json!({ "AccountName": "Logs", "AccountId": "777788889999", "RequestedTimestamp": 1_600_291_250 });
        let event = ServiceEvent {
            at: Timestamp::from_secs(1_600_291_250),
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            event_source: "organizations.amazonaws.com",
            name: "CreateAccountResult",
            details: json!({ "CreateAccountStatus": status }),
        };
        let record: Value = serde_json::from_slice(&event.record(Uuid::nil()).body).unwrap();
        let status = json!({
            "accountName": "****", "accountId": "777788889999", "requestedTimestamp": "Sep 16, 2020 9:20:50 PM",
        });
        assert_eq!(record["serviceEventDetails"], json!({ "createAccountStatus": status }));
        assert_eq!((&record["awsRegion"], &record["eventType"]), (&json!("us-east-1"), &json!("AwsServiceEvent")));
        assert_eq!(record["userIdentity"]["invokedBy"], "organizations.amazonaws.com");
    }
}
