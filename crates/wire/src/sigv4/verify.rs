use std::time::Duration;

use http::request::Parts;
use opentrail_model::Timestamp;

use super::canonical::{self, PathRules};
use super::parse::{Form, Payload};
use super::{SignatureError, SignedRequest, key, stamp};

/// What a service asks of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// How far the request's time may lie from the server's, either way; inclusive.
    pub max_skew: Duration,
    /// Whether the canonical path is without `.`, `..` and empty segments.
    pub normalize_path: bool,
    /// Whether the path is encoded again as it was sent: for every service but S3.
    pub double_encode: bool,
    /// Whether bodies may go unsigned or in chunks, and must say so in `x-amz-content-sha256`: S3.
    pub unsigned_payload: bool,
    /// The service that the scope must name.
    pub expected_service: &'a str,
    /// The Region that the scope must name; any, if `None`.
    pub expected_region: Option<&'a str>,
}

impl<'a> Rules<'a> {
    /// The rules of every service but S3: ±5 minutes, the body signed.
    pub const fn of(service: &'a str) -> Self {
        Self {
            max_skew: Duration::from_secs(5 * 60),
            normalize_path: true,
            double_encode: true,
            unsigned_payload: false,
            expected_service: service,
            expected_region: None,
        }
    }

    /// The rules of S3: ±15 minutes, the path as it is, bodies unsigned or in chunks if they say so.
    pub const fn s3() -> Self {
        Self {
            max_skew: Duration::from_secs(15 * 60),
            normalize_path: false,
            double_encode: false,
            unsigned_payload: true,
            expected_service: "s3",
            expected_region: None,
        }
    }

    /// The same rules for one Region only.
    #[must_use]
    pub const fn in_region(mut self, region: &'a str) -> Self {
        self.expected_region = Some(region);
        self
    }
}

impl SignedRequest {
    /// Judges the signature with the secret of its access key.
    ///
    /// `body_sha256` is the hash of the body where the caller has read it. `None` means that the caller trusts
    /// [`content_sha256`](Self::content_sha256) for now and checks the body against it while reading.
    ///
    /// Whether the session token belongs to the access key is for the caller to know.
    ///
    /// # Errors
    /// The first thing that is wrong: scope, time, headers, body, signature.
    pub fn verify(
        &self,
        parts: &Parts,
        secret: &str,
        body_sha256: Option<&[u8; 32]>,
        now: Timestamp,
        rules: &Rules<'_>,
    ) -> Result<(), SignatureError> {
        self.check_scope(rules)?;
        self.check_time(now, rules.max_skew)?;
        self.check_signed_headers(parts)?;
        let payload = self.check_payload(body_sha256, rules)?;

        let without = self.is_presigned().then_some("X-Amz-Signature");
        let query = canonical::query(parts.uri.query().unwrap_or_default(), without);
        let path_rules = PathRules { normalize: rules.normalize_path, double_encode: rules.double_encode };
        let sent = parts.uri.path();
        let path = canonical::path(sent, path_rules);
        if self.signs(parts, secret, &path, &query, &payload)? {
            return Ok(());
        }
        // Some S3 clients sign the path exactly as they send it, with `(` or `%2F` as such. It names the same object
        // either way, so the signature still says what its maker meant.
        if !rules.double_encode && path != sent && self.signs(parts, secret, sent, &query, &payload)? {
            return Ok(());
        }
        Err(SignatureError::Mismatch)
    }

    fn signs(
        &self,
        parts: &Parts,
        secret: &str,
        path: &str,
        query: &str,
        payload: &str,
    ) -> Result<bool, SignatureError> {
        let names = self.signed_headers.iter().map(String::as_str);
        let canonical = canonical::request(parts, path, query, names, payload)
            .map_err(|name| SignatureError::SignedHeaderAbsent { name: name.to_owned() })?;
        let right = key::signature(secret, &self.credential, &self.stamp, &canonical);
        Ok(self.signature.is_some_and(|given| key::equal(&given, &right)))
    }

    fn check_scope(&self, rules: &Rules<'_>) -> Result<(), SignatureError> {
        let scope = self.scope();
        if let Some(expected) = rules.expected_region.filter(|region| *region != scope.region) {
            return Err(SignatureError::WrongRegion { given: scope.region.clone(), expected: expected.to_owned() });
        }
        if scope.service != rules.expected_service {
            let expected = rules.expected_service.to_owned();
            return Err(SignatureError::WrongService { given: scope.service.clone(), expected });
        }
        if scope.date != self.stamp[..8] {
            return Err(SignatureError::WrongDate { given: scope.date.clone(), stamp: self.stamp.clone() });
        }
        Ok(())
    }

    fn check_time(&self, now: Timestamp, skew: Duration) -> Result<(), SignatureError> {
        if self.time > now + skew {
            return Err(SignatureError::NotYetCurrent {
                stamp: self.stamp.clone(),
                latest: stamp::format(now + skew),
                now: stamp::format(now),
                skew,
            });
        }
        match self.form {
            Form::Header if self.time < now - skew => Err(SignatureError::Expired {
                stamp: self.stamp.clone(),
                earliest: stamp::format(now - skew),
                now: stamp::format(now),
                skew,
            }),
            Form::Presigned { expires } if now > self.time + expires => {
                Err(SignatureError::PresignedExpired { expired: (self.time + expires).to_iso(), now: now.to_iso() })
            }
            _ => Ok(()),
        }
    }

    fn check_signed_headers(&self, parts: &Parts) -> Result<(), SignatureError> {
        let signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !signed("host") && !signed(":authority") {
            return Err(SignatureError::HostNotSigned);
        }
        // Some signers add the session token after signing; that it belongs to the access key is checked anyway.
        let must_be_signed = |name: &&str| name.starts_with("x-amz-") && *name != "x-amz-security-token";
        let mut amz = parts.headers.keys().map(http::HeaderName::as_str).filter(must_be_signed);
        match amz.find(|name| !signed(name)) {
            Some(name) => Err(SignatureError::HeaderNotSigned { name: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// The last line of the canonical request.
    fn check_payload(&self, body: Option<&[u8; 32]>, rules: &Rules<'_>) -> Result<String, SignatureError> {
        match (self.content_sha256(), body) {
            (Payload::Hash(said), Some(body)) if said != *body => return Err(SignatureError::BodyMismatch),
            (Payload::Hash(_), _) => {}
            (Payload::Absent, _) if rules.unsigned_payload && self.is_presigned() => {
                return Ok(super::UNSIGNED_PAYLOAD.to_owned());
            }
            (Payload::Absent, _) if rules.unsigned_payload => return Err(SignatureError::ContentSha256Missing),
            (Payload::Absent, Some(body)) => return Ok(hex::encode(body)),
            (Payload::Absent, None) => return Err(SignatureError::ContentSha256Missing),
            (_, _) if !rules.unsigned_payload => return Err(SignatureError::BodyNotSigned),
            _ => {}
        }
        self.payload_text.clone().ok_or(SignatureError::ContentSha256Missing)
    }
}
