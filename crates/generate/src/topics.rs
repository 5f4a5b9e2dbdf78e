//! What people say of several operations together, or of one in other words than the API's.

/// What is changed by several operations: what it is called, and the operations.
pub(crate) const TOPICS: &[(&str, &[&str])] = &[
    (
        "security group|groups rules|rule?",
        &[
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupEgress",
            "CreateSecurityGroup",
            "DeleteSecurityGroup",
            "ModifySecurityGroupRules",
        ],
    ),
    ("s3? bucket policies|policy", &["PutBucketPolicy", "DeleteBucketPolicy"]),
    (
        "s3? public access block settings?",
        &[
            "PutBucketPublicAccessBlock",
            "DeleteBucketPublicAccessBlock",
            "PutAccountPublicAccessBlock",
            "DeleteAccountPublicAccessBlock",
        ],
    ),
    ("iam? account? password policy", &["UpdateAccountPasswordPolicy", "DeleteAccountPasswordPolicy"]),
    (
        "cloudtrail? trails|trail",
        &[
            "CreateTrail",
            "UpdateTrail",
            "DeleteTrail",
            "StartLogging",
            "StopLogging",
            "PutEventSelectors",
            "PutInsightSelectors",
        ],
    ),
    (
        "iam policies|policy",
        &[
            "CreatePolicy",
            "DeletePolicy",
            "CreatePolicyVersion",
            "DeletePolicyVersion",
            "SetDefaultPolicyVersion",
            "PutUserPolicy",
            "PutRolePolicy",
            "PutGroupPolicy",
            "DeleteUserPolicy",
            "DeleteRolePolicy",
            "DeleteGroupPolicy",
            "AttachUserPolicy",
            "AttachRolePolicy",
            "AttachGroupPolicy",
            "DetachUserPolicy",
            "DetachRolePolicy",
            "DetachGroupPolicy",
        ],
    ),
    (
        "route tables|table|routes",
        &[
            "CreateRoute",
            "DeleteRoute",
            "ReplaceRoute",
            "CreateRouteTable",
            "DeleteRouteTable",
            "AssociateRouteTable",
            "DisassociateRouteTable",
            "ReplaceRouteTableAssociation",
        ],
    ),
    (
        "network acls|acl",
        &[
            "CreateNetworkAcl",
            "DeleteNetworkAcl",
            "CreateNetworkAclEntry",
            "DeleteNetworkAclEntry",
            "ReplaceNetworkAclEntry",
            "ReplaceNetworkAclAssociation",
        ],
    ),
    ("kms? key policies|policy", &["PutKeyPolicy"]),
    ("s3? bucket acls|acl", &["PutBucketAcl"]),
    ("lambda function code", &["UpdateFunctionCode"]),
    ("iam? trust policies|policy", &["UpdateAssumeRolePolicy"]),
];

/// Other phrases that are operations, of calls that succeeded.
pub(crate) const DONE: &[(&str, &[&str])] = &[
    ("policies|policy that? were|was? attached to roles|role", &["AttachRolePolicy"]),
    ("policies|policy that? were|was? attached to users|user", &["AttachUserPolicy"]),
    ("policies|policy that? were|was? attached to groups|group", &["AttachGroupPolicy"]),
    ("attached policies|policy to roles|role", &["AttachRolePolicy"]),
    ("attached policies|policy to users|user", &["AttachUserPolicy"]),
    ("detached policies|policy from roles|role", &["DetachRolePolicy"]),
    ("detached policies|policy from users|user", &["DetachUserPolicy"]),
    ("added users|user to groups", &["AddUserToGroup"]),
    ("iam? users that? were|was? added to groups", &["AddUserToGroup"]),
    ("removed users|user from groups", &["RemoveUserFromGroup"]),
    ("users removed from groups", &["RemoveUserFromGroup"]),
    ("kms? keys|key that? were|was|are? scheduled for deletion", &["ScheduleKeyDeletion"]),
    ("scheduled the? deletion of kms? keys", &["ScheduleKeyDeletion"]),
    // KMS deletes keys by itself, some days after somebody asked for it.
    ("deleted kms keys|key", &["ScheduleKeyDeletion", "DeleteKey"]),
    ("kms keys|key that? were|was|been? deleted", &["ScheduleKeyDeletion", "DeleteKey"]),
    ("kms key deletions|deletion", &["ScheduleKeyDeletion", "DeleteKey"]),
    ("scheduled a? kms? keys|key for deletion", &["ScheduleKeyDeletion"]),
    ("disabled|disable guardduty", &["DeleteDetector"]),
    ("guardduty was|were disabled", &["DeleteDetector"]),
    ("turned off cloudtrail|logging logging?", &["StopLogging"]),
    ("left the? organization", &["LeaveOrganization"]),
    ("ran ssm? commands", &["SendCommand"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::spelled;

    #[test]
    fn every_operation_of_a_phrase_is_one() {
        for (phrase, names) in TOPICS.iter().chain(DONE) {
            for name in *names {
                assert!(spelled(name).is_some(), "{phrase}: {name}");
            }
        }
    }
}
