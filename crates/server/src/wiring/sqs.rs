//! SQS: the queues that tell of new log files in buckets that are followed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request};
use opentrail_follow::{Message, Queue, QueueError};
use opentrail_runtime::Clock;
use opentrail_wire::sigv4::{Credentials, hex_sha256, sign_headers};
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
    url: String,
    authority: String,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl SqsQueue {
    /// # Errors
    /// When TLS cannot be set up, or the endpoint names no host.
    pub(crate) fn new(section: QueueSection, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let authority = section.endpoint.authority().map(ToString::to_string);
        let authority = authority.ok_or_else(|| anyhow::anyhow!("{} names no host", section.endpoint))?;
        let url = format!("{}/", section.endpoint.to_string().trim_end_matches('/'));
        let http = reqwest::Client::builder().timeout(section.wait + PATIENCE).build()?;
        Ok(Self { section, url, authority, http, clock })
    }

    async fn call(&self, operation: &str, mut input: Value) -> Result<Value, QueueError> {
        let failed =
            |reason: String| QueueError { reason: format!("{operation} at {}: {reason}", self.section.endpoint) };
        input["QueueUrl"] = json!(self.section.url);
        let body = serde_json::to_vec(&input).expect("a JSON value can be written");
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(http::header::HOST, &self.authority)
            .header(http::header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .body(());
        let (mut head, ()) = request.map_err(|error| failed(error.to_string()))?.into_parts();
        let credentials = Credentials {
            access_key_id: self.section.access_key_id.clone(),
            secret: self.section.secret_access_key.expose().to_owned(),
            session_token: self.section.session_token.as_ref().map(|token| token.expose().to_owned()),
        };
        let (region, hash) = (self.section.region.as_str(), hex_sha256(&body));
        sign_headers(&mut head, &credentials, region, "sqs", &hash, self.clock.now())
            .map_err(|error| failed(error.to_string()))?;
        let sent = self.http.request(head.method, &self.url).headers(head.headers).body(body).send().await;
        let mut response = sent.map_err(|error| failed(error.without_url().to_string()))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failed(error.without_url().to_string()))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST_ANSWER {
                return Err(failed("the answer has no end".to_owned()));
            }
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let name = answer["__type"].as_str().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or_default();
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
        Err(failed(format!("{status} {name} {message}").trim_end().to_owned()))
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
