//! Managed policies that every account has: those that clients attach by name. What each allows is AWS's (AWS Managed
//! Policy Reference), written down for the services that can meet here; their ids and times are ours.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use opentrail_model::Timestamp;
use serde_json::{Value, json};

use crate::entity::{Document, ManagedPolicy, PolicyVersion};
use crate::ids::hashed_id;
use crate::policy::PolicyUse;

/// When all of them were made, which is a choice: 6 February 2015, when AWS made its first.
const CREATED: Timestamp = Timestamp::from_secs(1_423_247_986);

static ALL: LazyLock<BTreeMap<String, ManagedPolicy>> = LazyLock::new(|| {
    let policies =
        definitions().into_iter().map(|(name, description, statements)| policy(name, description, statements));
    policies.map(|policy| (policy.arn().as_str().to_owned(), policy)).collect()
});

/// The policies, by ARN.
pub fn aws_policies() -> impl Iterator<Item = &'static ManagedPolicy> {
    ALL.values()
}

/// The policy of that ARN.
pub(crate) fn find(arn: &str) -> Option<&'static ManagedPolicy> {
    arn.starts_with("arn:aws:iam::aws:").then(|| ALL.get(arn)).flatten()
}

fn policy(name: &str, description: &str, statements: Value) -> ManagedPolicy {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let document = Document::parse(&text, PolicyUse::Identity).expect("a test reads each of these policies");
    ManagedPolicy {
        account: None,
        name: name.to_owned(),
        path: "/".to_owned(),
        id: hashed_id("ANPA", &format!("aws\0{name}")),
        created: CREATED,
        updated: CREATED,
        description: Some(description.to_owned()),
        tags: BTreeMap::new(),
        versions: BTreeMap::from([(1, PolicyVersion { document, created: CREATED })]),
        default_version: 1,
        latest_version: 1,
    }
}

fn allow(actions: Value) -> Value {
    json!([{ "Effect": "Allow", "Action": actions, "Resource": "*" }])
}

fn definitions() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("AdministratorAccess", "Everything.", allow(json!("*"))),
        ("AWSDenyAll", "Nothing at all.", json!([{ "Effect": "Deny", "Action": ["*"], "Resource": "*" }])),
        (
            "PowerUserAccess",
            "Everything but the administration of users and groups.",
            json!([
                { "Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*" },
                {
                    "Effect": "Allow",
                    "Action": [
                        "account:GetAccountInformation", "account:ListRegions", "iam:CreateServiceLinkedRole",
                        "iam:DeleteServiceLinkedRole", "iam:ListRoles", "organizations:DescribeEffectivePolicy",
                        "organizations:DescribeOrganization",
                    ],
                    "Resource": "*",
                },
            ]),
        ),
        (
            "ReadOnlyAccess",
            "Reading, in the services that answer here.",
            allow(json!([
                "cloudtrail:Describe*",
                "cloudtrail:Get*",
                "cloudtrail:List*",
                "cloudtrail:LookupEvents",
                "cloudwatch:Describe*",
                "cloudwatch:Get*",
                "cloudwatch:List*",
                "iam:Generate*",
                "iam:Get*",
                "iam:List*",
                "iam:Simulate*",
                "kms:Describe*",
                "kms:Get*",
                "kms:List*",
                "logs:Describe*",
                "logs:FilterLogEvents",
                "logs:Get*",
                "logs:List*",
                "logs:StartQuery",
                "logs:StopQuery",
                "organizations:Describe*",
                "organizations:List*",
                "s3:Describe*",
                "s3:Get*",
                "s3:List*",
                "sns:Check*",
                "sns:Get*",
                "sns:List*",
                "sts:GetAccessKeyInfo",
                "sts:GetCallerIdentity",
                "sts:GetSessionToken",
                "tag:Get*",
            ])),
        ),
        (
            "AWSCloudTrail_FullAccess",
            "All of CloudTrail, and what setting up a trail needs of other services.",
            json!([
                {
                    "Effect": "Allow",
                    "Action": [
                        "sns:AddPermission", "sns:CreateTopic", "sns:SetTopicAttributes", "sns:GetTopicAttributes",
                    ],
                    "Resource": ["arn:aws:sns:*:*:aws-cloudtrail-logs*"],
                },
                { "Effect": "Allow", "Action": ["sns:ListTopics"], "Resource": "*" },
                {
                    "Effect": "Allow",
                    "Action": ["s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock"],
                    "Resource": ["arn:aws:s3:::aws-cloudtrail-logs*"],
                },
                {
                    "Effect": "Allow",
                    "Action": ["s3:ListAllMyBuckets", "s3:GetBucketLocation", "s3:GetBucketPolicy"],
                    "Resource": "*",
                },
                { "Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*" },
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogGroup"],
                    "Resource": ["arn:aws:logs:*:*:log-group:aws-cloudtrail-logs*"],
                },
                { "Effect": "Allow", "Action": ["iam:ListRoles", "iam:GetRolePolicy", "iam:GetUser"], "Resource": "*" },
                {
                    "Effect": "Allow",
                    "Action": ["iam:PassRole"],
                    "Resource": "*",
                    "Condition": { "StringEquals": { "iam:PassedToService": "cloudtrail.amazonaws.com" } },
                },
                {
                    "Effect": "Allow",
                    "Action": ["kms:CreateKey", "kms:CreateAlias", "kms:ListKeys", "kms:ListAliases"],
                    "Resource": "*",
                },
                { "Effect": "Allow", "Action": ["lambda:ListFunctions"], "Resource": "*" },
                { "Effect": "Allow", "Action": ["dynamodb:ListGlobalTables", "dynamodb:ListTables"], "Resource": "*" },
            ]),
        ),
        (
            "AWSCloudTrail_ReadOnlyAccess",
            "Reading trails, event data stores and Event history.",
            allow(json!(["cloudtrail:Get*", "cloudtrail:Describe*", "cloudtrail:List*", "cloudtrail:LookupEvents"])),
        ),
        (
            "IAMFullAccess",
            "All of IAM.",
            allow(json!([
                "iam:*",
                "organizations:DescribeAccount",
                "organizations:DescribeOrganization",
                "organizations:DescribeOrganizationalUnit",
                "organizations:DescribePolicy",
                "organizations:ListChildren",
                "organizations:ListParents",
                "organizations:ListPoliciesForTarget",
                "organizations:ListRoots",
                "organizations:ListPolicies",
                "organizations:ListTargetsForPolicy",
            ])),
        ),
        (
            "IAMReadOnlyAccess",
            "Reading IAM.",
            allow(json!([
                "iam:GenerateCredentialReport",
                "iam:GenerateServiceLastAccessedDetails",
                "iam:Get*",
                "iam:List*",
                "iam:SimulateCustomPolicy",
                "iam:SimulatePrincipalPolicy",
            ])),
        ),
        (
            "IAMUserChangePassword",
            "A user's change of the own password.",
            json!([
                {
                    "Effect": "Allow",
                    "Action": ["iam:ChangePassword"],
                    "Resource": ["arn:aws:iam::*:user/${aws:username}"],
                },
                { "Effect": "Allow", "Action": ["iam:GetAccountPasswordPolicy"], "Resource": "*" },
            ]),
        ),
        ("AmazonS3FullAccess", "All of S3.", allow(json!(["s3:*", "s3-object-lambda:*"]))),
        (
            "AmazonS3ReadOnlyAccess",
            "Reading S3.",
            allow(json!(["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"])),
        ),
        (
            "AWSKeyManagementServicePowerUser",
            "Making and administering keys, without using or deleting them.",
            allow(json!([
                "kms:CreateAlias",
                "kms:CreateKey",
                "kms:DeleteAlias",
                "kms:Describe*",
                "kms:GenerateRandom",
                "kms:Get*",
                "kms:List*",
                "kms:TagResource",
                "kms:UntagResource",
                "iam:ListGroups",
                "iam:ListRoles",
                "iam:ListUsers",
            ])),
        ),
        (
            "AWSOrganizationsFullAccess",
            "All of Organizations.",
            allow(json!(["organizations:*", "account:PutAlternateContact", "account:GetAlternateContact"])),
        ),
        (
            "AWSOrganizationsReadOnlyAccess",
            "Reading the organization.",
            allow(json!(["organizations:Describe*", "organizations:List*", "account:GetAlternateContact"])),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_reads_and_is_found_by_its_arn() {
        assert_eq!(aws_policies().count(), definitions().len());
        let found = find("arn:aws:iam::aws:policy/AdministratorAccess").unwrap();
        assert_eq!(found.name, "AdministratorAccess");
        assert!(found.id.starts_with("ANPA") && found.id.len() == 21);
        assert!(find("arn:aws:iam::aws:policy/NoSuchAccess").is_none());
    }
}
