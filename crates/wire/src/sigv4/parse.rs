use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;
use opentrail_model::Timestamp;
use percent_encoding::percent_decode_str;

use super::{ALGORITHM, Credential, SignatureError, stamp};

/// The longest validity of a presigned URL: seven days.
const MAX_EXPIRES_SECS: u64 = 604_800;

/// What a signature says about the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Its SHA-256.
    Hash([u8; 32]),
    /// Nothing: `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// It comes in signed chunks: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
    StreamingSigned,
    /// In signed chunks with signed trailers: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`.
    StreamingSignedTrailer,
    /// In unsigned chunks with trailers: `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    StreamingUnsignedTrailer,
    /// There is no `x-amz-content-sha256`. Its SHA-256 counts all the same, but for presigned S3 requests.
    Absent,
}

/// How the signature travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query; valid for so long after the request's time.
    Presigned { expires: Duration },
}

/// The signature of a request, read but not yet judged.
#[derive(Clone)]
pub struct SignedRequest {
    pub(super) credential: Credential,
    pub(super) form: Form,
    /// In lower case, in the order given.
    pub(super) signed_headers: Vec<String>,
    /// `None` when it is not 64 hexadecimal digits and so cannot be right.
    pub(super) signature: Option<[u8; 32]>,
    pub(super) stamp: String,
    pub(super) time: Timestamp,
    session_token: Option<String>,
    payload: Payload,
    /// The payload as sent, for the canonical request.
    pub(super) payload_text: Option<String>,
}

impl SignedRequest {
    /// Reads the signature of a request; `None` when it bears none.
    ///
    /// # Errors
    /// What keeps the signature from being read; see [`SignatureError`] for the client's view of each.
    pub fn parse(parts: &Parts) -> Result<Option<Self>, SignatureError> {
        let query = parts.uri.query().unwrap_or_default();
        let presigned = query_parameter(query, "X-Amz-Algorithm")?;
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        match (headers.next(), presigned) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(SignatureError::SeveralMechanisms),
            (None, Some(algorithm)) => Self::from_query(parts, query, &algorithm).map(Some),
            (Some(_), None) if headers.next().is_some() => Err(SignatureError::SeveralMechanisms),
            (Some(header), None) => {
                let header = header.to_str().map_err(|_| SignatureError::HeaderNotText)?;
                Self::from_header(parts, header.trim())
            }
        }
    }

    /// The access key that the request claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        &self.credential.access_key_id
    }

    /// The session token that came along; temporary access keys have one.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// What the request is signed for.
    pub fn scope(&self) -> &Credential {
        &self.credential
    }

    /// Whether the signature travels in the query.
    pub fn is_presigned(&self) -> bool {
        matches!(self.form, Form::Presigned { .. })
    }

    /// The time that the request was signed at, as it says.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What is said about the body. Whoever verified without the body's hash checks the body against this.
    pub fn content_sha256(&self) -> Payload {
        self.payload
    }

    fn from_header(parts: &Parts, header: &str) -> Result<Option<Self>, SignatureError> {
        let (algorithm, fields) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            return match algorithm.starts_with("AWS") {
                true => Err(SignatureError::UnsupportedAlgorithm { given: algorithm.to_owned() }),
                false => Ok(None), // Basic, Bearer …: not AWS's way to authenticate
            };
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in authorization_fields(fields) {
            let (name, value) = field?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SignatureError::RepeatedField { name: name.to_owned() });
            }
        }
        let time = header_time(parts)?;
        let (Some(credential), Some(signed_headers), Some(signature), Some((stamp, time))) =
            (credential, signed_headers, signature, &time)
        else {
            return Err(SignatureError::MissingFields {
                credential: credential.is_none(),
                signature: signature.is_none(),
                signed_headers: signed_headers.is_none(),
                date: time.is_none(),
            });
        };
        let (payload, payload_text) = payload(single_header(parts, "x-amz-content-sha256")?)?;
        Ok(Some(Self {
            credential: Credential::parse(credential)?,
            form: Form::Header,
            signed_headers: header_names(signed_headers),
            signature: decoded_signature(signature),
            stamp: stamp.clone(),
            time: *time,
            session_token: single_header(parts, "x-amz-security-token")?,
            payload,
            payload_text,
        }))
    }

    fn from_query(parts: &Parts, query: &str, algorithm: &str) -> Result<Self, SignatureError> {
        if algorithm != ALGORITHM {
            return Err(SignatureError::UnsupportedAlgorithm { given: algorithm.to_owned() });
        }
        let require =
            |name: &'static str| query_parameter(query, name)?.ok_or(SignatureError::MissingQueryParameter { name });
        let credential = require("X-Amz-Credential")?;
        let stamp = require("X-Amz-Date")?;
        let signed_headers = require("X-Amz-SignedHeaders")?;
        let signature = require("X-Amz-Signature")?;
        let expires = require("X-Amz-Expires")?;
        let expires = match expires.parse::<u64>() {
            Ok(secs @ 1..=MAX_EXPIRES_SECS) => Duration::from_secs(secs),
            _ => return Err(SignatureError::InvalidExpires { given: expires }),
        };
        let token = query_parameter(query, "X-Amz-Security-Token")?;
        let content = match single_header(parts, "x-amz-content-sha256")? {
            None => query_parameter(query, "X-Amz-Content-Sha256")?,
            header => header,
        };
        let (payload, payload_text) = payload(content)?;
        Ok(Self {
            credential: Credential::parse(&credential)?,
            form: Form::Presigned { expires },
            signed_headers: header_names(&signed_headers),
            signature: decoded_signature(&signature),
            time: stamp::parse(&stamp).ok_or_else(|| SignatureError::InvalidDate { given: stamp.clone() })?,
            stamp,
            session_token: token,
            payload,
            payload_text,
        })
    }
}

/// Without signature and session token, which do not belong in logs.
impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("credential", &self.credential)
            .field("form", &self.form)
            .field("signed_headers", &self.signed_headers)
            .field("stamp", &self.stamp)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// `Name=value` parts, separated by commas.
pub(super) fn authorization_fields(fields: &str) -> impl Iterator<Item = Result<(&str, &str), SignatureError>> {
    fields
        .split(',')
        .map(str::trim)
        .filter(|field| !field.is_empty())
        .map(|field| field.split_once('=').ok_or_else(|| SignatureError::NotKeyValue { part: field.to_owned() }))
}

/// The value of a query parameter, decoded.
///
/// # Errors
/// When the parameter is there twice, since then it is open which one counts.
pub(super) fn query_parameter(query: &str, name: &'static str) -> Result<Option<String>, SignatureError> {
    let mut values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(key).decode_utf8_lossy() == name).then_some(value)
    });
    let value = values.next();
    if values.next().is_some() {
        return Err(SignatureError::RepeatedField { name: name.to_owned() });
    }
    Ok(value.map(|value| percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()))
}

/// The request's time as its text in the string to sign, from `X-Amz-Date` or else `Date`.
fn header_time(parts: &Parts) -> Result<Option<(String, Timestamp)>, SignatureError> {
    let given = match single_header(parts, "x-amz-date")? {
        None => single_header(parts, "date")?,
        amz_date => amz_date,
    };
    let Some(given) = given else { return Ok(None) };
    match stamp::parse(&given).or_else(|| stamp::parse_http_date(&given)) {
        Some(time) => Ok(Some((stamp::format(time), time))),
        None => Err(SignatureError::InvalidDate { given }),
    }
}

/// The value of a header that may be there once.
fn single_header(parts: &Parts, name: &'static str) -> Result<Option<String>, SignatureError> {
    let mut values = parts.headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(SignatureError::RepeatedField { name: name.to_owned() });
    }
    let text = value.to_str().map_err(|_| SignatureError::HeaderNotText)?;
    Ok(Some(text.trim().to_owned()))
}

fn payload(text: Option<String>) -> Result<(Payload, Option<String>), SignatureError> {
    let payload = match text.as_deref() {
        None => Payload::Absent,
        Some("UNSIGNED-PAYLOAD") => Payload::Unsigned,
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => Payload::StreamingSigned,
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => Payload::StreamingSignedTrailer,
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => Payload::StreamingUnsignedTrailer,
        Some(text) => {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash)
                .map_err(|_| SignatureError::InvalidContentSha256 { given: text.to_owned() })?;
            Payload::Hash(hash)
        }
    };
    Ok((payload, text))
}

fn header_names(list: &str) -> Vec<String> {
    list.split(';').map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn decoded_signature(text: &str) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    hex::decode_to_slice(text, &mut signature).ok().map(|()| signature)
}
