//! The hashes: SHA-256, HMAC, and the chain of HMACs that derives a signing key.

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};

use super::{ALGORITHM, Credential, TERMINATOR};

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256 of bytes that come piece by piece.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha256").finish_non_exhaustive()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes taken.
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

/// SHA-256 of `bytes` in lower-case hexadecimal, as `x-amz-content-sha256` spells it.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}

/// The signature of a canonical request.
pub(super) fn signature(secret: &str, credential: &Credential, stamp: &str, canonical_request: &[u8]) -> [u8; 32] {
    let string_to_sign = format!("{ALGORITHM}\n{stamp}\n{}\n{}", credential.scope(), hex_sha256(canonical_request));
    hmac(&signing_key(secret, credential), string_to_sign.as_bytes())
}

/// Whether two signatures are the same, in a time that does not tell where they differ.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn signing_key(secret: &str, credential: &Credential) -> [u8; 32] {
    let date = hmac(format!("AWS4{secret}").as_bytes(), credential.date.as_bytes());
    let region = hmac(&date, credential.region.as_bytes());
    let service = hmac(&region, credential.service.as_bytes());
    hmac(&service, TERMINATOR.as_bytes())
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    out
}
