//! Ids as Organizations makes them. (API Reference, the patterns of `OrganizationId`, `RootId`, `HandshakeId` and their
//! like.)

use opentrail_model::{AccountId, OrganizationId};
use opentrail_runtime::Random;

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// `o-` and ten letters and digits.
pub fn new_organization_id(random: &dyn Random) -> OrganizationId {
    let id = format!("o-{}", random.text(LETTERS, 10));
    id.parse().expect("o- and ten lower-case letters and digits are an organization's id")
}

/// `r-` and four letters and digits.
pub fn new_root_id(random: &dyn Random) -> String {
    format!("r-{}", random.text(LETTERS, 4))
}

/// `ou-`, what the root's id has after `r-`, and eight letters and digits.
pub fn new_unit_id(root: &str, random: &dyn Random) -> String {
    format!("ou-{}-{}", root.trim_start_matches("r-"), random.text(LETTERS, 8))
}

/// `h-` and 32 letters and digits.
pub fn new_handshake_id(random: &dyn Random) -> String {
    format!("h-{}", random.text(LETTERS, 32))
}

/// `car-` and 32 letters and digits.
pub fn new_request_id(random: &dyn Random) -> String {
    format!("car-{}", random.text(LETTERS, 32))
}

/// An account that `is_taken` does not know, with twelve digits that do not begin with a zero: too many programs read
/// them as a number.
pub fn new_account_id(random: &dyn Random, is_taken: impl Fn(AccountId) -> bool) -> AccountId {
    loop {
        let digits = format!("{}{}", random.text(b"123456789", 1), random.text(b"0123456789", 11));
        let account = digits.parse().expect("twelve digits are an account's id");
        if !is_taken(account) {
            return account;
        }
    }
}
