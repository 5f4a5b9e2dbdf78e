use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use opentrail_model::Timestamp;

use super::canonical::{self, PathRules};
use super::{ALGORITHM, Credential, key, stamp};

/// In place of a body's hash: the body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// What a client signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key.
    pub access_key_id: String,
    /// The secret that goes with it.
    pub secret: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// A request that cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Neither a `Host` header nor an absolute URI.
    #[error("the request names no host; give it a Host header or an absolute URI")]
    NoHost,
    /// A credential holds bytes that cannot stand in a header.
    #[error("the {what} cannot stand in a header")]
    NotAHeader {
        /// Which.
        what: &'static str,
    },
}

/// Signs a request by its `Authorization` header, as of `now`.
///
/// `payload` is the body's SHA-256 in hexadecimal ([`hex_sha256`](super::hex_sha256)) or a literal such as
/// [`UNSIGNED_PAYLOAD`]. Adds `host`, `x-amz-date`, for temporary credentials `x-amz-security-token`, and for S3, or
/// where the payload is a literal, `x-amz-content-sha256`. Those, `content-type` and every other `x-amz-*` header
/// are signed, so nothing of them may change afterwards.
///
/// # Errors
/// When the request names no host or a credential does not fit into a header.
pub fn sign_headers(
    parts: &mut Parts,
    credentials: &Credentials,
    region: &str,
    service: &str,
    payload: &str,
    now: Timestamp,
) -> Result<(), SignError> {
    let stamp = stamp::format(now);
    require_host(parts)?;
    parts.headers.remove(AUTHORIZATION);
    set(parts, "x-amz-date", &stamp, "time")?;
    match &credentials.session_token {
        Some(token) => set(parts, "x-amz-security-token", token, "session token")?,
        None => _ = parts.headers.remove("x-amz-security-token"),
    }
    if service == "s3" || payload.len() != 64 || parts.headers.contains_key("x-amz-content-sha256") {
        set(parts, "x-amz-content-sha256", payload, "payload hash")?;
    }
    let mut signed: Vec<&str> = parts
        .headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| *name == HOST.as_str() || *name == CONTENT_TYPE.as_str() || name.starts_with("x-amz-"))
        .collect();
    signed.sort_unstable();
    let credential = credential(credentials, region, service, &stamp);
    let query = canonical::query(parts.uri.query().unwrap_or_default(), None);
    let canonical = canonical_request(parts, service, &query, &signed, payload)?;
    let signature = hex::encode(key::signature(&credentials.secret, &credential, &stamp, &canonical));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credential.access_key_id,
        credential.scope(),
        signed.join(";")
    );
    set(parts, AUTHORIZATION.as_str(), &authorization, "access key")
}

/// Signs a request by its query, valid for `expires` (1 second to 7 days) from `now`; changes `parts.uri`.
///
/// The host and every `x-amz-*` header present are signed. `payload` is as in [`sign_headers`]; for S3 it is
/// [`UNSIGNED_PAYLOAD`].
///
/// # Errors
/// When the request names no host.
pub fn presign(
    parts: &mut Parts,
    credentials: &Credentials,
    region: &str,
    service: &str,
    payload: &str,
    expires: Duration,
    now: Timestamp,
) -> Result<(), SignError> {
    let stamp = stamp::format(now);
    require_host(parts)?;
    let mut signed: Vec<&str> = parts
        .headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| *name == HOST.as_str() || name.starts_with("x-amz-"))
        .collect();
    signed.sort_unstable();
    let credential = credential(credentials, region, service, &stamp);
    let mut query = parts.uri.query().map(|query| format!("{query}&")).unwrap_or_default();
    query.push_str(&format!(
        "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={stamp}&X-Amz-Expires={}&X-Amz-SignedHeaders={}",
        canonical::encoded(&format!("{}/{}", credential.access_key_id, credential.scope())),
        expires.as_secs(),
        canonical::encoded(&signed.join(";")),
    ));
    if let Some(token) = &credentials.session_token {
        query.push_str(&format!("&X-Amz-Security-Token={}", canonical::encoded(token)));
    }
    let canonical = canonical_request(parts, service, &canonical::query(&query, None), &signed, payload)?;
    let signature = hex::encode(key::signature(&credentials.secret, &credential, &stamp, &canonical));
    let path_and_query = format!("{}?{query}&X-Amz-Signature={signature}", parts.uri.path());
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query =
        Some(PathAndQuery::try_from(path_and_query).map_err(|_| SignError::NotAHeader { what: "query" })?);
    parts.uri = Uri::from_parts(uri).map_err(|_| SignError::NoHost)?;
    Ok(())
}

fn canonical_request(
    parts: &Parts,
    service: &str,
    query: &str,
    signed: &[&str],
    payload: &str,
) -> Result<Vec<u8>, SignError> {
    let rules = PathRules { normalize: service != "s3", double_encode: service != "s3" };
    let path = canonical::path(parts.uri.path(), rules);
    canonical::request(parts, &path, query, signed.iter().copied(), payload).map_err(|_| SignError::NoHost)
}

fn credential(credentials: &Credentials, region: &str, service: &str, stamp: &str) -> Credential {
    Credential {
        access_key_id: credentials.access_key_id.clone(),
        date: stamp[..8].to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
    }
}

/// Makes the host a header, so that it is signed as it will be sent.
fn require_host(parts: &mut Parts) -> Result<(), SignError> {
    if parts.headers.contains_key(HOST) {
        return Ok(());
    }
    let host = parts.uri.authority().ok_or(SignError::NoHost)?;
    let host = host.as_str().rsplit('@').next().unwrap_or_default().to_owned();
    set(parts, HOST.as_str(), &host, "host")
}

fn set(parts: &mut Parts, name: &'static str, value: &str, what: &'static str) -> Result<(), SignError> {
    let value = HeaderValue::from_str(value).map_err(|_| SignError::NotAHeader { what })?;
    parts.headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
