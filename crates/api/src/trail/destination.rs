//! Where log files and query results go: the form of bucket names and key prefixes.

use std::net::Ipv4Addr;

use opentrail_model::{AccountId, OrganizationId};

/// `S3KeyPrefix`, in characters. (API Reference, CreateTrail.)
const MAX_PREFIX: usize = 200;

/// Why a bucket or a prefix is refused by its form alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DestinationError {
    #[error(
        "Bucket name {name:?} is not valid: use 3 to 63 lower-case letters, digits, hyphens and single periods, beginning and ending with a letter or digit, not in the form of an IP address."
    )]
    BucketName { name: String },
    #[error("S3 key prefix is too long. Maximum allowed length: {MAX_PREFIX} characters. Specified length: {length}.")]
    PrefixTooLong { length: usize },
    #[error(
        "S3 key prefix {prefix:?} is not valid: it is written before '/AWSLogs/', so it cannot begin or end with '/', hold an empty part or the parts '.' and '..', or control characters."
    )]
    Prefix { prefix: String },
    #[error("S3 key prefix {prefix:?} is not valid: it leads into log files of an account or organization.")]
    PrefixAmongLogs { prefix: String },
}

/// Checks a bucket's name by S3's naming rules. (S3 User Guide, "General purpose bucket naming rules".)
pub(crate) fn validate_bucket(name: &str) -> Result<(), DestinationError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let good = (3..=63).contains(&bytes.len())
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err();
    if good { Ok(()) } else { Err(DestinationError::BucketName { name: name.to_owned() }) }
}

/// Checks a key prefix; the empty one means none.
///
/// Only the length is documented by AWS. The rest is a choice: such keys cannot be told apart from others by all
/// object stores, and refusing them says so where changing them in silence would not.
pub(crate) fn validate_prefix(prefix: &str) -> Result<(), DestinationError> {
    let length = prefix.chars().count();
    if length > MAX_PREFIX {
        return Err(DestinationError::PrefixTooLong { length });
    }
    validate_parts(prefix)
}

/// Checks a key prefix but for its length.
pub(crate) fn validate_parts(prefix: &str) -> Result<(), DestinationError> {
    let bad_part = |part: &str| matches!(part, "" | "." | "..");
    if !prefix.is_empty() && (prefix.split('/').any(bad_part) || prefix.contains(char::is_control)) {
        return Err(DestinationError::Prefix { prefix: prefix.to_owned() });
    }
    if leads_among_logs(prefix) {
        return Err(DestinationError::PrefixAmongLogs { prefix: prefix.to_owned() });
    }
    Ok(())
}

/// Whether what is put below the prefix would lie below `AWSLogs/<account>/` or `AWSLogs/<organization>/`: with it a
/// trail of one account could write where a bucket's policy means to let another's trail alone. A choice.
fn leads_among_logs(prefix: &str) -> bool {
    let parts: Vec<&str> = prefix.split('/').collect();
    let of_somebody = |part: &str| part.parse::<AccountId>().is_ok() || part.parse::<OrganizationId>().is_ok();
    parts.windows(2).any(|pair| pair[0] == "AWSLogs" && of_somebody(pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for good in ["abc", "my-logs.2026", "0a0", &"a".repeat(63)] {
            assert_eq!(validate_bucket(good), Ok(()), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "ab", &long, "Logs", "a_b", "-ab", "ab-", "a..b", "192.168.5.4", "a b", "naïve"] {
            assert!(matches!(validate_bucket(bad), Err(DestinationError::BucketName { .. })), "{bad}");
        }
    }

    #[test]
    fn prefixes_become_whole_parts_of_keys() {
        for good in ["", "logs", "a/b c/ü", &"ü".repeat(200)] {
            assert_eq!(validate_prefix(good), Ok(()), "{good}");
        }
        assert_eq!(validate_prefix(&"a".repeat(201)), Err(DestinationError::PrefixTooLong { length: 201 }));
        for bad in ["/", "/a", "a/", "a//b", ".", "a/../b", "a\nb"] {
            assert!(matches!(validate_prefix(bad), Err(DestinationError::Prefix { .. })), "{bad:?}");
        }
    }

    #[test]
    fn no_prefix_leads_into_the_log_files_of_somebody() {
        for good in ["AWSLogs", "a/AWSLogs/b", "AWSLogs/o-short", "o-exampleorgid/AWSLogs"] {
            assert_eq!(validate_prefix(good), Ok(()), "{good}");
        }
        for bad in ["AWSLogs/o-exampleorgid", "p/AWSLogs/111122223333", "AWSLogs/111122223333/CloudTrail"] {
            assert!(matches!(validate_prefix(bad), Err(DestinationError::PrefixAmongLogs { .. })), "{bad:?}");
        }
    }
}
