//! Records of the shape and size that real ones have (about 1.25 KB), each a function of the seed and its number, so that a
//! later lookup knows what to ask for.

use std::io::{BufWriter, Write};

use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, SystemClock};

/// The account that a new server makes.
pub const ACCOUNT: &str = "100000000001";
/// Every record's Region.
pub const REGION: &str = "us-east-1";
/// One record in so many is by somebody who is seen only once.
pub const RARE: u64 = 1000;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
const USERS: u64 = 60;
const KEYS: u64 = 400;
const RESOURCES: u64 = 5000;

/// Service, operation, the parameter that names the resource, the resource's type, whether it only reads.
pub const OPERATIONS: [(&str, &str, &str, &str, bool); 20] = [
    ("sts", "AssumeRole", "roleArn", "AWS::IAM::Role", true),
    ("sts", "GetCallerIdentity", "", "", true),
    ("s3", "GetBucketAcl", "bucketName", "AWS::S3::Bucket", true),
    ("s3", "ListBuckets", "", "", true),
    ("s3", "PutBucketPolicy", "bucketName", "AWS::S3::Bucket", false),
    ("kms", "Decrypt", "keyId", "AWS::KMS::Key", true),
    ("kms", "GenerateDataKey", "keyId", "AWS::KMS::Key", true),
    ("ec2", "DescribeInstances", "", "", true),
    ("ec2", "RunInstances", "instanceId", "AWS::EC2::Instance", false),
    ("ec2", "TerminateInstances", "instanceId", "AWS::EC2::Instance", false),
    ("ec2", "DescribeSecurityGroups", "groupId", "AWS::EC2::SecurityGroup", true),
    ("iam", "ListRoles", "", "", true),
    ("iam", "CreateUser", "userName", "AWS::IAM::User", false),
    ("iam", "AttachRolePolicy", "roleName", "AWS::IAM::Role", false),
    ("lambda", "ListFunctions20150331", "", "", true),
    ("lambda", "UpdateFunctionCode20150331v2", "functionName", "AWS::Lambda::Function", false),
    ("dynamodb", "DescribeTable", "tableName", "AWS::DynamoDB::Table", true),
    ("dynamodb", "UpdateTable", "tableName", "AWS::DynamoDB::Table", false),
    ("logs", "CreateLogStream", "logGroupName", "AWS::Logs::LogGroup", false),
    ("cloudtrail", "LookupEvents", "", "", true),
];
const AGENTS: [&str; 5] = [
    "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0",
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#5.10.240",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.1 terraform-provider-aws/6.11.0",
    "aws-sdk-java/2.32.29 md/io#sync md/http#Apache ua/2.1 os/Linux#6.1.147",
    "ec2.amazonaws.com",
];

/// The records numbered from 0.
#[derive(Clone, Debug)]
pub struct Records {
    pub seed: u64,
    /// The time of the first and of the last record, in milliseconds.
    pub first_millis: i64,
    pub last_millis: i64,
    /// How many there are between those.
    pub total: u64,
}

impl Records {
    /// `total` records over the `days` that end now; with no days, all of them now.
    pub fn until_now(seed: u64, total: u64, days: u32) -> Self {
        let last_millis = SystemClock.now().as_millis();
        Self { seed, first_millis: last_millis - i64::from(days) * DAY_MILLIS, last_millis, total: total.max(1) }
    }

    /// Appends record `number` to `out`: one JSON object without line breaks, tabs or backslashes.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let mut chance = self.chance(number);
        let (request_id, request_more) = (chance.next(), chance.next());
        let (service, name, parameter, resource_type, read_only) = self.operation(number);
        let (user, key, event_id) = (self.user(number), self.access_key(number), self.event_id(number));
        let span = (self.last_millis - self.first_millis) as u64;
        let millis = self.first_millis + (u128::from(span) * u128::from(number) / u128::from(self.total)) as i64;
        let time = Timestamp::from_millis(millis).to_iso();
        let created = Timestamp::from_millis(millis - (chance.below(3_600_000)) as i64).to_iso();
        let agent = AGENTS[chance.below(5) as usize];
        let role = ["deployer", "batch", "web", "etl", "auditor", "operator"][chance.below(6) as usize];
        let principal = format!("AROA{:017X}", chance.below(48) * 0x9E37_79B9);
        let (ip, port) = (chance.next(), chance.below(50_000));
        // The text's vector takes any bytes, so these writes do not fail.
        let _ = write!(
            out,
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"{principal}:{user}","arn":"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{user}","accountId":"{ACCOUNT}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{principal}","arn":"arn:aws:iam::{ACCOUNT}:role/{role}","accountId":"{ACCOUNT}","userName":"{role}"}},"attributes":{{"creationDate":"{created}","mfaAuthenticated":"false"}}}}}},"eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"{REGION}","sourceIPAddress":"198.51.{}.{}","userAgent":"{agent}","#,
            ip % 16,
            ip / 16 % 250
        );
        if parameter.is_empty() {
            let _ = write!(out, r#""requestParameters":{{"maxResults":{}}},"#, 50 + port % 50);
        } else {
            let resource = self.resource(number);
            let _ = write!(
                out,
                r#""requestParameters":{{"{parameter}":"{resource}"}},"resources":[{{"accountId":"{ACCOUNT}","type":"{resource_type}","ARN":"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"}}],"#
            );
        }
        if read_only {
            out.extend_from_slice(br#""responseElements":null,"#);
        } else {
            let _ = write!(out, r#""responseElements":{{"requestId":"{request_id:016x}","version":{port}}},"#);
        }
        let _ = write!(
            out,
            r#""requestID":"{}","eventID":"{event_id}","readOnly":{read_only},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{ACCOUNT}","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.{REGION}.amazonaws.com"}}}}"#,
            uuid(request_id, request_more)
        );
    }

    pub fn event_id(&self, number: u64) -> String {
        let mut chance = Chance(mixed(self.seed ^ 0x00E5_EA7D) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        uuid(chance.next(), chance.next())
    }

    pub fn operation(&self, number: u64) -> (&'static str, &'static str, &'static str, &'static str, bool) {
        OPERATIONS[Chance(mixed(self.seed ^ number ^ 1 << 40)).below(OPERATIONS.len() as u64) as usize]
    }

    /// The session's name, which is LookupEvents' `Username`.
    pub fn user(&self, number: u64) -> String {
        if number.is_multiple_of(RARE) {
            return format!("visitor-{number}");
        }
        format!("session-{:03}", Chance(mixed(self.seed ^ number ^ 2 << 40)).below(USERS))
    }

    pub fn access_key(&self, number: u64) -> String {
        if number.is_multiple_of(RARE) {
            return format!("ASIARARE{number:012}");
        }
        format!("ASIAEXAMPLE{:09}", Chance(mixed(self.seed ^ number ^ 3 << 40)).below(KEYS))
    }

    /// The resource's name; of no meaning where the operation has none.
    pub fn resource(&self, number: u64) -> String {
        format!("thing-{:05}", Chance(mixed(self.seed ^ number ^ 4 << 40)).below(RESOURCES))
    }

    fn chance(&self, number: u64) -> Chance {
        Chance(mixed(self.seed ^ number ^ 5 << 40))
    }
}

fn uuid(a: u64, b: u64) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xFFFF,
        a & 0xFFF,
        0x8000 | b >> 48 & 0x3FFF,
        b & 0xFFFF_FFFF_FFFF
    )
}

/// SplitMix64: quick, and a function of its start.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn mixed(state: u64) -> u64 {
    let state = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ state >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ state >> 31
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 10)]
    count: u64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Spread over so many days that end now.
    #[arg(long, default_value_t = 0)]
    days: u32,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let records = Records::until_now(args.seed, args.count, args.days);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    for number in 0..args.count {
        line.clear();
        records.write(number, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn records() -> Records {
        Records { seed: 7, first_millis: 1_700_000_000_000, last_millis: 1_700_000_100_000, total: 2000 }
    }

    #[test]
    fn records_have_the_size_of_real_ones_and_ids_of_their_own() {
        let (mut bytes, mut ids) = (0, std::collections::HashSet::new());
        for number in 0..2000 {
            let mut record = Vec::new();
            records().write(number, &mut record);
            bytes += record.len();
            assert!(!record.iter().any(|byte| matches!(byte, b'\\' | b'\t' | b'\n')));
            let value: Value = serde_json::from_slice(&record).unwrap();
            assert_eq!(value["eventID"], records().event_id(number));
            ids.insert(records().event_id(number));
        }
        assert_eq!(ids.len(), 2000);
        assert!((1150..=1350).contains(&(bytes / 2000)), "{} bytes each", bytes / 2000);
    }

    #[test]
    fn the_same_seed_gives_the_same_record() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        records().write(42, &mut a);
        records().write(42, &mut b);
        assert_eq!(a, b);
    }
}
