//! Signature Version 4: verified for every service of the port, made for our own clients.
//!
//! Reading and judging are two steps, since the secret is only known once the access key is: [`SignedRequest::parse`]
//! reads the `Authorization` header or the presigned query, the caller finds the secret of
//! [`SignedRequest::access_key_id`], and [`SignedRequest::verify`] judges. Requests are signed by [`sign_headers`]
//! and [`presign`]. The canonical form that both sides share is in `canonical`.
//!
//! Source: IAM User Guide, "Create a signed AWS API request", and the public test vectors. Amazon S3 differs: its
//! paths are encoded once and never normalised, and its bodies may go unsigned ([`Rules::s3`]).

mod canonical;
mod credential;
mod error;
mod key;
mod parse;
mod sign;
mod stamp;
mod verify;

pub use credential::{Credential, credential};
pub use error::{QueryError, S3Error, SignatureError};
pub use key::{Sha256, hex_sha256, sha256};
pub use parse::{Payload, SignedRequest};
pub use sign::{Credentials, SignError, UNSIGNED_PAYLOAD, presign, sign_headers};
pub use verify::Rules;

#[cfg(test)]
mod tests;

/// The only algorithm.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What every credential scope ends with.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// SHA-256 of the empty body.
pub const EMPTY_SHA256_HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
