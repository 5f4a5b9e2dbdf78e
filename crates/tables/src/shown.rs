//! An event as its store shows it: with the context that the store is configured to add, and cut to the size that it may
//! have. The record itself stays as it came, in the column `raw`.

use std::collections::BTreeMap;
use std::fmt;

use opentrail_stores::{ContextKeyType, EventConfiguration};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The order in which fields are cut while an event is too large. (User Guide, "Enriching events".)
const CUT_FIRST: [&str; 10] = [
    "annotation",
    "requestID",
    "additionalEventData",
    "serviceEventDetails",
    "userAgent",
    "errorCode",
    "eventContext",
    "responseElements",
    "requestParameters",
    "errorMessage",
];

/// Who knows the tags of users and roles.
pub trait PrincipalTags: fmt::Debug + Send + Sync + 'static {
    /// The tags of the user or role with this ARN, now; none when it is not known.
    fn of(&self, arn: &str) -> BTreeMap<String, String>;
}

/// The event as the store shows it; `None` when that is the record itself.
pub(crate) fn shown(raw: &[u8], configuration: &EventConfiguration, tags: &dyn PrincipalTags) -> Option<Vec<u8>> {
    let enriched = (!configuration.context_key_selectors.is_empty())
        .then(|| context(raw, configuration, tags))
        .flatten()
        .and_then(|context| with_member(raw, "eventContext", &context));
    let max = configuration.max_event_size.bytes();
    let size = enriched.as_ref().map_or(raw.len(), Vec::len);
    if size <= max {
        return enriched;
    }
    metrics::counter!("opentrail_tables_cut_events_total").increment(1);
    cut(enriched.as_deref().unwrap_or(raw), max).or(enriched)
}

/// The record with one more member, its other bytes untouched.
fn with_member(raw: &[u8], name: &str, value: &Value) -> Option<Vec<u8>> {
    let head = raw.trim_ascii_end().strip_suffix(b"}")?;
    let comma = if head.trim_ascii_end().ends_with(b"{") { "" } else { "," };
    let mut bytes = head.to_vec();
    bytes.extend_from_slice(format!("{comma}\"{name}\":{value}}}").as_bytes());
    Some(bytes)
}

/// The record without fields, one after another, until it has at most `max` bytes or no field that can go is left. `None`
/// for one that cannot be read: it stays as it is.
fn cut(raw: &[u8], max: usize) -> Option<Vec<u8>> {
    let mut record: Map<String, Value> = serde_json::from_slice(raw).ok()?;
    let mut bytes = raw.to_vec();
    for field in CUT_FIRST {
        if bytes.len() <= max {
            break;
        }
        let Some(value) = record.get_mut(field).filter(|value| !value.is_null()) else { continue };
        // Of these two an object shows that there was something.
        if matches!(field, "requestParameters" | "responseElements") {
            *value = json!({ "omitted": true });
        } else {
            record.shift_remove(field);
        }
        bytes = serde_json::to_vec(&record).ok()?;
    }
    Some(bytes)
}

/// What of a record the context is made of.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    event_time: Value,
    aws_region: Value,
    user_identity: Value,
    tls_details: Value,
}

/// What is known of the keys that the store asks for; `None` when nothing is.
fn context(raw: &[u8], configuration: &EventConfiguration, tags: &dyn PrincipalTags) -> Option<Value> {
    let record: Record = serde_json::from_slice(raw).ok()?;
    let mut context = Map::new();
    let request: Map<String, Value> = configuration
        .keys(ContextKeyType::RequestContext)
        .iter()
        .filter_map(|key| Some((key.clone(), request_key(&record, key)?.into())))
        .collect();
    if !request.is_empty() {
        context.insert("requestContext".into(), request.into());
    }
    let wanted = configuration.keys(ContextKeyType::TagContext);
    if let Some(arn) = (!wanted.is_empty()).then(|| principal_arn(&record)).flatten() {
        let known = tags.of(&arn);
        let principal: Map<String, Value> =
            wanted.iter().filter_map(|key| Some((key.clone(), known.get(key)?.clone().into()))).collect();
        if !principal.is_empty() {
            context.insert("tagContext".into(), json!({ "resourceTags": [], "principalTags": principal }));
        }
    }
    (!context.is_empty()).then(|| context.into())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The user or role itself, not its session.
fn principal_arn(record: &Record) -> Option<String> {
    let identity = &record.user_identity;
    let issuer = &identity["sessionContext"]["sessionIssuer"]["arn"];
    text(issuer).or_else(|| text(&identity["arn"]))
}

/// The value of a global condition key, as far as a record tells it. (IAM User Guide, "AWS global condition context keys".)
fn request_key(record: &Record, key: &str) -> Option<String> {
    let identity = &record.user_identity;
    let session = &identity["sessionContext"];
    let kind = text(&identity["type"]);
    match &*key.to_ascii_lowercase() {
        "aws:principalarn" => principal_arn(record),
        "aws:principalaccount" => text(&identity["accountId"]),
        "aws:principaltype" => match kind.as_deref()? {
            "Root" => Some("Account".into()),
            "IAMUser" => Some("User".into()),
            same @ ("AssumedRole" | "FederatedUser") => Some(same.into()),
            _ => None,
        },
        "aws:principalisawsservice" => kind.map(|kind| (kind == "AWSService").to_string()),
        "aws:principalservicename" if kind.as_deref() == Some("AWSService") => text(&identity["invokedBy"]),
        "aws:viaawsservice" => {
            kind.map(|kind| (kind != "AWSService" && text(&identity["invokedBy"]).is_some()).to_string())
        }
        "aws:userid" => text(&identity["principalId"]),
        "aws:username" if kind.as_deref() == Some("IAMUser") => text(&identity["userName"]),
        "aws:tokenissuetime" => text(&session["attributes"]["creationDate"]),
        "aws:multifactorauthpresent" => text(&session["attributes"]["mfaAuthenticated"]),
        "aws:sourceidentity" => text(&session["sourceIdentity"]),
        "aws:federatedprovider" => text(&session["webIdFederationData"]["federatedProvider"]),
        "aws:requestedregion" => text(&record.aws_region),
        "aws:securetransport" if record.tls_details.is_object() => Some("true".into()),
        "aws:currenttime" => text(&record.event_time),
        "aws:epochtime" => {
            let time: opentrail_model::Timestamp = record.event_time.as_str()?.parse().ok()?;
            Some(time.as_secs().to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use opentrail_stores::{ContextKeySelector, MaxEventSize};

    use super::*;

    #[derive(Debug)]
    struct Tags;

    impl PrincipalTags for Tags {
        fn of(&self, arn: &str) -> BTreeMap<String, String> {
            let tags = [("team".to_owned(), "blue".to_owned()), ("other".to_owned(), "x".to_owned())];
            if arn.ends_with(":role/r") { tags.into() } else { BTreeMap::new() }
        }
    }

    fn configuration(max_event_size: MaxEventSize, request: &[&str], tags: &[&str]) -> EventConfiguration {
        let selector = |kind, keys: &[&str]| ContextKeySelector {
            kind,
            equals: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let selectors = [selector(ContextKeyType::RequestContext, request), selector(ContextKeyType::TagContext, tags)];
        let context_key_selectors = selectors.into_iter().filter(|selector| !selector.equals.is_empty()).collect();
        EventConfiguration { max_event_size, context_key_selectors }
    }

    fn session() -> Value {
        json!({
            "type": "AssumedRole", "principalId": "AROA:s", "arn": "arn:aws:sts::111122223333:assumed-role/r/s",
            "accountId": "111122223333",
            "sessionContext": {
                "sessionIssuer": { "type": "Role", "arn": "arn:aws:iam::111122223333:role/r" },
                "attributes": { "creationDate": "2026-01-02T03:04:05Z", "mfaAuthenticated": "false" },
            },
        })
    }

    #[test]
    fn a_record_that_fits_and_needs_nothing_is_shown_as_it_is() {
        assert_eq!(shown(b"{}", &EventConfiguration::default(), &Tags), None);
        let nothing_known = configuration(MaxEventSize::Large, &["aws:PrincipalOrgID"], &["absent"]);
        assert_eq!(shown(br#"{"eventName":"a"}"#, &nothing_known, &Tags), None);
        assert_eq!(shown(b"[1]", &nothing_known, &Tags), None);
    }

    #[test]
    fn context_comes_behind_the_bytes_of_the_record() {
        let raw = format!(r#"{{ "eventTime":"2026-01-02T03:04:06Z",  "userIdentity":{} }}"#, session());
        let keys =
            ["aws:PrincipalArn", "AWS:principaltype", "aws:EpochTime", "aws:MultiFactorAuthPresent", "aws:username"];
        let shown =
            shown(raw.as_bytes(), &configuration(MaxEventSize::Large, &keys, &["team"]), &Tags).expect("enriched");
        assert!(shown.starts_with(raw.trim_end_matches('}').as_bytes()), "no byte before it is touched");
        let event: Value = serde_json::from_slice(&shown).expect("JSON");
        let expected = json!({
            "requestContext": {
                "aws:PrincipalArn": "arn:aws:iam::111122223333:role/r", "AWS:principaltype": "AssumedRole",
                "aws:EpochTime": "1767323046", "aws:MultiFactorAuthPresent": "false",
            },
            "tagContext": { "resourceTags": [], "principalTags": { "team": "blue" } },
        });
        assert_eq!(event["eventContext"], expected);
    }

    #[test]
    fn an_event_above_its_size_loses_fields_in_their_order() {
        let large = |name: &str, size: usize| format!(r#""{name}":"{}""#, "x".repeat(size));
        let raw = format!(
            r#"{{{},{},{},"eventID":"e"}}"#,
            large("additionalEventData", 100_000),
            large("requestParameters", 100_000),
            large("responseElements", 100_000)
        );
        let event = |raw: &str| -> Value {
            let cut = shown(raw.as_bytes(), &EventConfiguration::default(), &Tags).expect("cut");
            assert!(cut.len() <= 256 << 10);
            serde_json::from_slice(&cut).expect("JSON")
        };
        let first = event(&raw);
        assert!(first.get("additionalEventData").is_none());
        assert_eq!(first["responseElements"].as_str().map(str::len), Some(100_000));
        let more = event(&raw.replace("\"eventID\"", &format!("{},\"eventID\"", large("errorMessage", 200_000))));
        assert_eq!(
            (&more["responseElements"], &more["requestParameters"]),
            (&json!({ "omitted": true }), &json!({ "omitted": true }))
        );
        assert_eq!(more["errorMessage"].as_str().map(str::len), Some(200_000));
        assert_eq!(
            shown(raw.as_bytes(), &configuration(MaxEventSize::Large, &[], &[]), &Tags),
            None,
            "it may be large"
        );
    }

    #[test]
    fn what_cannot_be_cut_enough_is_cut_as_far_as_it_goes() {
        let raw = format!(r#"{{"userAgent":"a","unknown":"{}"}}"#, "x".repeat(300_000));
        let cut = shown(raw.as_bytes(), &EventConfiguration::default(), &Tags).expect("cut");
        let event: Value = serde_json::from_slice(&cut).expect("JSON");
        assert_eq!((event.get("userAgent"), event["unknown"].as_str().map(str::len)), (None, Some(300_000)));
    }
}
