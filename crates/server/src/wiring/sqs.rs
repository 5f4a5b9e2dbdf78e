//! SQS: the queues that tell of new log files in buckets that are followed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_follow::{Message, Queue, QueueError};
use opentrail_outbound::aws::AwsCalls;
use opentrail_outbound::{Outbound, OutboundOptions};
use opentrail_runtime::Clock;
use serde_json::{Value, json};

use crate::config::QueueSection;

/// Messages that are received, and deleted, at once: the most that SQS knows.
const AT_ONCE: u32 = 10;
/// How long nobody else gets a message that was received: files are read meanwhile.
const HIDDEN: Duration = Duration::from_secs(300);
/// How long a message stays away whose files could not be taken.
const PUT_BACK: Duration = Duration::from_secs(30);
/// An answer beyond the time that SQS itself waits for messages is late after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ten messages of 1 MiB, which is what a queue may hold, and their frame.
const LONGEST_ANSWER: usize = 12 << 20;

/// A queue of SQS. (SQS API Reference; its JSON protocol.)
pub(crate) struct SqsQueue {
    section: QueueSection,
    calls: AwsCalls,
}

impl SqsQueue {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(section: QueueSection, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let options = OutboundOptions {
            timeout: section.wait + PATIENCE,
            most_answer_bytes: LONGEST_ANSWER,
            ..OutboundOptions::default()
        };
        Ok(Self { section, calls: AwsCalls::new(Outbound::new(options)?, clock) })
    }

    async fn call(&self, operation: &str, mut input: Value) -> Result<Value, QueueError> {
        let QueueSection { url, at, .. } = &self.section;
        input["QueueUrl"] = json!(url);
        let answer = self.calls.json(at, "sqs", "1.0", &format!("AmazonSQS.{operation}"), &input).await;
        answer.map_err(|error| QueueError { reason: format!("{operation} at {}: {error}", at.endpoint) })
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        let wanted = json!({
            "MaxNumberOfMessages": AT_ONCE,
            "WaitTimeSeconds": self.section.wait.as_secs(),
            "VisibilityTimeout": HIDDEN.as_secs(),
        });
        let answer = self.call("ReceiveMessage", wanted).await?;
        let messages = answer["Messages"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(messages
            .filter_map(|message| {
                Some(Message { body: text(&message["Body"])?, receipt: text(&message["ReceiptHandle"])? })
            })
            .collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), QueueError> {
        let entry = |(id, receipt)| json!({ "Id": format!("{id}"), "ReceiptHandle": receipt });
        let entries: Vec<Value> = receipts.iter().enumerate().map(entry).collect();
        let answer = self.call("DeleteMessageBatch", json!({ "Entries": entries })).await?;
        match answer["Failed"].as_array().and_then(|failed| failed.first()) {
            None => Ok(()),
            // They come again, and are found to be known.
            Some(failed) => Err(QueueError { reason: format!("a message cannot be deleted: {failed}") }),
        }
    }

    async fn put_back(&self, receipt: &str) -> Result<(), QueueError> {
        let wanted = json!({ "ReceiptHandle": receipt, "VisibilityTimeout": PUT_BACK.as_secs() });
        self.call("ChangeMessageVisibility", wanted).await.map(drop)
    }
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueue").field("url", &self.section.url).finish_non_exhaustive()
    }
}
