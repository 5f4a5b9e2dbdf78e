use aws_lc_rs::digest::{SHA256, digest};
use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::Random;

use crate::Secret;
use crate::entity::AccessKey;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The unique id of a user or role: `AIDA` or `AROA` and 17 letters and digits, always the same for the same account,
/// path and name, so that an identity made by configuration keeps its id over restarts.
pub(crate) fn principal_id(prefix: &str, account: AccountId, path: &str, name: &str) -> String {
    hashed_id(prefix, &format!("{account}\0{path}\0{name}"))
}

/// An id that follows from `what`.
pub(crate) fn hashed_id(prefix: &str, what: &str) -> String {
    let hash = digest(&SHA256, format!("{prefix}\0{what}").as_bytes());
    let letters = hash.as_ref().iter().take(17).map(|byte| char::from(BASE32[usize::from(byte % 32)]));
    prefix.chars().chain(letters).collect()
}

/// The unique id of something new: `prefix` (`AIDA`, `AROA`, `AGPA`, `ANPA`) and 17 letters and digits.
pub fn new_entity_id(prefix: &str, random: &dyn Random) -> String {
    format!("{prefix}{}", random.text(BASE32, 17))
}

/// A new long-term access key: `AKIA` and 16 letters and digits, and its secret.
pub fn new_access_key(created: Timestamp, random: &dyn Random) -> AccessKey {
    let id = format!("AKIA{}", random.text(BASE32, 16));
    AccessKey { id, secret: Some(secret_key(random)), active: true, created }
}

/// A new id for a temporary access key: `ASIA` and 16 letters and digits.
pub(crate) fn temporary_key_id(random: &dyn Random) -> String {
    format!("ASIA{}", random.text(BASE32, 16))
}

/// A new secret access key: 40 characters, 240 bits.
pub(crate) fn secret_key(random: &dyn Random) -> Secret {
    Secret::new(random.text(SECRET, 40))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_apart_what_differs_and_stay() {
        let account: AccountId = "111122223333".parse().unwrap();
        let id = principal_id("AIDA", account, "/", "alice");
        assert_eq!(id, "AIDARJFZENQILDFLIVI6K");
        assert_ne!(id, principal_id("AIDA", account, "/dev/", "alice"));
        assert_ne!(id[4..], principal_id("AROA", account, "/", "alice")[4..]);
    }
}
