//! Records made for the questions of the generator: every condition of a question keeps some of them and not others.

use serde_json::{Map, Value, json};

use crate::support::now;

/// How many.
const COUNT: usize = 40_000;

/// What happens: service, event, whether it only reads, and what its request names.
const EVENTS: &[(&str, &str, bool, &str)] = &[
    ("s3", "DeleteBucket", false, "bucketName"),
    ("s3", "CreateBucket", false, "bucketName"),
    ("s3", "GetObject", true, "bucketName"),
    ("s3", "PutObject", false, "bucketName"),
    ("s3", "DeleteObject", false, "bucketName"),
    ("s3", "ListObjects", true, "bucketName"),
    ("s3", "PutBucketPolicy", false, "bucketName"),
    ("s3", "DeleteBucketPolicy", false, "bucketName"),
    ("s3", "GetBucketPolicy", true, "bucketName"),
    ("s3", "PutBucketPublicAccessBlock", false, "bucketName"),
    ("s3", "PutAccountPublicAccessBlock", false, ""),
    ("signin", "ConsoleLogin", false, ""),
    ("signin", "SwitchRole", false, ""),
    ("cloudtrail", "StopLogging", false, "name"),
    ("cloudtrail", "StartLogging", false, "name"),
    ("cloudtrail", "DeleteTrail", false, "name"),
    ("cloudtrail", "UpdateTrail", false, "name"),
    ("cloudtrail", "CreateTrail", false, "name"),
    ("cloudtrail", "PutEventSelectors", false, "name"),
    ("cloudtrail", "LookupEvents", true, ""),
    ("ec2", "RunInstances", false, "instance"),
    ("ec2", "TerminateInstances", false, "instance"),
    ("ec2", "StartInstances", false, "instance"),
    ("ec2", "StopInstances", false, "instance"),
    ("ec2", "DescribeInstances", true, ""),
    ("ec2", "AuthorizeSecurityGroupIngress", false, "rules"),
    ("ec2", "AuthorizeSecurityGroupEgress", false, "rules"),
    ("ec2", "RevokeSecurityGroupIngress", false, "rules"),
    ("ec2", "CreateSecurityGroup", false, ""),
    ("ec2", "DeleteSecurityGroup", false, ""),
    ("ec2", "CreateNatGateway", false, ""),
    ("ec2", "DeleteNatGateway", false, ""),
    ("ec2", "CreateSnapshot", false, ""),
    ("ec2", "DeleteSnapshot", false, ""),
    ("ec2", "ModifySnapshotAttribute", false, ""),
    ("rds", "CreateDBInstance", false, ""),
    ("rds", "CreateDBCluster", false, ""),
    ("rds", "DeleteDBInstance", false, ""),
    ("rds", "DeleteDBSnapshot", false, ""),
    ("rds", "ModifyDBSnapshotAttribute", false, ""),
    ("iam", "CreateUser", false, "userName"),
    ("iam", "DeleteUser", false, "userName"),
    ("iam", "CreateRole", false, "roleName"),
    ("iam", "DeleteRole", false, "roleName"),
    ("iam", "CreateAccessKey", false, "userName"),
    ("iam", "DeleteAccessKey", false, "userName"),
    ("iam", "CreatePolicy", false, ""),
    ("iam", "DeletePolicy", false, ""),
    ("iam", "AttachRolePolicy", false, "roleName"),
    ("iam", "DetachRolePolicy", false, "roleName"),
    ("iam", "AttachUserPolicy", false, "userName"),
    ("iam", "AddUserToGroup", false, "userName"),
    ("iam", "RemoveUserFromGroup", false, "userName"),
    ("iam", "DeactivateMFADevice", false, "userName"),
    ("iam", "EnableMFADevice", false, "userName"),
    ("iam", "UpdateAccountPasswordPolicy", false, ""),
    ("iam", "DeleteAccountPasswordPolicy", false, ""),
    ("iam", "ListUsers", true, ""),
    ("iam", "GetUser", true, "userName"),
    ("sts", "AssumeRole", true, "roleArn"),
    ("sts", "AssumeRoleWithSAML", true, "roleArn"),
    ("sts", "GetCallerIdentity", true, ""),
    ("kms", "ScheduleKeyDeletion", false, ""),
    ("kms", "CancelKeyDeletion", false, ""),
    ("kms", "DisableKeyRotation", false, ""),
    ("kms", "EnableKeyRotation", false, ""),
    ("kms", "Decrypt", true, ""),
    ("kms", "GenerateDataKey", true, ""),
    ("secretsmanager", "GetSecretValue", true, "secretId"),
    ("secretsmanager", "DeleteSecret", false, "secretId"),
    ("secretsmanager", "DescribeSecret", true, "secretId"),
    ("guardduty", "DeleteDetector", false, ""),
    ("guardduty", "CreateDetector", false, ""),
    ("config", "StopConfigurationRecorder", false, ""),
    ("config", "DeleteConfigurationRecorder", false, ""),
    ("config", "StartConfigurationRecorder", false, ""),
    ("lambda", "CreateFunction20150331", false, "functionName"),
    ("lambda", "DeleteFunction20150331", false, "functionName"),
    ("lambda", "UpdateFunctionCode20150331v2", false, "functionName"),
    ("lambda", "ListFunctions20150331", true, ""),
    ("dynamodb", "GetItem", true, "tableName"),
    ("dynamodb", "PutItem", false, "tableName"),
    ("dynamodb", "DeleteTable", false, "tableName"),
    ("cloudformation", "DeleteStack", false, "stackName"),
    ("cloudformation", "CreateStack", false, "stackName"),
    ("ssm", "StartSession", false, ""),
    ("ssm", "TerminateSession", false, ""),
    ("ssm", "GetParameter", true, ""),
];

const REGIONS: &[&str] = &["us-east-1", "us-west-2", "eu-west-1", "eu-central-1"];
const ADDRESSES: &[&str] = &["203.0.113.7", "198.51.100.23", "192.0.2.1", "10.0.0.5", "2001:db8::1"];
const ACCOUNTS: &[&str] = &["111122223333", "444455556666", "777788889999"];
const ERRORS: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "Client.UnauthorizedOperation",
    "ThrottlingException",
    "Client.RequestLimitExceeded",
    "TooManyRequestsException",
    "NoSuchBucket",
    "ValidationException",
    "VpceAccessDenied",
];
const USERS: &[&str] = &["alice", "bob", "carol", "dave", "mallory", "erin"];
const ROLES: &[&str] = &["deploy", "AuditReader", "Admin"];
const AGENTS: &[&str] =
    &["aws-cli/2.15.0 Python/3.11", "Boto3/1.34.0", "console.amazonaws.com", "APN/1.0 Terraform/1.7.0"];
const TLS: &[&str] = &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// Chance that is the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// The records: most of them of the last days, some years old.
pub(crate) fn made_records() -> Vec<Value> {
    let mut chance = Chance(20_260_203);
    (0..COUNT).map(|number| record(number, &mut chance)).collect()
}

fn record(number: usize, chance: &mut Chance) -> Value {
    let (service, name, read_only, names) = EVENTS[chance.below(EVENTS.len())];
    let share = (chance.below(1_000_000) as f64) / 1e6;
    let age = share.powi(5) * 1000.0 * 86_400_000.0;
    let time = opentrail_model::Timestamp::from_millis(now().as_millis() - 1 - age as i64 / 1000 * 1000);
    let network = chance.one_in(12);
    let error = if network {
        chance.one_in(2).then_some("VpceAccessDenied")
    } else {
        chance.one_in(3).then(|| chance.of(ERRORS)).filter(|error| *error != "VpceAccessDenied" || chance.one_in(2))
    };
    let account = chance.of(ACCOUNTS);
    let mut record = json!({
        "eventVersion": "1.09",
        "eventID": format!("5a3f0c1e-0000-4000-8000-{number:012}"),
        "eventTime": time.to_iso(),
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": name,
        "awsRegion": chance.of(REGIONS),
        "sourceIPAddress": chance.of(ADDRESSES),
        "userAgent": chance.of(AGENTS),
        "userIdentity": identity(chance),
        "requestParameters": parameters(names, chance),
        "readOnly": read_only,
        "eventType": if name == "ConsoleLogin" { "AwsConsoleSignIn" } else { "AwsApiCall" },
        "eventCategory": if network { "NetworkActivity" } else if chance.one_in(4) { "Data" } else { "Management" },
        "recipientAccountId": account,
        "tlsDetails": { "tlsVersion": chance.of(TLS) },
    });
    let members = record.as_object_mut().expect("it is an object");
    // Switching roles is answered as signing in is: only the event's name tells them apart.
    if matches!(name, "ConsoleLogin" | "SwitchRole") {
        let answer = if chance.one_in(2) { "Failure" } else { "Success" };
        members.insert("responseElements".to_owned(), json!({ "ConsoleLogin": answer }));
        members.insert(
            "additionalEventData".to_owned(),
            json!({ "MFAUsed": if chance.one_in(2) { "No" } else { "Yes" } }),
        );
    } else if let Some(error) = error {
        members.insert("errorCode".to_owned(), json!(error));
    }
    if chance.one_in(5) {
        members.insert("sessionCredentialFromConsole".to_owned(), json!("true"));
    }
    if network || chance.one_in(6) {
        members.insert(
            "vpcEndpointId".to_owned(),
            json!(chance.of(&["vpce-0a1b2c3d4e5f60718", "vpce-0ffffffffffffffff"])),
        );
    }
    if let Some(bucket) = members["requestParameters"]["bucketName"].as_str().map(str::to_owned) {
        let arn = format!("arn:aws:s3:::{bucket}");
        members
            .insert("resources".to_owned(), json!([{ "type": "AWS::S3::Bucket", "ARN": arn, "accountId": account }]));
    }
    record
}

/// A user, a role's session, the root user, or a service, which has no ARN.
fn identity(chance: &mut Chance) -> Value {
    let account = chance.of(&["111122223333", "444455556666"]);
    match chance.below(10) {
        0 => json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com" }),
        1 => {
            json!({ "type": "Root", "principalId": account, "arn": format!("arn:aws:iam::{account}:root"), "accountId": account })
        }
        2..=4 => {
            let (role, session) = (chance.of(ROLES), chance.of(&["ci", "night"]));
            json!({
                "type": "AssumedRole",
                "principalId": format!("AROAEXAMPLE{}:{session}", role.to_uppercase()),
                "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{session}"),
                "accountId": "111122223333",
                "accessKeyId": format!("ASIAEXAMPLE{}0001", role.to_uppercase()),
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role", "userName": role, "arn": format!("arn:aws:iam::111122223333:role/{role}"),
                    },
                    "attributes": { "mfaAuthenticated": if chance.one_in(2) { "true" } else { "false" } },
                },
            })
        }
        _ => {
            let user = chance.of(USERS);
            // Half of them are of one account and half of the other.
            let account = if user.len() == 5 { "111122223333" } else { "444455556666" };
            json!({
                "type": "IAMUser",
                "principalId": format!("AIDAEXAMPLE{}", user.to_uppercase()),
                "arn": format!("arn:aws:iam::{account}:user/{user}"),
                "accountId": account,
                "accessKeyId": format!("AKIAEXAMPLE{}0001", user.to_uppercase()),
                "userName": user,
            })
        }
    }
}

fn parameters(names: &str, chance: &mut Chance) -> Value {
    let mut parameters = Map::new();
    let mut put = |name: &str, value: &str| parameters.insert(name.to_owned(), json!(value));
    match names {
        "" => return Value::Null,
        "bucketName" => put("bucketName", chance.of(&["audit-logs", "payroll-data", "web-assets"])),
        "secretId" => put("secretId", chance.of(&["prod/db-password", "dev/api-key"])),
        "roleArn" => put("roleArn", &format!("arn:aws:iam::111122223333:role/{}", chance.of(ROLES))),
        "userName" => put("userName", chance.of(USERS)),
        "roleName" => put("roleName", chance.of(ROLES)),
        "instance" => put("instancesSet", chance.of(&["i-0abcdef1234567890", "i-0ffffffffffffffff"])),
        "rules" => put(
            "ipPermissions",
            chance.of(&["{\"cidrIp\":\"0.0.0.0/0\"}", "{\"cidrIpv6\":\"::/0\"}", "{\"cidrIp\":\"10.0.0.0/8\"}"]),
        ),
        other => put(other, chance.of(&["first", "second"])),
    };
    Value::Object(parameters)
}
