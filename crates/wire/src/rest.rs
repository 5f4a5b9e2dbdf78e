//! restJson 1: the protocol of `cloudtrail-data`, whose one operation is `POST /PutAuditEvents`.

use bytes::Bytes;
use http::{Method, Response, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::shape::{InputError, Location, Shape, Validate, check};
use crate::{Exception, json as aws_json};

/// The content type of requests and responses.
pub const CONTENT_TYPE_JSON: &str = "application/json";

/// The operation that a method and path name.
///
/// # Errors
/// `UnknownOperationException` when there is none.
pub fn operation_of(method: &Method, path: &str) -> Result<crate::cloudtrail_data::Operation, Exception> {
    match (method, path) {
        (&Method::POST, "/PutAuditEvents") => Ok(crate::cloudtrail_data::Operation::PutAuditEvents),
        _ => Err(Exception::unknown_operation(format!("cloudtrail-data has no operation {method} {path}"))),
    }
}

/// Reads an operation's input from the URL's query and the body, as the service model places its members.
///
/// # Errors
/// As [`json::read_input`](crate::json::read_input).
pub fn read_input<T: DeserializeOwned + Validate>(uri: &Uri, body: &[u8]) -> Result<T, Exception> {
    let mut value = aws_json::parse_body(body)?;
    if let (Shape::Structure(members), Value::Object(object)) = (T::shape(), &mut value) {
        for member in members.iter().filter(|member| member.location == Location::Query) {
            object.remove(member.name);
            if let Some(text) = query_value(uri.query().unwrap_or_default(), member.name)? {
                object.insert(member.name.to_owned(), Value::String(text));
            }
        }
    }
    check(T::shape(), &mut value).map_err(Exception::from)?;
    Ok(aws_json::typed(value)?)
}

/// The first value of `key`, decoded; `+` stands for a space.
fn query_value(query: &str, key: &str) -> Result<Option<String>, InputError> {
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == key {
            let value = value.replace('+', " ");
            let text = percent_decode_str(&value).decode_utf8();
            let not_text = |_| InputError::Serialization(format!("the query parameter {key} is not UTF-8"));
            return text.map(|text| Some(text.into_owned())).map_err(not_text);
        }
    }
    Ok(None)
}

/// A success: status 200 and the output as JSON.
pub fn respond(output: &impl Serialize, request_id: &str) -> Response<Bytes> {
    match serde_json::to_vec(output) {
        Ok(body) => aws_json::response(StatusCode::OK, CONTENT_TYPE_JSON, request_id, body.into()),
        Err(_) => respond_exception(&Exception::internal_failure(), request_id), // an output with a map of odd keys
    }
}

/// A failure: the name in the header `x-amzn-ErrorType`, `{"message": …}` in the body.
pub fn respond_exception(exception: &Exception, request_id: &str) -> Response<Bytes> {
    let body = json!({ "message": exception.message });
    aws_json::error_response(exception, CONTENT_TYPE_JSON, request_id, body.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail_data::{PutAuditEventsInput, PutAuditEventsOutput};

    const EVENTS: &[u8] = br#"{"auditEvents":[{"id":"1","eventData":"{}"}],"channelArn":"arn:of-the-body"}"#;

    fn read(query: &str, body: &[u8]) -> Result<PutAuditEventsInput, Exception> {
        read_input(&format!("/PutAuditEvents?{query}").parse().unwrap(), body)
    }

    #[test]
    fn members_are_read_from_where_the_model_places_them() {
        let input =
            read("channelArn=arn%3Aaws%3Acloudtrail&externalId=a+b".replace("+b", "%2Bb").as_str(), EVENTS).unwrap();
        assert_eq!(input.channel_arn, "arn:aws:cloudtrail");
        assert_eq!(input.external_id.as_deref(), Some("a+b"));
        assert_eq!(input.audit_events[0].event_data, "{}");
    }

    #[test]
    fn constraints_hold_for_the_query_too() {
        let missing = read("", EVENTS).unwrap_err();
        assert!(missing.message.contains("Value null at 'channelArn'"), "{missing}");
        let wrong = read("channelArn=trail", EVENTS).unwrap_err();
        assert!(wrong.message.contains("Member must satisfy regular expression pattern: ^arn:.*$"), "{wrong}");
        let no_text = read("channelArn=%FF", EVENTS).unwrap_err();
        assert_eq!(no_text.name, "SerializationException");
    }

    #[test]
    fn only_the_one_operation_exists() {
        assert!(operation_of(&Method::POST, "/PutAuditEvents").is_ok());
        assert!(operation_of(&Method::GET, "/PutAuditEvents").is_err());
        assert!(operation_of(&Method::POST, "/").is_err());
    }

    #[test]
    fn errors_are_named_in_a_header() {
        let response = respond_exception(&crate::cloudtrail_data::channel_not_found("no such channel"), "id-1");
        assert_eq!(response.headers()["x-amzn-errortype"], "ChannelNotFound");
        assert_eq!(response.body(), r#"{"message":"no such channel"}"#);
        let ok = respond(&PutAuditEventsOutput::default(), "id-1");
        assert_eq!(ok.headers()["content-type"], "application/json");
        assert_eq!(ok.body(), r#"{"failed":[],"successful":[]}"#);
    }
}
