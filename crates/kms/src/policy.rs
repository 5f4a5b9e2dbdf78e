//! Key policies: those that keys get by themselves, and the checks of those that callers put.

use opentrail_identity::{Policy, PolicyUse};
use opentrail_model::{AccountId, Region};

use crate::error::KmsError;

/// The most bytes of a key policy. (KMS Developer Guide, "Resource quotas": 32 KB.)
const MOST_BYTES: usize = 32 << 10;

/// What a key without another policy has: the account decides. (KMS Developer Guide, "Default key policy".)
pub(crate) fn default_policy(account: AccountId, region: &Region) -> String {
    let root = format!("arn:{}:iam::{account}:root", region.partition());
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": root },
            "Action": "kms:*",
            "Resource": "*"
        }]
    });
    format!("{policy:#}")
}

/// The policy of a key that `service` manages in an account: everybody in the account may use it through the service,
/// and look at it; nobody may change it. (KMS Developer Guide, "AWS managed keys".)
pub(crate) fn managed_policy(account: AccountId, region: &Region, service: &str) -> String {
    let root = format!("arn:{}:iam::{account}:root", region.partition());
    let through = format!("{service}.{region}.amazonaws.com");
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Id": format!("auto-{service}"),
        "Statement": [{
            "Sid": format!("Allow access through {service} for all principals in the account"),
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {
                "StringEquals": { "kms:CallerAccount": account.to_string(), "kms:ViaService": through }
            }
        }, {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": { "AWS": root },
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*"
        }]
    });
    format!("{policy:#}")
}

/// Refuses what is no key policy. That the principals exist is not checked, which KMS does.
pub(crate) fn check(text: &str) -> Result<(), KmsError> {
    if text.len() > MOST_BYTES {
        return Err(KmsError::LimitExceeded(format!("A key policy has at most {MOST_BYTES} bytes.")));
    }
    match Policy::parse(text, PolicyUse::Resource) {
        Ok(_) => Ok(()),
        Err(error) => Err(KmsError::MalformedPolicy(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_that_keys_get_by_themselves_are_well_formed() {
        let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        check(&default_policy(account, &region)).unwrap();
        check(&managed_policy(account, &region, "s3")).unwrap();
        assert!(matches!(check("{}"), Err(KmsError::MalformedPolicy(_))));
        assert!(matches!(check(&" ".repeat(MOST_BYTES + 1)), Err(KmsError::LimitExceeded(_))));
    }
}
