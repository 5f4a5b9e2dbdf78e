use bytes::Bytes;
use opentrail_model::AccountId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Recorded;

/// The records of a call: that of the caller's account, and where the call took a role of another account, that of the
/// role's, with an `eventID` of its own (`new_id`) and the same `sharedEventID`. The second one has of the caller the
/// account and the id only. (IAM User Guide, "Logging IAM and AWS STS API calls with AWS CloudTrail", cross-account
/// AssumeRole.) A call that failed stays with the caller's account, which is a choice.
pub fn shared(record: Recorded, mut new_id: impl FnMut() -> Uuid) -> Vec<Recorded> {
    let Some((body, owner)) = role_of_another_account(&record) else { return vec![record] };
    let shared_id = new_id();
    let mut copy = body.clone();
    copy["userIdentity"] = reduced(&body["userIdentity"]);
    copy["eventID"] = new_id().to_string().into();
    copy["recipientAccountId"] = owner.to_string().into();
    let with = |body, account| Recorded { body: with_shared_id(body, shared_id), account, ..record.clone() };
    vec![with(body, record.account), with(copy, owner)]
}

/// The record as a document and the role's account, if that is another.
fn role_of_another_account(record: &Recorded) -> Option<(Map<String, Value>, AccountId)> {
    let takes_role = record.event_source == "sts.amazonaws.com" && record.operation == "AssumeRole";
    let body: Map<String, Value> = takes_role.then(|| serde_json::from_slice(&record.body).ok()).flatten()?;
    let owner = body.get("resources")?.get(0)?.get("accountId")?.as_str()?.parse().ok()?;
    (owner != record.account && !body.contains_key("errorCode")).then_some((body, owner))
}

/// A caller as accounts other than its own see it.
pub(crate) fn reduced(identity: &Value) -> Value {
    json!({ "type": "AWSAccount", "principalId": identity["principalId"], "accountId": identity["accountId"] })
}

/// `sharedEventID` stands behind `recipientAccountId`.
fn with_shared_id(body: Map<String, Value>, id: Uuid) -> Bytes {
    let mut out = Map::with_capacity(body.len() + 1);
    for (name, value) in body {
        let last = name == "recipientAccountId";
        out.insert(name, value);
        if last {
            out.insert("sharedEventID".to_owned(), id.to_string().into());
        }
    }
    Value::Object(out).to_string().into()
}
