//! Services whose operation is a path: known by name only where CloudTrail users need it, else named after the path.

use serde_json::{Map, Value};

use crate::draft::{Draft, header, object_or_null};
use crate::exchange::Exchange;
use crate::query;
use crate::service::{self, Call};
use crate::{classify, json, redact, resources};

/// What the record says of a call. A path that no rule knows gets a name of its verb and its last literal-looking part
/// (`GET /v1/apis/a-1/stages` → `GetStages`), which is a choice, and its path among the parameters.
pub(crate) fn draft(exchange: &Exchange, call: &Call<'_>) -> Draft {
    let path = exchange.uri.path();
    let known = known(&call.service, path);
    let mut parameters = Map::new();
    for pair in query::pairs(exchange.uri.query().unwrap_or_default()) {
        if !redact::parameter_is_signing(&pair.name) {
            parameters.entry(crate::spelling::lowered(&pair.name)).or_insert(pair.value.into());
        }
    }
    let event_name = match known {
        Some(Known { name, member }) => {
            if let Some((key, value)) = member {
                parameters.insert(key.to_owned(), value.into());
            }
            name
        }
        None => {
            parameters.insert("path".to_owned(), query::decoded_path(path).into());
            made_up(exchange.method.as_str(), path)
        }
    };
    let event_source = match call.service.as_str() {
        "cloudtrail-data" => "cloudtrail-data.amazonaws.com".to_owned(),
        service => service::event_source(service),
    };
    let request = object_or_null(parameters);
    Draft {
        region: call.region.clone(),
        failure: json::failure(exchange),
        resources: resources::named(&exchange.endpoint, &call.region, &event_source, &request),
        request_parameters: request,
        response_elements: Value::Null,
        additional: Map::new(),
        request_id: header(&exchange.response_headers, "x-amzn-requestid")
            .or_else(|| header(&exchange.response_headers, "x-amz-request-id"))
            .map(|id| id.into_owned()),
        reads: classify::reads(&event_source, &event_name),
        management: !classify::is_data(&event_source, &event_name),
        api_version: None,
        bracket_user_agent: false,
        event_source,
        event_name,
    }
}

struct Known {
    name: String,
    member: Option<(&'static str, String)>,
}

fn known(service: &str, path: &str) -> Option<Known> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let named = |name: &str, member| Some(Known { name: name.to_owned(), member });
    match (service, parts.as_slice()) {
        ("cloudtrail-data", ["PutAuditEvents"]) => named("PutAuditEvents", None),
        ("lambda", [_, "functions", function, "invocations"]) => {
            named("Invoke", Some(("functionName", query::decoded_path(function))))
        }
        _ => None,
    }
}

fn made_up(method: &str, path: &str) -> String {
    let literal =
        |part: &&str| (1..=64).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let mut name = String::new();
    let lower = method.to_ascii_lowercase();
    for word in lower.split('-').take(1).chain(path.rsplit('/').find(literal).unwrap_or_default().split('-')) {
        let mut characters = word.chars().take(64);
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(characters);
    }
    name
}
