//! The canonical request: one spelling for all the ways in which HTTP can say the same thing.
//!
//! It is made of bytes, since header values need not be UTF-8.

use std::borrow::Cow;

use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Everything but letters, digits, `-`, `.`, `_`, `~` is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// In a path the slash stays too.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// How a service treats the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathRules {
    /// Remove `.`, `..` and empty segments.
    pub(super) normalize: bool,
    /// Encode the path as it was sent, so that its `%` becomes `%25`.
    pub(super) double_encode: bool,
}

/// The canonical request over the headers that are signed.
///
/// # Errors
/// The name of a signed header that the request does not have.
pub(super) fn request<'a>(
    parts: &Parts,
    path: &str,
    query: &str,
    signed_headers: impl Iterator<Item = &'a str> + Clone,
    payload: &str,
) -> Result<Vec<u8>, &'a str> {
    let mut out = Vec::with_capacity(512);
    for line in [parts.method.as_str(), path, query] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    for name in signed_headers.clone() {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        header_values(parts, name, &mut out)?;
        out.push(b'\n');
    }
    out.push(b'\n');
    for (i, name) in signed_headers.enumerate() {
        if i > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    Ok(out)
}

/// The path as the service canonicalises it.
pub(super) fn path(sent: &str, rules: PathRules) -> String {
    let path: Cow<'_, str> = if rules.normalize { normalized(sent).into() } else { sent.into() };
    let path = if path.is_empty() { "/".into() } else { path };
    let bytes: Cow<'_, [u8]> =
        if rules.double_encode { path.as_bytes().into() } else { percent_decode_str(&path).into() };
    percent_encode(&bytes, ENCODED_IN_PATH).to_string()
}

/// The query without `without`, each name and value decoded and encoded anew, sorted by name, then value.
///
/// A `+` stands for a space, as in forms; clients that mean a plus send `%2B`.
pub(super) fn query(sent: &str, without: Option<&str>) -> String {
    let mut pairs: Vec<(String, String)> = sent
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (reencoded(name), reencoded(value)))
        .filter(|(name, _)| Some(name.as_str()) != without)
        .collect();
    pairs.sort_unstable();
    let mut out = String::with_capacity(sent.len());
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&name);
        out.push('=');
        out.push_str(&value);
    }
    out
}

/// `text` with everything but unreserved characters encoded.
pub(super) fn encoded(text: &str) -> String {
    percent_encode(text.as_bytes(), ENCODED).to_string()
}

fn reencoded(sent: &str) -> String {
    let spaced = sent.replace('+', " ");
    let bytes: Cow<'_, [u8]> = percent_decode_str(&spaced).into();
    percent_encode(&bytes, ENCODED).to_string()
}

/// Without `.`, `..` and empty segments, by RFC 3986 section 5.2.4: what ends as a directory keeps its slash.
fn normalized(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let is_directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    let slash = if is_directory && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}", segments.join("/"))
}

/// Appends the values of a header, comma-separated, each trimmed and with runs of spaces made one.
fn header_values<'a>(parts: &Parts, name: &'a str, out: &mut Vec<u8>) -> Result<(), &'a str> {
    let mut values = parts.headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        // HTTP/2 carries the host in the request target.
        let authority = parts.uri.authority().filter(|_| matches!(name, "host" | ":authority")).ok_or(name)?;
        out.extend_from_slice(authority.as_str().as_bytes());
        return Ok(());
    }
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let mut space_before = false;
        for &byte in value.as_bytes().trim_ascii() {
            let space = byte == b' ';
            if !(space && space_before) {
                out.push(byte);
            }
            space_before = space;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S3: PathRules = PathRules { normalize: false, double_encode: false };
    const OTHERS: PathRules = PathRules { normalize: true, double_encode: true };

    #[test]
    fn s3_keeps_the_path_and_encodes_it_once() {
        assert_eq!(path("/bucket//a/../b%20c(1)", S3), "/bucket//a/../b%20c%281%29");
        assert_eq!(path("/bucket/%41%2f", S3), "/bucket/A/");
        assert_eq!(path("", S3), "/");
    }

    #[test]
    fn other_services_normalise_the_path_and_encode_it_again() {
        assert_eq!(path("//a/./b/../c%20d/", OTHERS), "/a/c%2520d/");
        assert_eq!(path("/a/b/..", OTHERS), "/a/");
        assert_eq!(path("/../..", OTHERS), "/");
    }

    #[test]
    fn queries_are_sorted_by_encoded_name_then_value() {
        assert_eq!(query("b=2&a=2&a=1&c", None), "a=1&a=2&b=2&c=");
        assert_eq!(query("channelArn=arn:aws:x&k=a+b&p=%2B", None), "channelArn=arn%3Aaws%3Ax&k=a%20b&p=%2B");
        assert_eq!(query("X-Amz-Signature=0&a=1&&", Some("X-Amz-Signature")), "a=1");
    }

    #[test]
    fn repeated_headers_are_joined_and_spaces_collapsed() {
        let (parts, ()) = http::Request::get("http://example.com/")
            .header("my-header", "  a   b  ")
            .header("my-header", "c")
            .body(())
            .unwrap()
            .into_parts();
        let canonical = request(&parts, "/", "", ["host", "my-header"].into_iter(), "-").unwrap();
        let expected = "GET\n/\n\nhost:example.com\nmy-header:a b,c\n\nhost;my-header\n-";
        assert_eq!(String::from_utf8(canonical).unwrap(), expected);
    }
}
