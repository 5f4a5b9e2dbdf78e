use opentrail_identity::{Document, PolicyUse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Outcome, error};

/// What RFC 3986 leaves as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A document as answers hold it: percent-encoded. (IAM API Reference, `GetUserPolicy`, `PolicyDocument`.)
pub(super) fn encoded(document: &Document) -> String {
    utf8_percent_encode(document.text(), RESERVED).to_string()
}

/// Reads a policy that gives rights.
pub(super) fn identity_policy(text: &str) -> Outcome<Document> {
    Document::parse(text, PolicyUse::Identity).map_err(|problem| error::malformed(&problem))
}

/// Reads a role's trust policy.
pub(super) fn trust_policy(text: &str) -> Outcome<Document> {
    if size(text) > super::quota::TRUST_POLICY_SIZE {
        return Err(error::quota("ACLSizePerRole", super::quota::TRUST_POLICY_SIZE));
    }
    Document::parse(text, PolicyUse::Trust).map_err(|problem| error::malformed(&problem))
}

/// Reads a managed policy.
pub(super) fn managed_policy(text: &str) -> Outcome<Document> {
    if size(text) > super::quota::MANAGED_POLICY_SIZE {
        return Err(error::quota("PolicySize", super::quota::MANAGED_POLICY_SIZE));
    }
    identity_policy(text)
}

/// The characters that count: white space does not.
pub(super) fn size(text: &str) -> usize {
    PolicyUse::Identity.length(text)
}
