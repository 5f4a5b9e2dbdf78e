//! The query protocol (STS, IAM, older SNS, SQS and others): a form with `Action`, answered in XML.

use serde_json::{Map, Value};

use crate::draft::{Draft, Failure, header, object_or_null};
use crate::exchange::{Captured, Exchange};
use crate::query;
use crate::redact::{self, Direction};
use crate::service::{self, Call};
use crate::{classify, limits, resources, spelling, xml};

mod result;

/// Levels in a parameter's name (`Tags.member.1.Key` has four), at most.
const MAX_LEVELS: usize = 16;

/// What the record says of a call.
pub(crate) fn draft(exchange: &Exchange, call: &Call<'_>) -> Draft {
    let event_source = service::event_source(&call.service);
    let form = exchange.request_body.bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let parameters = || query::pairs(exchange.uri.query().unwrap_or_default()).chain(query::pairs(&form));
    let event_name = parameters()
        .find(|pair| pair.name == "Action" && is_name(&pair.value))
        // Chosen for a form that names no action: it is still a call and fails.
        .map_or_else(|| "UnknownOperation".to_owned(), |pair| pair.value);

    let mut members = Map::new();
    for pair in parameters().filter(|pair| !is_framing(&pair.name)) {
        insert(&mut members, &pair.name, pair.value);
    }
    let mut request = Value::Object(members);
    fold_lists(&mut request);
    redact::document(&mut request, &event_source, &event_name, &[], Direction::Request);
    let resources = resources::named(&exchange.endpoint, &call.region, &event_source, &request);
    let request = match (&exchange.request_body, spelling::respelled(request)) {
        (Captured::Truncated, _) => limits::omitted(),
        (_, Value::Object(members)) => object_or_null(members),
        (_, other) => other,
    };
    let failure = failure(exchange);
    let reads = classify::reads(&event_source, &event_name);
    let management = !classify::is_data(&event_source, &event_name);
    let silent = (reads && !gives_credentials(&event_source, &event_name)) || !management;
    Draft {
        region: call.region.clone(),
        response_elements: match &exchange.response_body {
            _ if silent || failure.is_some() || exchange.status.is_none() => Value::Null,
            Captured::Complete(document) => result::shown(document, &event_source, &event_name),
            Captured::Truncated => limits::omitted(),
            Captured::None => Value::Null,
        },
        request_parameters: request,
        additional: Map::new(),
        request_id: request_id(exchange),
        reads,
        management,
        api_version: None,
        bracket_user_agent: false,
        event_source,
        event_name,
        failure,
        resources,
    }
}

fn is_name(action: &str) -> bool {
    (1..=128).contains(&action.len()) && action.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// What is not a parameter of the operation: its name, the protocol's version, a signature in the query.
fn is_framing(name: &str) -> bool {
    matches!(name, "Action" | "Version" | "SignatureMethod" | "SignatureVersion" | "Timestamp")
        || name.starts_with("X-Amz-")
        || redact::parameter_is_signing(name)
}

/// Puts `Tags.member.1.Key` where it belongs; list positions are members named by their number until [`fold_lists`].
fn insert(members: &mut Map<String, Value>, name: &str, value: String) {
    let mut parts = name.split('.').filter(|part| !part.is_empty()).take(MAX_LEVELS).peekable();
    let mut here = members;
    while let Some(part) = parts.next() {
        // A list's items may be named: `member` in most services, `entry` in the attributes of SNS.
        if matches!(part, "member" | "entry") && parts.peek().is_some_and(|next| is_number(next)) {
            continue;
        }
        if parts.peek().is_none() {
            here.entry(part).or_insert(value.into());
            return;
        }
        let slot = here.entry(part).or_insert_with(|| Value::Object(Map::new()));
        match slot {
            Value::Object(below) => here = below,
            _ => return,
        }
    }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

fn fold_lists(value: &mut Value) {
    let Value::Object(members) = value else { return };
    members.values_mut().for_each(fold_lists);
    if !members.is_empty() && members.keys().all(|key| is_number(key)) {
        *value = Value::Array(std::mem::take(members).into_iter().map(|(_, item)| item).collect());
    }
}

/// STS's answers are shown whatever the verb: its callers become somebody else by them, and a record of that is worth
/// little without whom.
fn gives_credentials(event_source: &str, event_name: &str) -> bool {
    event_source == "sts.amazonaws.com"
        && (event_name.starts_with("Assume") || matches!(event_name, "GetSessionToken" | "GetFederationToken"))
}

fn request_id(exchange: &Exchange) -> Option<String> {
    header(&exchange.response_headers, "x-amzn-requestid")
        .or_else(|| header(&exchange.response_headers, "x-amz-request-id"))
        .map(|id| id.into_owned())
        .or_else(|| {
            let (_, document) = exchange.response_body.bytes().and_then(xml::parse)?;
            let id = xml::text(&document, &["ResponseMetadata", "RequestId"])
                .or_else(|| xml::text(&document, &["RequestId"]))
                .or_else(|| xml::text(&document, &["RequestID"]))?;
            Some(id.to_owned())
        })
}

/// `<ErrorResponse><Error><Code>…`, or `<Response><Errors><Error>…` as EC2 has it.
fn failure(exchange: &Exchange) -> Option<Failure> {
    let status = exchange.status.filter(|status| status.is_client_error() || status.is_server_error())?;
    let document = exchange.response_body.bytes().and_then(xml::parse).map(|(_, document)| document);
    let within = |path: &[&str]| document.as_ref().and_then(|document| xml::text(document, path)).map(str::to_owned);
    match within(&["Error", "Code"]) {
        Some(code) => Some(Failure { code, message: within(&["Error", "Message"]) }),
        None => match within(&["Errors", "Error", "Code"]) {
            Some(code) => {
                Some(Failure { code: format!("Client.{code}"), message: within(&["Errors", "Error", "Message"]) })
            }
            None => Some(crate::json::by_status(status)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbered_parameters_become_lists() {
        let mut members = Map::new();
        for (name, value) in [
            ("RoleArn", "r"),
            ("Tags.member.1.Key", "a"),
            ("Tags.member.1.Value", "b"),
            ("Tags.member.2.Key", "c"),
            ("Attribute.1", "x"),
            ("RoleArn.below", "ignored"),
            ("...", "ignored"),
        ] {
            insert(&mut members, name, value.to_owned());
        }
        let mut value = Value::Object(members);
        fold_lists(&mut value);
        let tags = json!([{ "Key": "a", "Value": "b" }, { "Key": "c" }]);
        assert_eq!(value, json!({ "RoleArn": "r", "Tags": tags, "Attribute": ["x"] }));
    }
}
