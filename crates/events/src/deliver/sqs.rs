//! Queues of a service that speaks as SQS does.

use async_trait::async_trait;
use opentrail_model::{AccountId, Arn};
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, base};
use serde_json::{Map, Value, json};

use super::destination::{Delivery, Destination};
use super::failure::DeliveryFailure;

/// Delivers to queues by `SendMessage` (awsJson 1.0) at a configured endpoint, with the credentials configured for it.
/// A queue's URL is the endpoint, the ARN's account and the name.
#[derive(Clone, Debug)]
pub struct SqsQueues {
    calls: AwsCalls,
    endpoint: AwsEndpoint,
}

impl SqsQueues {
    /// The queues at `endpoint`. Calls are signed for the Region of each queue's ARN.
    pub fn new(calls: AwsCalls, endpoint: AwsEndpoint) -> Self {
        Self { calls, endpoint }
    }
}

#[async_trait]
impl Destination for SqsQueues {
    fn check(&self, arn: &Arn, _account: AccountId) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if arn.resource().is_empty() || !arn.resource().chars().all(is_name) || region(arn).is_err() {
            return Err("An ARN of a queue is arn:aws:sqs:REGION:ACCOUNT:NAME.".to_owned());
        }
        Ok(())
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
        let arn = &delivery.target.arn;
        let endpoint = AwsEndpoint { region: region(arn)?, ..self.endpoint.clone() };
        let input = message(&base(&self.endpoint.endpoint), delivery);
        self.calls.json(&endpoint, "sqs", "1.0", "AmazonSQS.SendMessage", &input).await?;
        Ok(())
    }
}

fn region(arn: &Arn) -> Result<opentrail_model::Region, DeliveryFailure> {
    arn.region()
        .parse()
        .map_err(|_| DeliveryFailure::never("INVALID_PARAMETER", format!("{} names no Region", arn.as_str())))
}

/// SendMessage's input. (SQS API Reference, SendMessage.)
fn message(endpoint: &str, delivery: &Delivery<'_>) -> Value {
    let arn = &delivery.target.arn;
    let mut input = json!({
        "QueueUrl": format!("{endpoint}/{}/{}", arn.account(), arn.resource()),
        "MessageBody": String::from_utf8_lossy(delivery.payload),
    });
    if let Some(group) = &delivery.target.message_group_id {
        input["MessageGroupId"] = Value::from(group.as_str());
    }
    let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
    // SQS takes no empty attribute.
    let given = delivery.attributes.iter().filter(|(_, value)| !value.is_empty());
    let attributes: Map<String, Value> = given.map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    if !attributes.is_empty() {
        input["MessageAttributes"] = Value::Object(attributes);
    }
    input
}
