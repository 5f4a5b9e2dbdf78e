//! What S3 asks of a signed request beyond the signature itself, which `s3s` verifies.

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use s3s::{S3Error, S3ErrorCode, S3Result};

/// Who signed a request, as far as the request says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signer {
    pub(crate) session_token: Option<String>,
}

/// The longest life of a presigned URL, in seconds. (S3 API Reference, "Authenticating Requests: Using Query
/// Parameters", X-Amz-Expires.)
const LONGEST_LIFE_SECS: u32 = 604_800;

/// Looks at a request before its signature is verified.
///
/// # Errors
/// When it is not signed, or in a way that S3 does not take: another mechanism, two at once, another service's scope,
/// headers left out of the signature, a presigned URL that lives longer than a week.
pub(crate) fn inspect(head: &Parts) -> S3Result<Signer> {
    let query = |name: &str| query_value(head.uri.query().unwrap_or_default(), name);
    let authorization = match head.headers.get_all(http::header::AUTHORIZATION).iter().collect::<Vec<_>>()[..] {
        [] => None,
        [one] => Some(one.to_str().map_err(|_| refusal(S3ErrorCode::InvalidArgument, "Authorization is not ASCII."))?),
        _ => return Err(refusal(S3ErrorCode::InvalidArgument, "There is more than one Authorization header.")),
    };
    let unsupported = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    let presigned = query("X-Amz-Signature").is_some() || query("X-Amz-Algorithm").is_some();
    let (credential, signed_headers) = match authorization {
        Some(_) if presigned || query("Signature").is_some() => {
            let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
                           string parameter or the Authorization header should be specified";
            return Err(refusal(S3ErrorCode::InvalidArgument, message));
        }
        Some(value) => {
            let Some(fields) = value.strip_prefix("AWS4-HMAC-SHA256") else {
                return Err(refusal(S3ErrorCode::InvalidRequest, unsupported));
            };
            (field(fields, "Credential="), field(fields, "SignedHeaders="))
        }
        None if presigned => {
            let expires = query("X-Amz-Expires").and_then(|seconds| seconds.parse::<u32>().ok());
            if !expires.is_some_and(|seconds| (1..=LONGEST_LIFE_SECS).contains(&seconds)) {
                let message = "X-Amz-Expires must be between 1 second and a week (in seconds), 604800";
                return Err(refusal(S3ErrorCode::AuthorizationQueryParametersError, message));
            }
            (query("X-Amz-Credential"), query("X-Amz-SignedHeaders"))
        }
        None if query("Signature").is_some() || query("AWSAccessKeyId").is_some() => {
            // What boto3 makes unless told otherwise.
            let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256, in \
                           boto3 with Config(signature_version='s3v4').";
            return Err(refusal(S3ErrorCode::InvalidRequest, message));
        }
        None => {
            return Err(refusal(
                S3ErrorCode::AccessDenied,
                "Access Denied: sign the request; anonymous calls are refused",
            ));
        }
    };
    let malformed = "The authorization is malformed: expected Credential, SignedHeaders and Signature.";
    let missing = || refusal(S3ErrorCode::Custom("AuthorizationHeaderMalformed".into()), malformed);
    let (credential, signed_headers) = (credential.ok_or_else(missing)?, signed_headers.ok_or_else(missing)?);
    if credential.rsplit('/').nth(1) != Some("s3") {
        let message = "The authorization is malformed; the credential scope must name the service s3.";
        return Err(refusal(S3ErrorCode::Custom("AuthorizationHeaderMalformed".into()), message));
    }
    require_signed(head, &signed_headers, presigned)?;
    let header = head.headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
    let session_token = header.map(str::to_owned).or_else(|| query("X-Amz-Security-Token"));
    Ok(Signer { session_token })
}

/// `Host` and every `x-amz-…` header must be under the signature, or somebody on the way could add them. (S3 API
/// Reference, "Signature Calculations for the Authorization Header".)
fn require_signed(head: &Parts, signed_headers: &str, presigned: bool) -> S3Result<()> {
    let is_signed = |name: &str| signed_headers.split(';').any(|signed| signed.eq_ignore_ascii_case(name));
    let mut names = head.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    // The signature of a presigned URL is made before the body is known.
    let exempt = |name: &str| presigned && name == "x-amz-content-sha256";
    if !is_signed("host") || names.any(|name| !is_signed(name) && !exempt(name)) {
        let message = "There were headers present in the request which were not signed";
        return Err(refusal(S3ErrorCode::AccessDenied, message));
    }
    Ok(())
}

fn field(fields: &str, name: &str) -> Option<String> {
    fields.split(',').find_map(|field| field.trim().strip_prefix(name)).map(str::to_owned)
}

/// The first value of a query parameter, decoded.
pub(crate) fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(key, _)| percent_decode_str(key).decode_utf8_lossy() == name)?;
    Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}

/// The headers that a presigned URL has in its query, where its signature covers them: SDKs put them there, and S3 takes
/// them for headers. What belongs to the signature itself is none.
pub(crate) fn hoisted(query: &str) -> Vec<(HeaderName, HeaderValue)> {
    let signature = [
        "algorithm",
        "credential",
        "date",
        "expires",
        "signedheaders",
        "signature",
        "security-token",
        "content-sha256",
    ];
    let names = query.split('&').filter_map(|pair| pair.split('=').next());
    let headers = names.filter_map(|name| {
        let lower = name.to_ascii_lowercase();
        let rest = lower.strip_prefix("x-amz-")?;
        if query_value(query, "X-Amz-Signature").is_none() || signature.contains(&rest) {
            return None;
        }
        Some((lower.parse().ok()?, query_value(query, name)?.parse().ok()?))
    });
    headers.collect()
}

fn refusal(code: S3ErrorCode, message: &'static str) -> S3Error {
    let status = code.status_code().unwrap_or(http::StatusCode::BAD_REQUEST);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const SCOPE: &str = "Credential=AKID/20260102/us-east-1/s3/aws4_request";

    fn signed(signed_headers: &str) -> String {
        format!("AWS4-HMAC-SHA256 {SCOPE}, SignedHeaders={signed_headers}, Signature=ab")
    }

    #[test]
    fn amz_headers_outside_the_signature_are_refused() {
        let mut head = parts("/b/k", &[("host", "h"), ("x-amz-acl", "private"), ("x-amz-date", "d")]);
        head.headers.insert("authorization", signed("host;x-amz-date").parse().unwrap());
        assert_eq!(inspect(&head).unwrap_err().code(), &S3ErrorCode::AccessDenied);
        head.headers.insert("authorization", signed("host;x-amz-acl;x-amz-date").parse().unwrap());
        assert!(inspect(&head).is_ok());
        head.headers.insert("authorization", signed("x-amz-acl;x-amz-date").parse().unwrap());
        assert_eq!(inspect(&head).unwrap_err().code(), &S3ErrorCode::AccessDenied);
    }

    #[test]
    fn anonymous_and_outdated_mechanisms_are_refused() {
        assert_eq!(inspect(&parts("/b/k", &[])).unwrap_err().code(), &S3ErrorCode::AccessDenied);
        let v2 = parts("/b/k", &[("authorization", "AWS AKID:sig")]);
        assert_eq!(inspect(&v2).unwrap_err().code(), &S3ErrorCode::InvalidRequest);
        let v2 = parts("/b/k?AWSAccessKeyId=a&Signature=b&Expires=1", &[]);
        assert_eq!(inspect(&v2).unwrap_err().code(), &S3ErrorCode::InvalidRequest);
    }

    #[test]
    fn headers_in_the_query_of_a_presigned_url_are_headers() {
        let query = "X-Amz-Signature=a&X-Amz-Date=d&X-Amz-Server-Side-Encryption=aws%3Akms&x-id=PutObject";
        let found = hoisted(query);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.as_bytes()), ("x-amz-server-side-encryption", &b"aws:kms"[..]));
        assert!(hoisted("X-Amz-Server-Side-Encryption=aws%3Akms").is_empty(), "nobody signed it as a header");
    }

    #[test]
    fn presigned_urls_live_a_week_at_most_and_carry_the_token() {
        let url = |expires: u32| {
            let scope = "X-Amz-Credential=AKID%2F20260102%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host";
            let rest = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a&X-Amz-Security-Token=t%2F1";
            parts(&format!("/b/k?{rest}&{scope}&X-Amz-Expires={expires}"), &[])
        };
        assert_eq!(inspect(&url(604_800)).unwrap().session_token.as_deref(), Some("t/1"));
        assert!(inspect(&url(604_801)).is_err());
        assert!(inspect(&url(0)).is_err());
    }
}
