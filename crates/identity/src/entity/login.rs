use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_model::Timestamp;
use opentrail_runtime::Random;
use serde::{Deserialize, Serialize};

/// As OWASP's "Password Storage Cheat Sheet" has it for PBKDF2 with HMAC-SHA-256.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");

/// A user's password. Only a hash of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginProfile {
    /// When the profile was made.
    pub created: Timestamp,
    /// Whether the user must choose another password first.
    pub reset_required: bool,
    salt: String,
    hash: String,
}

impl LoginProfile {
    /// A profile with this password. Takes a good part of a second: not for an async thread.
    pub fn new(password: &str, reset_required: bool, created: Timestamp, random: &dyn Random) -> Self {
        let mut salt = [0; 16];
        random.fill(&mut salt);
        let mut hash = [0; 32];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), &mut hash);
        Self { created, reset_required, salt: STANDARD.encode(salt), hash: STANDARD.encode(hash) }
    }

    /// Whether `password` is the profile's. As slow as [`Self::new`].
    pub fn verify(&self, password: &str) -> bool {
        let (Ok(salt), Ok(hash)) = (STANDARD.decode(&self.salt), STANDARD.decode(&self.hash)) else { return false };
        pbkdf2::verify(PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), &hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use opentrail_runtime::SeededRandom;

    use super::*;

    #[test]
    fn only_the_password_itself_is_right() {
        let random = SeededRandom::new(1);
        let profile = LoginProfile::new("correct horse", false, Timestamp::from_secs(0), &random);
        assert!(profile.verify("correct horse"));
        assert!(!profile.verify("correct Horse"));
        let again = LoginProfile::new("correct horse", false, Timestamp::from_secs(0), &random);
        assert_ne!(again, profile, "each profile has a salt of its own");
        assert!(!serde_json::to_string(&profile).unwrap().contains("horse"));
    }
}
