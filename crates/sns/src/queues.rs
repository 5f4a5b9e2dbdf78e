//! Deliveries to queues of an SQS-compatible service. (SQS API Reference, SendMessage; SNS Developer Guide, "Fanout to
//! Amazon SQS queues", "Amazon SNS raw message delivery", "Amazon SNS dead-letter queues".)

use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, base};
use serde_json::{Map, Value, json};

use crate::arn::QueueArn;
use crate::message::{Message, is_type};
use crate::outcome::Outcome;

/// How many attributes a message in a queue has at most; one that arrives raw with more is refused.
const MOST_ATTRIBUTES: usize = 10;

/// The service that has the queues.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    pub(crate) at: AwsEndpoint,
    pub(crate) calls: AwsCalls,
}

/// What goes into a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Letter {
    pub(crate) body: String,
    /// SQS's `MessageAttributes`.
    pub(crate) attributes: Map<String, Value>,
    pub(crate) group: Option<String>,
}

impl Letter {
    /// A message as it is, with its attributes as the queue's own.
    pub(crate) fn raw(message: &Message, body: String) -> Self {
        let attributes = message.attributes.iter().map(|(name, one)| {
            let member = if is_type(&one.data_type, "Binary") { "BinaryValue" } else { "StringValue" };
            (name.clone(), json!({ "DataType": one.data_type, member: one.value }))
        });
        Self { body, attributes: attributes.collect(), group: message.group.clone() }
    }

    /// As a dead letter, for which an endpoint had this reason.
    pub(crate) fn dead(mut self, message: &Message, failure: &str) -> Self {
        let id = message.id.to_string();
        for (name, value) in [("RequestID", id.as_str()), ("ErrorCode", "Undeliverable"), ("ErrorMessage", failure)] {
            if self.attributes.len() < MOST_ATTRIBUTES {
                self.attributes.insert(name.to_owned(), json!({ "DataType": "String", "StringValue": value }));
            }
        }
        self
    }
}

impl Queues {
    /// Puts a letter into a queue.
    pub(crate) async fn send(&self, queue: &str, letter: Letter) -> Outcome {
        let Ok(queue) = queue.parse::<QueueArn>() else {
            return Outcome::Refused("the endpoint is no queue's ARN".to_owned());
        };
        if letter.attributes.len() > MOST_ATTRIBUTES {
            return Outcome::Refused(format!("a raw message in a queue has at most {MOST_ATTRIBUTES} attributes"));
        }
        let mut input = json!({
            "QueueUrl": format!("{}/{}/{}", base(&self.at.endpoint), queue.account, queue.name),
            "MessageBody": letter.body,
        });
        if !letter.attributes.is_empty() {
            input["MessageAttributes"] = Value::Object(letter.attributes);
        }
        if let Some(group) = letter.group {
            input["MessageGroupId"] = group.into();
        }
        let Ok(region) = queue.region.parse() else {
            return Outcome::Refused("the queue's Region is none".to_owned());
        };
        let at = AwsEndpoint { region, ..self.at.clone() };
        match self.calls.json(&at, "sqs", "1.0", "AmazonSQS.SendMessage", &input).await {
            Ok(_) => Outcome::Delivered,
            Err(error) if error.is_retryable() => Outcome::Failed(error.to_string()),
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}
