//! awsJson 1.1: one URL, the operation in a header, JSON both ways.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::Exception;
use crate::shape::{InputError, Validate, check};

/// The content type of requests and responses.
pub const CONTENT_TYPE_JSON: &str = "application/x-amz-json-1.1";

/// The header that names the operation.
pub const TARGET: &str = "x-amz-target";

/// The operation that the request's target names: the text after its last dot.
///
/// Clients send two prefixes, `com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101` and
/// `CloudTrail_20131101`; neither is compared.
///
/// # Errors
/// `UnknownOperationException` without a target or with an empty one.
pub fn operation_of(headers: &HeaderMap) -> Result<&str, Exception> {
    let missing = || Exception::unknown_operation("the X-Amz-Target header must be <service>.<operation>");
    let target = headers.get(TARGET).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    match target.rsplit_once('.') {
        Some((prefix, operation)) if !prefix.is_empty() && !operation.is_empty() => Ok(operation),
        _ => Err(missing()),
    }
}

/// Reads an operation's input: JSON with the types and constraints of the service model.
///
/// An empty body is `{}`, null is absent, unknown members are ignored.
///
/// # Errors
/// `SerializationException` for what is not JSON or has a wrong type, `ValidationException` for values that break
/// constraints.
pub fn read_input<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Exception> {
    Ok(parse_input(body)?)
}

/// Like [`read_input`], for callers that have errors of their own for some constraints.
///
/// # Errors
/// What is wrong, see [`InputError`].
pub fn parse_input<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, InputError> {
    let mut value = parse_body(body)?;
    check(T::shape(), &mut value)?;
    typed(value)
}

/// The body as a JSON value; an empty one is an empty object.
pub(crate) fn parse_body(body: &[u8]) -> Result<Value, InputError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body)
        .map_err(|error| InputError::Serialization(format!("the request body is not valid JSON: {error}")))
}

/// A checked value as its generated type.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, InputError> {
    // After the check only what the tables do not describe can fail, such as base64.
    serde_json::from_value(value).map_err(|error| InputError::Serialization(error.to_string()))
}

/// A success: status 200 and the output as JSON.
pub fn respond(output: &impl Serialize, request_id: &str) -> Response<Bytes> {
    match serde_json::to_vec(output) {
        Ok(body) => response(StatusCode::OK, CONTENT_TYPE_JSON, request_id, body.into()),
        Err(_) => respond_exception(&Exception::internal_failure(), request_id), // an output with a map of odd keys
    }
}

/// A success without output: status 200 and no body.
pub fn respond_nothing(request_id: &str) -> Response<Bytes> {
    response(StatusCode::OK, CONTENT_TYPE_JSON, request_id, Bytes::new())
}

/// A failure: `{"__type": …, "Message": …}`. Errors of CloudTrail's model carry `Message`, the others `message`.
pub fn respond_exception(exception: &Exception, request_id: &str) -> Response<Bytes> {
    respond_error(exception, exception.text_member(), &[], request_id)
}

/// A failure of a service that puts its text into the member `text` and says `more` beside it.
pub fn respond_error(exception: &Exception, text: &str, more: &[(&str, &str)], request_id: &str) -> Response<Bytes> {
    let mut body = json!({ "__type": exception.name, text: exception.message });
    for (member, value) in more {
        body[*member] = Value::from(*value);
    }
    error_response(exception, CONTENT_TYPE_JSON, request_id, body.to_string().into())
}

/// An error response with the header that names the error.
pub(crate) fn error_response(
    exception: &Exception,
    content_type: &'static str,
    request_id: &str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = response(exception.status, content_type, request_id, body);
    if let Ok(name) = HeaderValue::from_str(&exception.name) {
        response.headers_mut().insert("x-amzn-errortype", name);
    }
    response
}

pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    request_id: &str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::{GetTrailStatusOutput, ListPublicKeysOutput, PublicKey};

    fn text(response: Response<Bytes>) -> String {
        String::from_utf8(response.into_body().to_vec()).unwrap()
    }

    #[test]
    fn both_target_prefixes_name_the_operation() {
        for prefix in ["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "CloudTrail_20131101"] {
            let mut headers = HeaderMap::new();
            headers.insert(TARGET, format!("{prefix}.GetTrail").parse().unwrap());
            assert_eq!(operation_of(&headers).unwrap(), "GetTrail");
        }
    }

    #[test]
    fn a_request_without_a_usable_target_is_refused() {
        assert_eq!(operation_of(&HeaderMap::new()).unwrap_err().name, "UnknownOperationException");
        for target in [&b"GetTrail"[..], b"CloudTrail_20131101.", b".GetTrail", b"a.\xFF"] {
            let mut headers = HeaderMap::new();
            headers.insert(TARGET, HeaderValue::from_bytes(target).unwrap());
            assert_eq!(operation_of(&headers).unwrap_err().name, "UnknownOperationException");
        }
    }

    #[test]
    fn outputs_leave_absent_members_out() {
        let output = GetTrailStatusOutput { is_logging: Some(true), ..Default::default() };
        let response = respond(&output, "id-1");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/x-amz-json-1.1");
        assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
        assert_eq!(text(response), r#"{"IsLogging":true}"#);
    }

    #[test]
    fn times_and_bytes_travel_in_the_protocols_form() {
        let key = PublicKey {
            value: Some(crate::Blob(vec![1, 2, 3])),
            validity_start_time: Some(opentrail_model::Timestamp::from_millis(1_700_000_000_500)),
            ..Default::default()
        };
        let output = ListPublicKeysOutput { public_key_list: Some(vec![key]), ..Default::default() };
        let json = text(respond(&output, "id-1"));
        assert_eq!(json, r#"{"PublicKeyList":[{"Value":"AQID","ValidityStartTime":1700000000.5}]}"#);
        assert_eq!(serde_json::from_str::<ListPublicKeysOutput>(&json).unwrap(), output);
    }

    #[test]
    fn errors_of_the_model_say_message_with_a_capital() {
        let response = respond_exception(&Exception::trail_not_found("Unknown trail: t"), "id-1");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()["x-amzn-errortype"], "TrailNotFoundException");
        assert_eq!(text(response), r#"{"__type":"TrailNotFoundException","Message":"Unknown trail: t"}"#);
        let common = text(respond_exception(&Exception::throttling(), "id-1"));
        assert_eq!(common, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#);
    }
}
