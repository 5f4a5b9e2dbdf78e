//! What LookupEvents answers as `Resources`: names found in a call's parameters and response, by service.
//!
//! AWS derives them by an unpublished table, so this one is a choice: it follows what is observed (AssumeRole names
//! the new access key, the session thrice and the role; S3 bucket calls name the bucket; CloudTrail calls name the
//! trail and its bucket; EC2 calls name each thing by its id). A service without rules falls back to the record's
//! own `resources`, the ARN as the name; a service with rules never does, as KMS calls by a service show `[]`.

use sonic_rs::{JsonValueTrait, LazyValue};

use crate::json;

/// Where a rule looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Request,
    Response,
}

/// What of the value is the name.
#[derive(Clone, Copy)]
enum Take {
    Whole,
    AfterLastSlash,
}

/// One place that names a resource. `[]` in a path stands for every element of a list; a text where a list was
/// expected counts as its only element.
struct Rule {
    part: Part,
    path: &'static [&'static str],
    take: Take,
    kind: &'static str,
}

const fn request(path: &'static [&'static str], kind: &'static str) -> Rule {
    Rule { part: Part::Request, path, take: Take::Whole, kind }
}

const fn response(path: &'static [&'static str], kind: &'static str) -> Rule {
    Rule { part: Part::Response, path, take: Take::Whole, kind }
}

const IAM: &[Rule] = &[
    request(&["userName"], "AWS::IAM::User"),
    request(&["roleName"], "AWS::IAM::Role"),
    request(&["groupName"], "AWS::IAM::Group"),
    request(&["policyArn"], "AWS::IAM::Policy"),
    request(&["policyName"], "AWS::IAM::Policy"),
    request(&["instanceProfileName"], "AWS::IAM::InstanceProfile"),
    request(&["accessKeyId"], "AWS::IAM::AccessKey"),
    request(&["serialNumber"], "AWS::IAM::MFADevice"),
    response(&["user", "arn"], "AWS::IAM::User"),
    response(&["user", "userId"], "AWS::IAM::User"),
    response(&["role", "arn"], "AWS::IAM::Role"),
    response(&["role", "roleId"], "AWS::IAM::Role"),
    response(&["group", "arn"], "AWS::IAM::Group"),
    response(&["group", "groupId"], "AWS::IAM::Group"),
    response(&["policy", "arn"], "AWS::IAM::Policy"),
    response(&["policy", "policyId"], "AWS::IAM::Policy"),
    response(&["accessKey", "accessKeyId"], "AWS::IAM::AccessKey"),
    response(&["instanceProfile", "arn"], "AWS::IAM::InstanceProfile"),
    response(&["virtualMFADevice", "serialNumber"], "AWS::IAM::MFADevice"),
];

const STS: &[Rule] = &[
    response(&["credentials", "accessKeyId"], "AWS::IAM::AccessKey"),
    Rule {
        part: Part::Response,
        path: &["assumedRoleUser", "arn"],
        take: Take::AfterLastSlash,
        kind: "AWS::STS::AssumedRole",
    },
    response(&["assumedRoleUser", "assumedRoleId"], "AWS::STS::AssumedRole"),
    response(&["assumedRoleUser", "arn"], "AWS::STS::AssumedRole"),
    response(&["federatedUser", "arn"], "AWS::STS::FederatedUser"),
    request(&["roleArn"], "AWS::IAM::Role"),
];

const S3: &[Rule] = &[request(&["bucketName"], "AWS::S3::Bucket")];

const CLOUDTRAIL: &[Rule] = &[
    request(&["name"], "AWS::CloudTrail::Trail"),
    request(&["trailName"], "AWS::CloudTrail::Trail"),
    request(&["trailNameList", "[]"], "AWS::CloudTrail::Trail"),
    request(&["resourceId"], "AWS::CloudTrail::Trail"),
    request(&["resourceIdList", "[]"], "AWS::CloudTrail::Trail"),
    response(&["trailARN"], "AWS::CloudTrail::Trail"),
    request(&["s3BucketName"], "AWS::S3::Bucket"),
    response(&["s3BucketName"], "AWS::S3::Bucket"),
    response(&["eventDataStoreArn"], "AWS::CloudTrail::EventDataStore"),
    request(&["eventDataStore"], "AWS::CloudTrail::EventDataStore"),
];

const EC2: &[Rule] = &[
    request(&["instancesSet", "items", "[]", "instanceId"], "AWS::EC2::Instance"),
    request(&["instanceId"], "AWS::EC2::Instance"),
    request(&["instancesSet", "items", "[]", "imageId"], "AWS::EC2::Ami"),
    request(&["instancesSet", "items", "[]", "keyName"], "AWS::EC2::KeyPair"),
    request(&["imageId"], "AWS::EC2::Ami"),
    request(&["keyName"], "AWS::EC2::KeyPair"),
    request(&["vpcId"], "AWS::EC2::VPC"),
    request(&["subnetId"], "AWS::EC2::Subnet"),
    request(&["groupId"], "AWS::EC2::SecurityGroup"),
    request(&["groupName"], "AWS::EC2::SecurityGroup"),
    request(&["groupSet", "items", "[]", "groupId"], "AWS::EC2::SecurityGroup"),
    request(&["volumeId"], "AWS::EC2::Volume"),
    request(&["snapshotId"], "AWS::EC2::Snapshot"),
    request(&["networkInterfaceId"], "AWS::EC2::NetworkInterface"),
    request(&["routeTableId"], "AWS::EC2::RouteTable"),
    request(&["internetGatewayId"], "AWS::EC2::InternetGateway"),
    request(&["natGatewayId"], "AWS::EC2::NatGateway"),
    request(&["networkAclId"], "AWS::EC2::NetworkAcl"),
    request(&["allocationId"], "AWS::EC2::EIP"),
    response(&["instancesSet", "items", "[]", "instanceId"], "AWS::EC2::Instance"),
    response(&["instancesSet", "items", "[]", "imageId"], "AWS::EC2::Ami"),
    response(&["instancesSet", "items", "[]", "keyName"], "AWS::EC2::KeyPair"),
    response(&["instancesSet", "items", "[]", "vpcId"], "AWS::EC2::VPC"),
    response(&["instancesSet", "items", "[]", "subnetId"], "AWS::EC2::Subnet"),
    response(&["instancesSet", "items", "[]", "groupSet", "items", "[]", "groupId"], "AWS::EC2::SecurityGroup"),
    response(
        &["instancesSet", "items", "[]", "networkInterfaceSet", "items", "[]", "networkInterfaceId"],
        "AWS::EC2::NetworkInterface",
    ),
    response(&["groupId"], "AWS::EC2::SecurityGroup"),
    response(&["keyName"], "AWS::EC2::KeyPair"),
    response(&["volumeId"], "AWS::EC2::Volume"),
    response(&["snapshotId"], "AWS::EC2::Snapshot"),
    response(&["imageId"], "AWS::EC2::Ami"),
    response(&["vpc", "vpcId"], "AWS::EC2::VPC"),
    response(&["subnet", "subnetId"], "AWS::EC2::Subnet"),
    response(&["networkInterface", "networkInterfaceId"], "AWS::EC2::NetworkInterface"),
    response(&["CreateLaunchTemplateResponse", "launchTemplate", "launchTemplateId"], "AWS::EC2::LaunchTemplate"),
    request(&["CreateLaunchTemplateVersionRequest", "LaunchTemplateId"], "AWS::EC2::LaunchTemplate"),
    request(&["DeleteLaunchTemplateRequest", "LaunchTemplateId"], "AWS::EC2::LaunchTemplate"),
];

const KMS: &[Rule] = &[
    request(&["keyId"], "AWS::KMS::Key"),
    request(&["targetKeyId"], "AWS::KMS::Key"),
    request(&["aliasName"], "AWS::KMS::Alias"),
    response(&["keyMetadata", "keyId"], "AWS::KMS::Key"),
    response(&["keyMetadata", "arn"], "AWS::KMS::Key"),
];

const LAMBDA: &[Rule] = &[
    request(&["functionName"], "AWS::Lambda::Function"),
    response(&["functionArn"], "AWS::Lambda::Function"),
    request(&["layerName"], "AWS::Lambda::LayerVersion"),
    request(&["uUID"], "AWS::Lambda::EventSourceMapping"),
];

const DYNAMODB: &[Rule] = &[
    request(&["tableName"], "AWS::DynamoDB::Table"),
    response(&["tableDescription", "tableArn"], "AWS::DynamoDB::Table"),
];

const SNS: &[Rule] = &[
    request(&["topicArn"], "AWS::SNS::Topic"),
    response(&["topicArn"], "AWS::SNS::Topic"),
    response(&["subscriptionArn"], "AWS::SNS::Subscription"),
];

const SQS: &[Rule] = &[
    request(&["queueUrl"], "AWS::SQS::Queue"),
    request(&["queueName"], "AWS::SQS::Queue"),
    response(&["queueUrl"], "AWS::SQS::Queue"),
];

const SECRETS: &[Rule] =
    &[request(&["secretId"], "AWS::SecretsManager::Secret"), response(&["arn"], "AWS::SecretsManager::Secret")];

const SSM: &[Rule] = &[
    request(&["name"], "AWS::SSM::Parameter"),
    request(&["names", "[]"], "AWS::SSM::Parameter"),
    request(&["documentName"], "AWS::SSM::Document"),
    request(&["instanceIds", "[]"], "AWS::EC2::Instance"),
    request(&["target"], "AWS::EC2::Instance"),
];

const RDS: &[Rule] = &[
    request(&["dBInstanceIdentifier"], "AWS::RDS::DBInstance"),
    request(&["dBClusterIdentifier"], "AWS::RDS::DBCluster"),
    request(&["dBSnapshotIdentifier"], "AWS::RDS::DBSnapshot"),
    response(&["dBInstanceArn"], "AWS::RDS::DBInstance"),
];

const LOGS: &[Rule] =
    &[request(&["logGroupName"], "AWS::Logs::LogGroup"), request(&["logStreamName"], "AWS::Logs::LogStream")];

fn rules(event_source: &str) -> Option<&'static [Rule]> {
    Some(match event_source.strip_suffix(".amazonaws.com")? {
        "iam" => IAM,
        "sts" => STS,
        "s3" => S3,
        "cloudtrail" => CLOUDTRAIL,
        "ec2" => EC2,
        "kms" => KMS,
        "lambda" => LAMBDA,
        "dynamodb" => DYNAMODB,
        "sns" => SNS,
        "sqs" => SQS,
        "secretsmanager" => SECRETS,
        "ssm" => SSM,
        "rds" => RDS,
        "logs" => LOGS,
        _ => return None,
    })
}

/// The pairs of type and name, each once, in the order of the rules; `None` when the service has no rules.
pub(crate) fn resources(
    event_source: &str,
    request: Option<&LazyValue<'_>>,
    response: Option<&LazyValue<'_>>,
) -> Option<Vec<(&'static str, String)>> {
    let rules = rules(event_source)?;
    let mut found = Vec::new();
    for (part, value) in [(Part::Request, request), (Part::Response, response)] {
        let Some(value) = value.filter(|value| value.is_object()) else { continue };
        // One pass over the object's keys; rules are tried per key, so that an object without a name costs one pass.
        json::members(value.as_raw_str(), |key, member| {
            for (order, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.part == part && rule.path[0] == key) {
                found.retain(|(at, _, _)| *at != order);
                collect(member, &rule.path[1..], &mut |name| {
                    let name = match rule.take {
                        Take::Whole => name,
                        Take::AfterLastSlash => name.rsplit('/').next().unwrap_or(name),
                    };
                    if !name.is_empty() {
                        found.push((order, rule.kind, name.to_owned()));
                    }
                });
            }
        });
    }
    found.sort_by_key(|(order, _, _)| *order);
    let mut pairs: Vec<(&'static str, String)> = Vec::with_capacity(found.len());
    for (_, kind, name) in found {
        if !pairs.iter().any(|pair| pair.0 == kind && pair.1 == name) {
            pairs.push((kind, name));
        }
    }
    Some(pairs)
}

fn collect(value: &LazyValue<'_>, path: &[&str], found: &mut dyn FnMut(&str)) {
    match path {
        [] => {
            if let Some(text) = value.as_str() {
                found(text);
            }
        }
        ["[]", rest @ ..] if value.is_array() => {
            json::elements(value.as_raw_str(), |element| collect(element, rest, found));
        }
        ["[]", rest @ ..] => collect(value, rest, found),
        [key, rest @ ..] if value.is_object() => {
            if let Some(member) = json::member(value.as_raw_str(), key) {
                collect(&member, rest, found);
            }
        }
        _ => {}
    }
}
