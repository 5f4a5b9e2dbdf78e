//! JSON 1.0 and 1.1: the operation is in `X-Amz-Target`, everything else in two documents; and RPC v2, which has the
//! same documents in CBOR and the operation in the path.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use http::StatusCode;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::draft::{Draft, Failure, header, object_or_null};
use crate::exchange::{Captured, Exchange};
use crate::generated::json_services::JsonService;
use crate::redact::{self, Direction};
use crate::service::{self, Call};
use crate::{cbor, classify, dynamodb, limits, resources, spelling};

/// What the record says of a call. A target that no model knows is recorded by its last part, under the service of the
/// signature.
pub(crate) fn draft(exchange: &Exchange, call: &Call<'_>, target: &str) -> Draft {
    drafted(exchange, call, service::json_service(target), operation(target), Form::Json)
}

/// The same of a call in RPC v2, which is JSON's twin in CBOR.
pub(crate) fn rpc_v2_draft(exchange: &Exchange, call: &Call<'_>, shape: &str, operation: &str) -> Draft {
    drafted(exchange, call, service::service_of_shape(shape), operation.to_owned(), Form::Cbor)
}

/// How documents are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Cbor,
}

fn drafted(
    exchange: &Exchange,
    call: &Call<'_>,
    known: Option<&'static JsonService>,
    event_name: String,
    form: Form,
) -> Draft {
    let event_source =
        known.map_or_else(|| service::event_source(&call.service), |known| known.event_source.to_owned());
    let reads = classify::reads(&event_source, &event_name);
    let management = !classify::is_data(&event_source, &event_name);
    let failure = failure_in(exchange, form);

    let request = document(&exchange.request_body, form);
    let resources = request
        .as_ref()
        .map_or_else(Vec::new, |request| resources::named(&exchange.endpoint, &call.region, &event_source, request));
    let sensitive = known.map_or(&[][..], |known| known.sensitive_input);
    let request_parameters = match request {
        Some(request) => shown(request, &event_source, &event_name, sensitive, Direction::Request),
        None => limits::omitted(),
    };
    let response_elements = if reads || !management || failure.is_some() || exchange.status.is_none() {
        Value::Null
    } else {
        let sensitive = known.map_or(&[][..], |known| known.sensitive_output);
        match document(&exchange.response_body, form) {
            Some(response) => shown(response, &event_source, &event_name, sensitive, Direction::Response),
            None => limits::omitted(),
        }
    };
    Draft {
        region: call.region.clone(),
        additional: Map::new(),
        request_id: header(&exchange.response_headers, "x-amzn-requestid")
            .or_else(|| header(&exchange.response_headers, "x-amz-request-id"))
            .map(|id| id.into_owned()),
        api_version: known.and_then(api_version),
        bracket_user_agent: false,
        request_parameters,
        response_elements,
        event_source,
        event_name,
        failure,
        reads,
        resources,
        management,
    }
}

/// The error of a response, as records name it: a denial is `AccessDenied` whatever the service says on the wire (33
/// services in genuine records, none of which writes the wire's `AccessDeniedException`). Its type comes as `__type` (`com.amazonaws.x#Name`) or in a header (`Name:http://…`).
pub(crate) fn failure(exchange: &Exchange) -> Option<Failure> {
    failure_in(exchange, Form::Json)
}

fn failure_in(exchange: &Exchange, form: Form) -> Option<Failure> {
    let status = exchange.status.filter(|status| status.is_client_error() || status.is_server_error())?;
    let body = document(&exchange.response_body, form).unwrap_or_default();
    let text = |member: &str| body.get(member).and_then(Value::as_str).map(str::to_owned);
    let kind = text("__type")
        .or_else(|| text("code"))
        .or_else(|| header(&exchange.response_headers, "x-amzn-errortype").map(Cow::into_owned));
    let message = text("message").or_else(|| text("Message")).or_else(|| text("errorMessage"));
    let code = kind.map(|kind| stripped(&kind).to_owned()).filter(|code| !code.is_empty());
    Some(match code {
        Some(code) if code == "AccessDeniedException" => Failure { code: "AccessDenied".to_owned(), message },
        Some(code) => Failure { code, message },
        None => Failure { message, ..by_status(status) },
    })
}

/// A code for a failure whose answer names none, which is a choice: the common errors' names by status.
pub(crate) fn by_status(status: StatusCode) -> Failure {
    let code = match status.as_u16() {
        401 | 403 => "AccessDenied",
        404 => "ResourceNotFoundException",
        429 => "ThrottlingException",
        502..=504 => "ServiceUnavailable",
        500..=599 => "InternalFailure",
        _ => "ValidationException",
    };
    Failure { code: code.to_owned(), message: None }
}

fn stripped(kind: &str) -> &str {
    let name = kind.rsplit('#').next().unwrap_or(kind);
    name.split(':').next().unwrap_or(name).trim()
}

/// What stands after the target's last dot; bounded, since nobody has checked it. A target without any name in it is
/// `UnknownOperation`, which is a choice.
fn operation(target: &str) -> String {
    let last = target.rsplit('.').next().unwrap_or(target);
    let name: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(128).collect();
    if name.is_empty() { "UnknownOperation".to_owned() } else { name }
}

/// Real records carry it for few of these services; `logs` writes it without hyphens.
fn api_version(known: &JsonService) -> Option<Cow<'static, str>> {
    match known.event_source {
        "dynamodb.amazonaws.com" => Some(known.api_version.into()),
        "logs.amazonaws.com" => Some(known.api_version.replace('-', "").into()),
        _ => None,
    }
}

/// Whether a body is one document that every reader understands alike: no member is in it twice. An empty one is.
pub(crate) fn is_document(body: &[u8]) -> bool {
    body.is_empty() || serde_json::from_slice::<Unrepeated>(body).is_ok()
}

/// Any JSON value in whose objects no member is repeated.
struct Unrepeated;

impl<'de> Deserialize<'de> for Unrepeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unrepeated {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without repeated members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member is repeated"));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

/// A body as a document: nothing for an empty one, `None` for what is unknown or ill-formed.
fn document(body: &Captured, form: Form) -> Option<Value> {
    match (body.bytes()?, form) {
        ([], _) => Some(Value::Null),
        (bytes, Form::Json) => serde_json::from_slice(bytes).ok(),
        (bytes, Form::Cbor) => cbor::parse(bytes),
    }
}

fn shown(
    mut value: Value,
    event_source: &str,
    event_name: &str,
    sensitive: &[&'static str],
    direction: Direction,
) -> Value {
    redact::document(&mut value, event_source, event_name, sensitive, direction);
    if event_source == "dynamodb.amazonaws.com" && classify::is_data(event_source, event_name) {
        value = dynamodb::without_values(value);
    }
    if event_source == "kms.amazonaws.com" {
        redact::without_texts_of_kms(&mut value);
    }
    match spelling::respelled(value) {
        Value::Object(members) if event_source == "secretsmanager.amazonaws.com" => {
            object_or_null(members.into_iter().map(spelling::of_secrets_manager).collect())
        }
        Value::Object(members) => object_or_null(members),
        Value::Null => Value::Null,
        // No service's document is anything else.
        _ => limits::omitted(),
    }
}
