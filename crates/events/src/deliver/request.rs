//! The request to an API destination: endpoint, connection and target put together.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::failure::DeliveryFailure;
use crate::connection::{Additions, ApiDestination, Authorization, Held, Parameter};
use crate::rule::HttpParameters;

/// What stands in a path or query as it is. (RFC 3986, section 2.3.)
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers that belong to the connection, not to what is sent over it.
const NOT_OURS: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// The request. `token` is that of a connection which has one.
///
/// What the connection adds takes precedence over what the target adds. (API Reference, `HttpParameters`.)
pub(super) fn request(
    destination: &ApiDestination,
    held: &Held,
    token: Option<&str>,
    target: Option<&HttpParameters>,
    payload: &Bytes,
) -> Result<Request<Bytes>, DeliveryFailure> {
    let nothing = HttpParameters::default();
    let target = target.unwrap_or(&nothing);
    let path = filled(&destination.endpoint, &target.path)?;
    let added = &held.additions.query;
    let of_target = target.query.iter().filter(|(key, _)| !added.iter().any(|ours| ours.key == **key));
    let query = of_target.map(|(key, value)| (key.as_str(), value.as_str()));
    let query = query.chain(added.iter().map(|ours| (ours.key.as_str(), ours.value.expose())));
    let method = Method::from_bytes(destination.method.as_bytes()).map_err(invalid)?;
    let has_body = method != Method::GET && method != Method::HEAD;
    let body = if has_body { with_members(payload, &held.additions.body) } else { Bytes::new() };
    let mut request = Request::builder().method(method).uri(with_query(&path, query)).body(body).map_err(invalid)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(USER_AGENT, HeaderValue::from_static("Amazon/EventBridge/ApiDestinations"));
    for (name, value) in &target.headers {
        set(headers, name, value)?;
    }
    add_headers(headers, &held.additions)?;
    authorize(headers, &held.authorization, token)?;
    Ok(request)
}

/// What cannot be sent is told of without its value, which may be secret.
fn invalid(error: impl std::fmt::Display) -> DeliveryFailure {
    DeliveryFailure::never("INVALID_PARAMETER", format!("the request cannot be made: {error}"))
}

fn authorize(
    headers: &mut HeaderMap,
    authorization: &Authorization,
    token: Option<&str>,
) -> Result<(), DeliveryFailure> {
    match authorization {
        Authorization::ApiKey { name, value } => set(headers, name, value.expose()),
        Authorization::Basic { username, password } => {
            set(headers, AUTHORIZATION.as_str(), &basic(username, password.expose()))
        }
        Authorization::OAuth(_) => {
            set(headers, AUTHORIZATION.as_str(), &format!("Bearer {}", token.unwrap_or_default()))
        }
    }
}

/// The header of HTTP's Basic authentication. (RFC 7617.)
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

pub(super) fn add_headers(headers: &mut HeaderMap, additions: &Additions) -> Result<(), DeliveryFailure> {
    additions.headers.iter().try_for_each(|header| set(headers, &header.key, header.value.expose()))
}

pub(super) fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), DeliveryFailure> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(invalid)?;
    if NOT_OURS.contains(&name.as_str()) {
        return Ok(());
    }
    let mut value = HeaderValue::from_str(value).map_err(invalid)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The endpoint with a value for each star. (EventBridge User Guide, "API destinations".)
fn filled(endpoint: &str, values: &[String]) -> Result<String, DeliveryFailure> {
    let mut parts = endpoint.split('*');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    let mut values = values.iter();
    for part in parts {
        let Some(value) = values.next() else {
            return Err(invalid("the endpoint has more stars than the target has PathParameterValues"));
        };
        // Nobody climbs out of the path.
        if matches!(value.as_str(), "." | "..") {
            return Err(invalid("a path parameter must not be . or .."));
        }
        filled.extend(utf8_percent_encode(value, ESCAPED));
        filled.push_str(part);
    }
    Ok(filled)
}

pub(super) fn with_query<'a>(url: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = url.to_owned();
    for (key, value) in pairs {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.extend(utf8_percent_encode(key, ESCAPED));
        url.push('=');
        url.extend(utf8_percent_encode(value, ESCAPED));
    }
    url
}

/// The payload with the members that the connection adds, if it is a JSON object.
fn with_members(payload: &Bytes, members: &[Parameter]) -> Bytes {
    if members.is_empty() {
        return payload.clone();
    }
    let Ok(Value::Object(mut object)) = serde_json::from_slice(payload) else { return payload.clone() };
    for member in members {
        object.insert(member.key.clone(), Value::from(member.value.expose()));
    }
    Value::Object(object).to_string().into()
}

#[cfg(test)]
mod tests {
    use opentrail_model::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::connection::Hidden;

    fn destination(endpoint: &str, method: &str) -> ApiDestination {
        ApiDestination {
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            name: "hook".to_owned(),
            id: "1".to_owned(),
            description: None,
            connection_arn: String::new(),
            endpoint: endpoint.to_owned(),
            method: method.to_owned(),
            rate: 300,
            created: Timestamp::EPOCH,
            modified: Timestamp::EPOCH,
        }
    }

    fn parameter(key: &str, value: &str) -> Parameter {
        Parameter { key: key.to_owned(), value: Hidden::new(value.to_owned()), is_secret: true }
    }

    fn basic_held(additions: Additions) -> Held {
        let password = Hidden::new("open sesame".to_owned());
        Held { authorization: Authorization::Basic { username: "Aladdin".to_owned(), password }, additions }
    }

    #[test]
    fn the_connections_additions_win_over_the_targets() {
        let additions = Additions {
            headers: vec![parameter("X-A", "ours"), parameter("Host", "elsewhere")],
            query: vec![parameter("q", "ours &")],
            body: vec![parameter("k", "v")],
        };
        let target = HttpParameters {
            path: vec!["a/b".to_owned()],
            headers: [("x-a".to_owned(), "theirs".to_owned()), ("x-b".to_owned(), "b".to_owned())].into(),
            query: [("q".to_owned(), "theirs".to_owned()), ("r".to_owned(), "1".to_owned())].into(),
        };
        let destination = destination("https://example.com/hooks/*?v=2", "PUT");
        let payload = Bytes::from(json!({ "id": "1" }).to_string());
        let request = request(&destination, &basic_held(additions), None, Some(&target), &payload).unwrap();
        assert_eq!(request.uri(), "https://example.com/hooks/a%2Fb?v=2&r=1&q=ours%20%26");
        assert_eq!(
            (&request.headers()["x-a"], &request.headers()["x-b"]),
            (&"ours".parse().unwrap(), &"b".parse().unwrap())
        );
        // The example of RFC 7617.
        assert_eq!(request.headers()[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!request.headers().contains_key("host"));
        assert_eq!(&request.body()[..], br#"{"id":"1","k":"v"}"#);
        assert!(!format!("{request:?}").contains("QWxhZGRpb"), "authorisation shows in logs");
    }

    #[test]
    fn paths_stay_where_they_are_and_no_star_is_sent() {
        let destination = destination("https://example.com/*/x", "POST");
        let held = basic_held(Additions::default());
        for path in [vec![], vec!["..".to_owned()]] {
            let target = HttpParameters { path, ..HttpParameters::default() };
            let failure = request(&destination, &held, None, Some(&target), &Bytes::new()).unwrap_err();
            assert_eq!((failure.code, failure.retry), ("INVALID_PARAMETER", super::super::Retry::Never));
        }
    }
}
