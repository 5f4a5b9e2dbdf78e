//! What an application says of an event. (User Guide, "CloudTrail Lake integrations event schema".)
//!
//! Nothing is cut or mended: an event outside the bounds is refused by itself, with its error code, and the application
//! can send it again. Which code says what is a choice, as only their names are documented.

use std::net::IpAddr;

use opentrail_model::{AccountId, Timestamp};
use serde_json::{Map, Value};

/// Of one event, in bytes.
const MAX_EVENT: usize = 256 * 1024;

/// A member of `eventData`.
struct Member {
    name: &'static str,
    required: bool,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    /// At most so many characters.
    Text(usize),
    /// A JSON object of at most so many bytes.
    Object(usize),
    Identity,
    Time,
    Address,
    Owner,
}

const fn member(name: &'static str, required: bool, form: Form) -> Member {
    Member { name, required, form }
}

const MEMBERS: &[Member] = &[
    member("version", true, Form::Text(256)),
    member("userIdentity", true, Form::Identity),
    member("userAgent", false, Form::Text(1024)),
    member("eventSource", true, Form::Text(1024)),
    member("eventName", true, Form::Text(1024)),
    member("eventTime", true, Form::Time),
    member("UID", true, Form::Text(1024)),
    member("requestParameters", false, Form::Object(100 * 1024)),
    member("responseElements", false, Form::Object(100 * 1024)),
    member("errorCode", false, Form::Text(256)),
    member("errorMessage", false, Form::Text(256)),
    member("sourceIPAddress", false, Form::Address),
    member("recipientAccountId", true, Form::Owner),
    member("additionalEventData", false, Form::Object(28 * 1024)),
];

const IDENTITY: &[Member] = &[
    member("type", true, Form::Text(128)),
    member("principalId", true, Form::Text(1024)),
    member("details", false, Form::Object(MAX_EVENT)),
];

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// Checks the text `eventData` of an event put to a channel of `owner`; answers when it happened.
pub(super) fn check(text: &str, owner: AccountId) -> Result<Timestamp, Refusal> {
    if text.len() > MAX_EVENT {
        return Err(too_long("eventData", &format!("{MAX_EVENT} bytes")));
    }
    let data: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| invalid(format!("eventData is not a JSON object: {error}.")))?;
    let mut time = None;
    every("", &data, MEMBERS, owner, &mut time)?;
    time.ok_or_else(|| not_found("eventTime"))
}

fn every(
    within: &str,
    data: &Map<String, Value>,
    known: &[Member],
    owner: AccountId,
    time: &mut Option<Timestamp>,
) -> Result<(), Refusal> {
    if let Some(other) = data.keys().find(|name| known.iter().all(|member| member.name != *name)) {
        let place = if within.is_empty() { "additionalEventData" } else { "userIdentity.details" };
        let name: String = other.chars().take(128).collect();
        return Err(invalid(format!("{within}{name} is not known; what fits nowhere belongs into {place}.")));
    }
    for Member { name, required, form } in known {
        let path = format!("{within}{name}");
        match data.get(*name) {
            // JSON's null stands for what is not there.
            None | Some(Value::Null) if *required => return Err(not_found(&path)),
            None | Some(Value::Null) => {}
            Some(value) => one(&path, value, *form, owner, time)?,
        }
    }
    Ok(())
}

fn one(path: &str, value: &Value, form: Form, owner: AccountId, time: &mut Option<Timestamp>) -> Result<(), Refusal> {
    let text = || value.as_str().ok_or_else(|| invalid(format!("{path} is not a string.")));
    let object = || value.as_object().ok_or_else(|| invalid(format!("{path} is not a JSON object.")));
    match form {
        Form::Text(max) if text()?.chars().count() > max => Err(too_long(path, &format!("{max} characters"))),
        Form::Text(_) if text()?.is_empty() => Err(not_found(path)),
        Form::Text(_) => Ok(()),
        Form::Object(max) => {
            object()?;
            let length = value.to_string().len();
            if length > max { Err(too_long(path, &format!("{max} bytes"))) } else { Ok(()) }
        }
        Form::Identity => every("userIdentity.", object()?, IDENTITY, owner, time),
        Form::Time => {
            let given = text()?;
            let shape = || invalid(format!("{path} is not a time in UTC like 2026-01-02T03:04:05Z."));
            // The time zone is UTC whether it is said or not.
            let bare = given.strip_suffix('Z').unwrap_or(given);
            *time = Some(format!("{bare}Z").parse().map_err(|_| shape())?);
            Ok(())
        }
        Form::Address => match text()?.parse::<IpAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(invalid(format!("{path} is neither an IPv4 nor an IPv6 address."))),
        },
        Form::Owner => match text()? == owner.to_string() {
            true => Ok(()),
            false => Err(Refusal {
                code: "InvalidRecipient",
                message: format!("{path} is not the account that owns the channel, {owner}."),
            }),
        },
    }
}

fn invalid(message: String) -> Refusal {
    Refusal { code: "InvalidData", message }
}

fn not_found(path: &str) -> Refusal {
    Refusal { code: "FieldNotFound", message: format!("{path} is required.") }
}

fn too_long(path: &str, max: &str) -> Refusal {
    Refusal { code: "FieldTooLong", message: format!("{path} is longer than {max}.") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: &str = "111122223333";

    fn event(changes: Value) -> String {
        let mut event = json!({
            "version": "1", "UID": "u-1", "userIdentity": { "type": "CustomUserIdentity", "principalId": "alice" },
            "eventTime": "2026-01-02T03:04:05Z", "eventName": "Login", "eventSource": "app.example.com",
            "recipientAccountId": OWNER,
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(event.as_object_mut().and_then(|event| event.remove(name))),
                value => event[name] = value.clone(),
            }
        }
        event.to_string()
    }

    fn told(text: &str) -> Result<Timestamp, (&'static str, String)> {
        check(text, OWNER.parse().expect("an account")).map_err(|refusal| (refusal.code, refusal.message))
    }

    #[test]
    fn an_event_within_the_bounds_is_taken() {
        let time = Timestamp::from_secs(1_767_323_045);
        for good in [
            json!({}),
            json!({ "eventTime": "2026-01-02T03:04:05" }),
            json!({ "sourceIPAddress": "2001:db8::1", "userAgent": "x".repeat(1024), "errorCode": "E" }),
            json!({ "requestParameters": { "a": [1, { "b": null }] }, "additionalEventData": {} }),
            json!({ "userIdentity": { "type": "t", "principalId": "p", "details": { "mfa": true } } }),
        ] {
            assert_eq!(told(&event(good.clone())), Ok(time), "{good}");
        }
    }

    #[test]
    fn each_fault_has_its_code_and_names_its_place() {
        let long = json!({ "a": "x".repeat(101 * 1024) });
        for (changes, code, words) in [
            (json!({ "version": null }), "FieldNotFound", "version"),
            (json!({ "eventName": "" }), "FieldNotFound", "eventName"),
            (json!({ "eventTime": null }), "FieldNotFound", "eventTime"),
            (json!({ "userIdentity": { "type": "t" } }), "FieldNotFound", "userIdentity.principalId"),
            (json!({ "UID": "x".repeat(1025) }), "FieldTooLong", "UID is longer than 1024 characters"),
            (json!({ "requestParameters": long }), "FieldTooLong", "requestParameters is longer than 102400 bytes"),
            (json!({ "additionalEventData": { "a": "x".repeat(28 * 1024) } }), "FieldTooLong", "additionalEventData"),
            (json!({ "responseElements": "text" }), "InvalidData", "responseElements is not a JSON object"),
            (json!({ "eventSource": 1 }), "InvalidData", "eventSource is not a string"),
            (json!({ "eventTime": "yesterday" }), "InvalidData", "eventTime"),
            (json!({ "eventTime": "2026-01-02T03:04:05+02:00" }), "InvalidData", "eventTime"),
            (json!({ "sourceIPAddress": "example.com" }), "InvalidData", "sourceIPAddress"),
            (json!({ "surprise": 1 }), "InvalidData", "surprise is not known"),
            (
                json!({ "userIdentity": { "type": "t", "principalId": "p", "arn": "a" } }),
                "InvalidData",
                "userIdentity.arn",
            ),
            (json!({ "recipientAccountId": "444455556666" }), "InvalidRecipient", OWNER),
        ] {
            let (found, message) = told(&event(changes.clone())).expect_err("a fault");
            assert_eq!(found, code, "{changes}: {message}");
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(told("[]").expect_err("a fault").0, "InvalidData");
        assert_eq!(told("{").expect_err("a fault").0, "InvalidData");
        assert_eq!(told(&format!("{{}}{}", " ".repeat(MAX_EVENT))).expect_err("a fault").0, "FieldTooLong");
    }
}
