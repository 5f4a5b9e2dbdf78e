//! Which headers cross the gateway: all but those that concern one connection (RFC 9110, 7.6.1).

use http::header::{CONNECTION, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

pub(crate) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(crate) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Leaves out what concerns the client's connection. `Trailer` stays, since trailers cross too, and with it
/// `TE: trailers`. A signed header is never left out: no client should sign one of these, but then it must arrive.
pub(crate) fn for_upstream(parts: &mut Parts) {
    let signed = signed_headers(&parts.headers);
    let trailers = parts.headers.get(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let is_signed = |name: &HeaderName| signed.as_ref().is_some_and(|list| list.split(';').any(|s| s == name.as_str()));
    for name in named_by_connection(&parts.headers) {
        if !is_signed(&name) {
            parts.headers.remove(name);
        }
    }
    for name in [CONNECTION, PROXY_CONNECTION, KEEP_ALIVE, TE, UPGRADE] {
        if !is_signed(&name) {
            parts.headers.remove(name);
        }
    }
    // The framing of the body is chosen anew.
    parts.headers.remove(TRANSFER_ENCODING);
    if trailers {
        parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if !parts.headers.contains_key(HOST)
        && let Some(host) = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    {
        // HTTP/2 carries what was signed as `host` in `:authority`.
        parts.headers.insert(HOST, host);
    }
}

/// Leaves out what concerns the upstream's connection.
pub(crate) fn for_client(headers: &mut HeaderMap) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in [CONNECTION, PROXY_CONNECTION, KEEP_ALIVE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn signed_headers(headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let start = authorization.find("SignedHeaders=")? + "SignedHeaders=".len();
    authorization[start..].split([',', ' ']).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn what_concerns_the_connection_stays_behind_unless_it_is_signed() {
        let (mut parts, ()) = Request::builder()
            .uri("http://h.example:81/p")
            .header("connection", "close, x-mine, x-signed")
            .header("x-mine", "1")
            .header("x-signed", "1")
            .header("te", "trailers")
            .header("trailer", "x-amz-checksum-crc32")
            .header("transfer-encoding", "chunked")
            .header("expect", "100-continue")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host;x-signed, Signature=0")
            .body(())
            .unwrap()
            .into_parts();
        for_upstream(&mut parts);
        let mut names: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "expect", "host", "te", "trailer", "x-signed"]);
        assert_eq!(parts.headers["host"], "h.example:81");
    }
}
