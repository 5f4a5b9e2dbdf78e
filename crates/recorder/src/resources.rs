//! The resources that a request names, for the services whose records list them.

pub(crate) mod dynamodb;

use opentrail_model::Region;
use serde_json::{Value, json};

use crate::exchange::Endpoint;

/// The resources of a call by its parameters, in the model's spelling or CloudTrail's. Names are completed to ARNs of
/// the endpoint's account.
pub(crate) fn named(endpoint: &Endpoint, region: &Region, event_source: &str, request: &Value) -> Vec<Value> {
    let place = Place { endpoint, region };
    let text = |member: &str| member_of(request, member)?.as_str().filter(|text| !text.is_empty());
    let one = |kind, arn: Option<String>| arn.map(|arn| place.resource(kind, &arn)).into_iter().collect::<Vec<_>>();
    match event_source {
        "kms.amazonaws.com" => one("AWS::KMS::Key", text("KeyId").and_then(|id| place.kms_key(id))),
        "sqs.amazonaws.com" => one("AWS::SQS::Queue", text("QueueUrl").and_then(|url| place.queue(url))),
        "sns.amazonaws.com" => one("AWS::SNS::Topic", text("TopicArn").or(text("TargetArn")).map(str::to_owned)),
        "secretsmanager.amazonaws.com" => {
            one("AWS::SecretsManager::Secret", text("SecretId").filter(|id| is_arn(id)).map(str::to_owned))
        }
        "lambda.amazonaws.com" => {
            one("AWS::Lambda::Function", text("FunctionName").map(|name| place.arn("lambda", "function:", name)))
        }
        "kinesis.amazonaws.com" => {
            let arn = text("StreamARN").map(str::to_owned);
            one("AWS::Kinesis::Stream", arn.or(text("StreamName").map(|name| place.arn("kinesis", "stream/", name))))
        }
        "cloudtrail-data.amazonaws.com" => one("AWS::CloudTrail::Channel", text("ChannelArn").map(str::to_owned)),
        "sts.amazonaws.com" => one("AWS::IAM::Role", text("RoleArn").map(str::to_owned)),
        "ssm.amazonaws.com" => parameters(request, &place),
        "dynamodb.amazonaws.com" => dynamodb::named(request, &place),
        _ => Vec::new(),
    }
}

struct Place<'a> {
    endpoint: &'a Endpoint,
    region: &'a Region,
}

impl Place<'_> {
    /// An ARN, unless `name` is one.
    fn arn(&self, service: &str, prefix: &str, name: &str) -> String {
        if is_arn(name) {
            return name.to_owned();
        }
        let Self { endpoint, region } = self;
        format!("arn:{}:{service}:{region}:{}:{prefix}{name}", region.partition(), endpoint.account)
    }

    /// An alias is not the key, and which key it means is not in the request.
    fn kms_key(&self, id: &str) -> Option<String> {
        (!id.contains("alias/")).then(|| self.arn("kms", "key/", id))
    }

    /// `https://sqs.…/111122223333/name`.
    fn queue(&self, url: &str) -> Option<String> {
        let mut parts = url.rsplit('/');
        let (name, account) = (parts.next()?, parts.next()?);
        let known = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let region = self.region;
        known.then(|| format!("arn:{}:sqs:{region}:{account}:{name}", region.partition()))
    }

    fn resource(&self, kind: &str, arn: &str) -> Value {
        let account = arn.split(':').nth(4).filter(|account| !account.is_empty());
        let account = account.map_or_else(|| self.endpoint.account.to_string(), str::to_owned);
        json!({ "accountId": account, "type": kind, "ARN": arn })
    }
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}

/// A member by the model's name, or with its first letter lowered.
fn member_of<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| value.get(crate::spelling::lowered(name)))
}

/// Parameters have no type in real records.
fn parameters(request: &Value, place: &Place<'_>) -> Vec<Value> {
    let many = member_of(request, "Names").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let one = member_of(request, "Name").filter(|name| name.as_str().is_some_and(|name| name.starts_with('/')));
    let account = place.endpoint.account.to_string();
    let names = many.iter().chain(one).filter_map(Value::as_str);
    names
        .map(|name| {
            let prefix = if name.starts_with('/') { "parameter" } else { "parameter/" };
            json!({ "accountId": account, "ARN": place.arn("ssm", prefix, name) })
        })
        .collect()
}
