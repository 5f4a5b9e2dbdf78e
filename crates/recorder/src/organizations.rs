//! What records of Organizations have of their own. (AWS Organizations User Guide, "Logging AWS Organizations API calls
//! with AWS CloudTrail", the examples.)

use opentrail_model::Timestamp;
use serde_json::Value;

use crate::draft::Draft;
use crate::redact::HIDDEN;

const SOURCE: &str = "organizations.amazonaws.com";
/// What stands for addresses and names of accounts.
const STARS: &str = "****";
/// `Sep 16, 2020 9:20:50 PM`.
const TIME_FORMAT: &str = "%b %-d, %Y %-I:%M:%S %p";

/// Brings a draft of a call to Organizations into the form of the service: in the Region of global services, with stars
/// for what is sensitive and times as its records spell them. Drafts of other services stay as they are.
pub(crate) fn adjust(draft: &mut Draft) {
    if draft.event_source != SOURCE {
        return;
    }
    draft.region = draft.region.of_global_services();
    respell(&mut draft.request_parameters);
    respell(&mut draft.response_elements);
}

/// Brings the details of an event of the service into the same form; names of accounts have stars there, too.
pub(crate) fn respell_details(details: &mut Value) {
    if let Value::Object(members) = details {
        for (name, value) in members.iter_mut() {
            match name.as_str() {
                "accountName" => *value = STARS.into(),
                _ => respell_details(value),
            }
        }
    }
    respell(details);
}

fn respell(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(respell),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match value.as_f64().filter(|_| name.ends_with("Timestamp")) {
                    Some(seconds) => *value = Timestamp::from_secs(seconds as i64).format(TIME_FORMAT).into(),
                    None => respell(value),
                }
            }
        }
        Value::String(text) if text == HIDDEN => *text = STARS.to_owned(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_spelled_as_in_the_examples() {
        for (iso, spelled) in [
            ("2020-09-16T21:20:50Z", "Sep 16, 2020 9:20:50 PM"),
            ("2022-01-02T00:05:09Z", "Jan 2, 2022 12:05:09 AM"),
            ("2022-12-31T12:00:00Z", "Dec 31, 2022 12:00:00 PM"),
        ] {
            let time: Timestamp = iso.parse().unwrap();
            let mut value = json!({ "requestedTimestamp": time.as_secs_f64() + 0.7 });
            respell(&mut value);
            assert_eq!(value["requestedTimestamp"], spelled);
        }
    }

    #[test]
    fn what_is_hidden_has_stars() {
        let mut value = json!({ "email": HIDDEN, "handshake": { "parties": [{ "id": HIDDEN, "type": "ACCOUNT" }] } });
        respell(&mut value);
        assert_eq!(
            value,
            json!({ "email": "****", "handshake": { "parties": [{ "id": "****", "type": "ACCOUNT" }] } })
        );
    }
}
