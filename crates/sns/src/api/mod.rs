//! The API that `aws sns …` speaks: awsQuery, version 2010-03-31.

mod attributes;
mod paging;
mod permissions;
mod publishing;
mod settings;
mod subscriptions;
mod tags;
mod topics;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use opentrail_identity::{Call, Context};
use opentrail_model::AccountId;
use opentrail_wire::Validate;
use opentrail_wire::query::{self, Params, SNS_NAMESPACE};
use opentrail_wire::sigv4::QueryError;
use opentrail_wire::sns::{OTHERS, Operation};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::access;
use crate::arn::{SubscriptionArn, TopicArn};
use crate::error::SnsError;
use crate::sns::{Inner, Sns};
use crate::subscription::Subscription;
use crate::topic::Topic;

const VERSION: &str = "2010-03-31";

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// What the client gets.
    pub response: Response<Bytes>,
    /// The topics that the call was about, as its record lists them in `resources`; they are known also when it was
    /// denied.
    pub resources: Vec<Value>,
}

/// Answers a call of `sns`: parameters in the body, or in the URL as in a presigned GET.
///
/// # Cancellation
/// A change may be made, or a message published, and not answered.
pub async fn api(sns: &Sns, call: &Call, head: &Parts, body: &Bytes) -> Reply {
    let cx = Cx { sns: &sns.0, call, touched: Mutex::new(Vec::new()) };
    let (name, done) = match operation(head, body) {
        Ok((operation, params)) => (operation.name(), handle(&cx, operation, &params).await),
        Err(error) => ("unknown", Err(error)),
    };
    let error = done.as_ref().err().map_or("", |error| error.code);
    metrics::counter!("opentrail_sns_calls_total", "operation" => name, "error" => error).increment(1);
    let response = match done {
        Ok(result) => query::respond_xml(SNS_NAMESPACE, name, result.as_deref(), &call.request_id),
        Err(error) => query::respond_error(SNS_NAMESPACE, &error, &call.request_id),
    };
    Reply { response, resources: cx.touched.into_inner().iter().map(resource).collect() }
}

fn operation(head: &Parts, body: &Bytes) -> Result<(Operation, Params), QueryError> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let params = query::parse_form(if body.is_empty() { query } else { body })?;
    let missing = || {
        let message = "The request must name an action in the parameter Action.";
        QueryError::new("MissingAction", message, StatusCode::BAD_REQUEST)
    };
    let name = params.find("Action").ok_or_else(missing)?;
    if let Some(operation) = Operation::from_name(name) {
        return Ok((operation, params));
    }
    if OTHERS.contains(&name) {
        let message = format!(
            "{name} is not available here: phone numbers, mobile applications and data protection are not built."
        );
        return Err(QueryError::new("InvalidAction", message, StatusCode::BAD_REQUEST));
    }
    Err(QueryError::invalid_action(name, params.find("Version").unwrap_or(VERSION)))
}

/// The content of the operation's result; `None` when it has none.
async fn handle(cx: &Cx<'_>, operation: Operation, params: &Params) -> Result<Option<String>, QueryError> {
    match operation {
        Operation::AddPermission => nothing(permissions::add(cx, read(params)?).await),
        Operation::ConfirmSubscription => answer(subscriptions::confirm(cx, read(params)?).await),
        Operation::CreateTopic => answer(topics::create(cx, read(params)?).await),
        Operation::DeleteTopic => nothing(topics::delete(cx, read(params)?).await),
        Operation::GetSubscriptionAttributes => answer(settings::get(cx, read(params)?).await),
        Operation::GetTopicAttributes => answer(attributes::get(cx, read(params)?).await),
        Operation::ListSubscriptions => answer(subscriptions::list(cx, read(params)?).await),
        Operation::ListSubscriptionsByTopic => answer(subscriptions::list_by_topic(cx, read(params)?).await),
        Operation::ListTagsForResource => answer(tags::list(cx, read(params)?).await),
        Operation::ListTopics => answer(topics::list(cx, read(params)?).await),
        Operation::Publish => answer(publishing::publish(cx, read(params)?).await),
        Operation::PublishBatch => answer(publishing::publish_batch(cx, read(params)?).await),
        Operation::RemovePermission => nothing(permissions::remove(cx, read(params)?).await),
        Operation::SetSubscriptionAttributes => nothing(settings::set(cx, read(params)?).await),
        Operation::SetTopicAttributes => nothing(attributes::set(cx, read(params)?).await),
        Operation::Subscribe => answer(subscriptions::subscribe(cx, read(params)?).await),
        Operation::TagResource => answer(tags::add(cx, read(params)?).await),
        Operation::Unsubscribe => nothing(subscriptions::unsubscribe(cx, read(params)?).await),
        Operation::UntagResource => answer(tags::remove(cx, read(params)?).await),
    }
}

fn read<T: DeserializeOwned + Validate>(params: &Params) -> Result<T, QueryError> {
    query::read_input(params)
}

fn answer(output: Result<impl Serialize, SnsError>) -> Result<Option<String>, QueryError> {
    Ok(Some(query::result_of(&output?)))
}

fn nothing(output: Result<(), SnsError>) -> Result<Option<String>, QueryError> {
    output?;
    Ok(None)
}

/// A call, and what its operation works with.
pub(super) struct Cx<'a> {
    pub(super) sns: &'a Inner,
    pub(super) call: &'a Call,
    touched: Mutex<Vec<TopicArn>>,
}

impl Cx<'_> {
    pub(super) fn account(&self) -> AccountId {
        self.call.principal.account
    }

    pub(super) fn conditions(&self) -> Context {
        self.call.conditions(self.sns.now())
    }

    /// A topic's ARN, of the call's Region.
    pub(super) fn topic_arn(&self, text: &str) -> Result<TopicArn, SnsError> {
        let arn: TopicArn = text.parse().map_err(|_| SnsError::InvalidParameter("TopicArn".to_owned()))?;
        if arn.region != self.call.region {
            return Err(SnsError::parameter("TopicArn", format!("the topic is not in {}", self.call.region)));
        }
        self.touch(&arn);
        Ok(arn)
    }

    pub(super) fn subscription_arn(&self, text: &str) -> Result<SubscriptionArn, SnsError> {
        let wrong = |why: &str| SnsError::parameter("SubscriptionArn", why);
        let arn: SubscriptionArn = text.parse().map_err(|_| wrong("an ARN must end with the id of a subscription"))?;
        if arn.topic.region != self.call.region {
            return Err(wrong("the subscription is in another Region"));
        }
        self.touch(&arn.topic);
        Ok(arn)
    }

    /// The topic that `text` names, for `action` (`SNS:…`), which the policies must allow.
    pub(super) async fn topic(&self, text: &str, action: &str) -> Result<Topic, SnsError> {
        self.topic_under(text, action, self.conditions()).await
    }

    /// As [`Self::topic`], under these conditions.
    pub(super) async fn topic_under(&self, text: &str, action: &str, conditions: Context) -> Result<Topic, SnsError> {
        let arn = self.topic_arn(text)?;
        let found = self.sns.repository.topic(&arn).await?;
        let topic = found.as_ref().map(|found| &found.value);
        // Who may not is not told whether the topic is there.
        self.authorize(action, &arn, topic, conditions)?;
        found.map(|found| found.value).ok_or_else(SnsError::no_topic)
    }

    pub(super) fn authorize(
        &self,
        action: &str,
        arn: &TopicArn,
        topic: Option<&Topic>,
        conditions: Context,
    ) -> Result<(), SnsError> {
        access::authorize(&self.sns.directory, &self.call.principal, action, arn, topic, conditions)
    }

    /// Checks that the caller's own policies allow `action`, which has no resource.
    pub(super) fn authorize_plainly(&self, action: &str) -> Result<(), SnsError> {
        access::authorize_plainly(&self.sns.directory, &self.call.principal, action, &self.conditions())
    }

    /// The subscription that `text` names, for `action`: the caller is of the account that has it or its topic.
    pub(super) async fn subscription(&self, text: &str, action: &str) -> Result<Subscription, SnsError> {
        let arn = self.subscription_arn(text)?;
        self.authorize_plainly(action)?;
        let now = self.sns.now();
        let found = self.sns.repository.subscription(&arn, now).await?.filter(|found| found.value.is_shown(now));
        let own = |one: &Subscription| [one.owner, arn.topic.account].contains(&self.account());
        match found {
            Some(found) if own(&found.value) => Ok(found.value),
            None if arn.topic.account == self.account() => Err(SnsError::no_subscription()),
            _ => {
                let caller = self.call.principal.arn();
                let message = format!("User: {caller} is not authorized to perform: {action} on resource: {arn}");
                Err(SnsError::AuthorizationError(message))
            }
        }
    }

    /// Notes what the call is about, for its record.
    pub(super) fn touch(&self, arn: &TopicArn) {
        let mut touched = self.touched.lock();
        if !touched.contains(arn) {
            touched.push(arn.clone());
        }
    }
}

fn resource(arn: &TopicArn) -> Value {
    json!({ "accountId": arn.account.to_string(), "type": "AWS::SNS::Topic", "ARN": arn.to_string() })
}
