//! What must not get into a record, in one place: the model's sensitive members, and rules for what models do not mark.
//!
//! Headers are recorded by name from lists that hold none with a signature or a token, so they need no rule here but
//! [`header_is_secret`].

use serde_json::Value;

/// What stands for a secret.
pub(crate) const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Members (in lower case) that are secret wherever they occur.
const SECRET: &[&str] = &[
    "adminpassword",
    "authorizationtoken",
    "authtoken",
    "base32stringseed",
    "clientsecret",
    "currentpassword",
    "dbpassword",
    "keymaterial",
    "masterpassword",
    "masteruserpassword",
    "newpassword",
    "oldpassword",
    "password",
    "plaintext",
    "previouspassword",
    "privatekey",
    "privatekeyplaintext",
    "proposedpassword",
    "qrcodepng",
    "refreshtoken",
    "samlassertion",
    "secretaccesskey",
    "secretbinary",
    "secretkey",
    "secretstring",
    "servicecredentialsecret",
    "servicepassword",
    "tdecredentialpassword",
    "temporarypassword",
    "tokencode",
    "userdata",
    "userpassword",
    "webidentitytoken",
];

/// Members that are secret in requests only: responses of STS show the session token that they gave.
const SECRET_IN_REQUESTS: &[&str] = &["accesstoken", "sessiontoken"];

/// Content that callers hand over: event source, member in lower case.
const CONTENT: &[(&str, &str)] = &[
    ("events.amazonaws.com", "detail"),
    ("firehose.amazonaws.com", "data"),
    ("kinesis.amazonaws.com", "data"),
    ("logs.amazonaws.com", "message"),
    ("sns.amazonaws.com", "message"),
    ("sns.amazonaws.com", "messageattributes"),
    ("sns.amazonaws.com", "subject"),
    ("sqs.amazonaws.com", "messageattributes"),
    ("sqs.amazonaws.com", "messagebody"),
];

/// Parameters of presigned URLs and of SigV2 queries that carry a credential or a signature.
const SIGNING: &[&str] =
    &["awsaccesskeyid", "signature", "securitytoken", "x-amz-credential", "x-amz-security-token", "x-amz-signature"];

/// Which way a document went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// Hides the secrets of a document with the model's spelling or CloudTrail's. `sensitive` is the service's table of
/// `Operation.Member.Member` paths.
pub(crate) fn document(
    value: &mut Value,
    event_source: &str,
    operation: &str,
    sensitive: &[&'static str],
    direction: Direction,
) {
    let paths: Vec<&str> =
        sensitive.iter().filter_map(|path| path.strip_prefix(operation)?.strip_prefix('.')).collect();
    hide(value, &Rules { event_source, direction }, &paths);
}

/// Takes out of an XML answer what records leave out rather than mask: the secret half of a new key. (Genuine records
/// of CreateAccessKey and AssumeRole.)
pub(crate) fn leave_out(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(leave_out),
        Value::Object(members) => {
            members.retain(|name, _| name != "SecretAccessKey");
            members.values_mut().for_each(leave_out);
        }
        _ => {}
    }
}

/// Whether a query parameter has no place in a record at all.
pub(crate) fn parameter_is_signing(name: &str) -> bool {
    SIGNING.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Whether a header carries key material: the keys of SSE-C.
pub(crate) fn header_is_secret(name: &str) -> bool {
    name.ends_with("-customer-key")
}

/// Takes the texts of KMS, plain and sealed, out of a request or a response: its records have neither.
/// (KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail", examples.)
pub(crate) fn without_texts_of_kms(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|name, _| !["Plaintext", "CiphertextBlob"].contains(&name.as_str()));
    }
}

struct Rules<'a> {
    event_source: &'a str,
    direction: Direction,
}

impl Rules<'_> {
    fn hide(&self, member: &str) -> bool {
        let lower = member.to_ascii_lowercase();
        let lower = lower.as_str();
        SECRET.binary_search(&lower).is_ok()
            || (self.direction == Direction::Request && SECRET_IN_REQUESTS.contains(&lower))
            || CONTENT.contains(&(self.event_source, lower))
    }
}

/// `paths` are what is left of the sensitive paths below here. Lists and maps add nothing to a path, so members that
/// no path names are searched with the same paths: a map's keys look like members.
fn hide(value: &mut Value, rules: &Rules<'_>, paths: &[&str]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, rules, paths)),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if value.is_null() {
                    continue;
                }
                let below: Vec<&str> = paths.iter().filter_map(|path| below(path, name)).collect();
                if rules.hide(name) || below.contains(&"") {
                    *value = Value::from(HIDDEN);
                } else if below.is_empty() {
                    hide(value, rules, paths);
                } else {
                    hide(value, rules, &below);
                }
            }
        }
        _ => {}
    }
}

/// What is left of `path` below `member`; empty when the path ends there.
fn below<'a>(path: &'a str, member: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(member)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_are_sorted_as_their_search_needs() {
        assert!(SECRET.is_sorted());
    }

    #[test]
    fn sensitive_paths_pass_through_lists_and_maps() {
        let mut value = json!({ "A": [{ "B": { "anykey": { "C": "x", "D": 1 } } }], "C": "kept" });
        document(&mut value, "s", "Op", &["Op.A.B.C"], Direction::Request);
        assert_eq!(value, json!({ "A": [{ "B": { "anykey": { "C": HIDDEN, "D": 1 } } }], "C": "kept" }));
    }

    #[test]
    fn records_of_kms_have_no_texts() {
        let mut value = json!({ "KeyId": "k", "Plaintext": "c2VjcmV0", "CiphertextBlob": "c2VhbGVk" });
        without_texts_of_kms(&mut value);
        assert_eq!(value, json!({ "KeyId": "k" }));
    }

    #[test]
    fn session_tokens_are_secret_in_requests_and_secret_keys_always() {
        let both = json!({ "SessionToken": "t", "SecretAccessKey": "k", "Name": "n" });
        let (mut request, mut response) = (both.clone(), both);
        document(&mut request, "s", "Op", &[], Direction::Request);
        document(&mut response, "s", "Op", &[], Direction::Response);
        assert_eq!(request, json!({ "SessionToken": HIDDEN, "SecretAccessKey": HIDDEN, "Name": "n" }));
        assert_eq!(response, json!({ "SessionToken": "t", "SecretAccessKey": HIDDEN, "Name": "n" }));
    }
}
