use std::time::Duration;

use http::StatusCode;

use crate::Exception;

/// Why a request could not be authenticated, whatever its service.
///
/// Each protocol has names of its own for these: [`exception`](Self::exception) for awsJson,
/// [`rest_exception`](Self::rest_exception) for restJson, [`s3`](Self::s3) and [`query`](Self::query). The texts are
/// AWS's where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request is not signed and the service answers nothing unsigned.
    #[error("Missing Authentication Token")]
    Unsigned,
    /// The access key does not exist, is inactive, or the session token does not belong to it.
    #[error("The security token included in the request is invalid.")]
    UnknownAccessKey,
    /// The session token is not one of ours.
    #[error("The security token included in the request is invalid.")]
    InvalidToken,
    /// The temporary credentials are past their end.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// A signature in the header and one in the query, or two headers.
    #[error(
        "Only one auth mechanism allowed; sign with one Authorization header or with the X-Amz-Algorithm query parameter"
    )]
    SeveralMechanisms,
    /// A header of the signature holds bytes that are not ASCII.
    #[error("Authorization and X-Amz-* headers must be visible ASCII text")]
    HeaderNotText,
    /// A header or query parameter that must be single is there more often.
    #[error("'{name}' must be given only once")]
    RepeatedField {
        /// Which.
        name: String,
    },
    /// Another algorithm of AWS's: Signature Version 2, or the asymmetric 4A.
    #[error("Unsupported AWS 'algorithm': '{given}'; sign with AWS4-HMAC-SHA256")]
    UnsupportedAlgorithm {
        /// What was given.
        given: String,
    },
    /// A part of the header is no `key=value`.
    #[error("'{part}' not a valid key=value pair (missing equal-sign) in Authorization header.")]
    NotKeyValue {
        /// The part.
        part: String,
    },
    /// Parts of the header that must be there are not; `true` for each one missing.
    #[error("{}", missing_fields(*credential, *signature, *signed_headers, *date))]
    MissingFields {
        /// `Credential`.
        credential: bool,
        /// `Signature`.
        signature: bool,
        /// `SignedHeaders`.
        signed_headers: bool,
        /// The header `X-Amz-Date` or `Date`.
        date: bool,
    },
    /// A parameter of a presigned URL is not there.
    #[error("AWS query-string parameters must include '{name}'. Re-examine the query-string parameters.")]
    MissingQueryParameter {
        /// Which.
        name: &'static str,
    },
    /// The credential does not have five parts.
    #[error(
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{given}'"
    )]
    MalformedCredential {
        /// What was given.
        given: String,
    },
    /// The scope does not end with `aws4_request`.
    #[error("Credential should be scoped with a valid terminator: 'aws4_request', not '{given}'.")]
    WrongTerminator {
        /// What was given.
        given: String,
    },
    /// The scope names another Region.
    #[error("Credential should be scoped to a valid region. The Region is '{expected}', not '{given}'.")]
    WrongRegion {
        /// What was given.
        given: String,
        /// The server's.
        expected: String,
    },
    /// The scope names another service.
    #[error("Credential should be scoped to correct service: '{expected}'. ")]
    WrongService {
        /// What was given.
        given: String,
        /// The one that was called.
        expected: String,
    },
    /// The scope's day is not that of the request's time.
    #[error("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{given}' != '{}', from '{stamp}'.", &stamp[..8])]
    WrongDate {
        /// The scope's.
        given: String,
        /// The request's time.
        stamp: String,
    },
    /// The request's time cannot be read.
    #[error("Date must be in ISO-8601 'basic format'. Got '{given}'. See http://en.wikipedia.org/wiki/ISO_8601")]
    InvalidDate {
        /// What was given.
        given: String,
    },
    /// The validity of a presigned URL is not from 1 second to 7 days.
    #[error("X-Amz-Expires must be a number from 1 to 604800 seconds, not '{given}'")]
    InvalidExpires {
        /// What was given.
        given: String,
    },
    /// Signed too long ago.
    #[error("Signature expired: {stamp} is now earlier than {earliest} ({now} - {} min.)", .skew.as_secs() / 60)]
    Expired {
        /// The request's time.
        stamp: String,
        /// The earliest that would do.
        earliest: String,
        /// The server's time.
        now: String,
        /// The tolerance.
        skew: Duration,
    },
    /// Signed in the future.
    #[error("Signature not yet current: {stamp} is still later than {latest} ({now} + {} min.)", .skew.as_secs() / 60)]
    NotYetCurrent {
        /// The request's time.
        stamp: String,
        /// The latest that would do.
        latest: String,
        /// The server's time.
        now: String,
        /// The tolerance.
        skew: Duration,
    },
    /// A presigned URL past its validity.
    #[error("Signature expired: {expired} is now earlier than {now}")]
    PresignedExpired {
        /// When it ended.
        expired: String,
        /// The server's time.
        now: String,
    },
    /// The host is not among the signed headers.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    /// An `x-amz-*` header is not among the signed ones.
    #[error("'{name}' must be a 'SignedHeader' in the AWS Authorization.")]
    HeaderNotSigned {
        /// Which.
        name: String,
    },
    /// A header that is signed is not there.
    #[error("the signed header '{name}' is not in the request")]
    SignedHeaderAbsent {
        /// Which.
        name: String,
    },
    /// `x-amz-content-sha256` is neither a hash nor one of the known words.
    #[error(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
    )]
    InvalidContentSha256 {
        /// What was given.
        given: String,
    },
    /// `x-amz-content-sha256` is needed and absent.
    #[error("Missing required header for this request: x-amz-content-sha256")]
    ContentSha256Missing,
    /// The service asks for a signed body.
    #[error("the body must be signed: send its SHA-256 in x-amz-content-sha256, or leave the header out")]
    BodyNotSigned,
    /// The body has another hash than `x-amz-content-sha256` says.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    BodyMismatch,
    /// The signature is another than that of the request with this secret.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

/// An error of S3: its code and text go into an XML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Error {
    /// E.g. `SignatureDoesNotMatch`.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// The HTTP status.
    pub status: StatusCode,
}

/// An error of a Query service such as `sts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// E.g. `InvalidClientTokenId`.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// The HTTP status.
    pub status: StatusCode,
}

/// What is wrong, in the classes that protocols tell apart.
enum Class {
    Unsigned,
    UnknownKey,
    InvalidToken,
    ExpiredToken,
    /// Cannot be read.
    Incomplete,
    /// The scope is another.
    Scope,
    Skewed,
    PresignedExpired,
    /// Headers that ought to be signed are not.
    HeadersNotSigned,
    /// About `x-amz-content-sha256`.
    Content,
    BodyMismatch,
    Mismatch,
}

impl SignatureError {
    /// As awsJson services tell it: status 400.
    pub fn exception(&self) -> Exception {
        let message = self.to_string();
        match self.class() {
            Class::Unsigned => Exception::missing_authentication_token(),
            Class::UnknownKey | Class::InvalidToken => Exception::unrecognized_client(),
            Class::ExpiredToken => Exception::expired_token(),
            Class::Incomplete => Exception::incomplete_signature(message),
            _ => Exception::invalid_signature(message),
        }
    }

    /// As restJson services tell it: the same names, status 403.
    pub fn rest_exception(&self) -> Exception {
        Exception { status: StatusCode::FORBIDDEN, ..self.exception() }
    }

    /// As S3 tells it. Source: Amazon S3 API Reference, "Error responses"; texts as S3 sends them.
    pub fn s3(&self) -> S3Error {
        let own = self.to_string();
        let (code, message, status) = match self.class() {
            Class::Unsigned => ("AccessDenied", "Access Denied".to_owned(), 403),
            Class::UnknownKey => (
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.".to_owned(),
                403,
            ),
            Class::InvalidToken => {
                ("InvalidToken", "The provided token is malformed or otherwise invalid.".to_owned(), 400)
            }
            Class::ExpiredToken => ("ExpiredToken", "The provided token has expired.".to_owned(), 400),
            Class::Incomplete => match self {
                Self::SeveralMechanisms => ("InvalidArgument", own, 400),
                Self::UnsupportedAlgorithm { .. } => ("InvalidRequest", own, 400),
                Self::MissingQueryParameter { .. } | Self::InvalidExpires { .. } => {
                    ("AuthorizationQueryParametersError", own, 400)
                }
                Self::InvalidDate { .. } => (
                    "AccessDenied",
                    "AWS authentication requires a valid Date or x-amz-date header".to_owned(),
                    403,
                ),
                _ => ("AuthorizationHeaderMalformed", format!("The authorization header is malformed; {own}"), 400),
            },
            Class::Scope => (
                "AuthorizationHeaderMalformed",
                match self {
                    Self::WrongRegion { given, expected } => format!(
                        "The authorization header is malformed; the region '{given}' is wrong; expecting '{expected}'"
                    ),
                    Self::WrongService { given, expected } => format!(
                        "The authorization header is malformed; incorrect service \"{given}\". This endpoint belongs to \"{expected}\"."
                    ),
                    Self::WrongDate { given, stamp } => format!(
                        "The authorization header is malformed; Invalid credential date \"{given}\". This date is not the same as X-Amz-Date: \"{}\".",
                        &stamp[..8]
                    ),
                    _ => format!("The authorization header is malformed; {own}"),
                },
                400,
            ),
            Class::Skewed => (
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.".to_owned(),
                403,
            ),
            Class::PresignedExpired => ("AccessDenied", "Request has expired".to_owned(), 403),
            Class::HeadersNotSigned => (
                "AccessDenied",
                format!("There were headers present in the request which were not signed: {own}"),
                403,
            ),
            Class::Content => match self {
                Self::InvalidContentSha256 { .. } => ("InvalidArgument", own, 400),
                _ => ("InvalidRequest", own, 400),
            },
            Class::BodyMismatch => ("XAmzContentSHA256Mismatch", own, 400),
            Class::Mismatch => (
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.".to_owned(),
                403,
            ),
        };
        S3Error { code, message, status: status_of(status) }
    }

    /// As Query services tell it: IAM's "Common errors", whose texts are those of awsJson services.
    pub fn query(&self) -> QueryError {
        let own = self.to_string();
        let (code, message, status) = match self.class() {
            Class::Unsigned => {
                ("MissingAuthenticationToken", "Request is missing Authentication Token".to_owned(), 403)
            }
            Class::UnknownKey | Class::InvalidToken => ("InvalidClientTokenId", own, 403),
            Class::ExpiredToken => ("ExpiredToken", own, 403),
            Class::Incomplete => ("IncompleteSignature", own, 400),
            _ => ("SignatureDoesNotMatch", own, 403),
        };
        QueryError { code, message, status: status_of(status) }
    }

    fn class(&self) -> Class {
        match self {
            Self::Unsigned => Class::Unsigned,
            Self::UnknownAccessKey => Class::UnknownKey,
            Self::InvalidToken => Class::InvalidToken,
            Self::ExpiredToken => Class::ExpiredToken,
            Self::SeveralMechanisms
            | Self::HeaderNotText
            | Self::RepeatedField { .. }
            | Self::UnsupportedAlgorithm { .. }
            | Self::NotKeyValue { .. }
            | Self::MissingFields { .. }
            | Self::MissingQueryParameter { .. }
            | Self::MalformedCredential { .. }
            | Self::InvalidDate { .. }
            | Self::InvalidExpires { .. } => Class::Incomplete,
            Self::WrongTerminator { .. }
            | Self::WrongRegion { .. }
            | Self::WrongService { .. }
            | Self::WrongDate { .. } => Class::Scope,
            Self::Expired { .. } | Self::NotYetCurrent { .. } => Class::Skewed,
            Self::PresignedExpired { .. } => Class::PresignedExpired,
            Self::HostNotSigned | Self::HeaderNotSigned { .. } => Class::HeadersNotSigned,
            Self::InvalidContentSha256 { .. } | Self::ContentSha256Missing | Self::BodyNotSigned => Class::Content,
            Self::BodyMismatch => Class::BodyMismatch,
            Self::SignedHeaderAbsent { .. } | Self::Mismatch => Class::Mismatch,
        }
    }
}

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("the tables above hold 400 and 403")
}

fn missing_fields(credential: bool, signature: bool, signed_headers: bool, date: bool) -> String {
    let sentences = [
        (credential, "Authorization header requires 'Credential' parameter."),
        (signature, "Authorization header requires 'Signature' parameter."),
        (signed_headers, "Authorization header requires 'SignedHeaders' parameter."),
        (date, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."),
    ];
    let missing: Vec<&str> = sentences.iter().filter(|(missing, _)| *missing).map(|(_, text)| *text).collect();
    missing.join(" ")
}
