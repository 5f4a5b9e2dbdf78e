//! The API that `aws logs …` speaks: awsJson 1.1.

mod access;
mod events;
mod groups;
mod live_tail;
mod metric_filters;
mod paging;
mod policies;
mod queries;
mod streams;
mod tags;

use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, Response};
use opentrail_identity::{Call, Context};
use opentrail_wire::logs::{OTHERS, Operation};
use opentrail_wire::shape::InputError;
use opentrail_wire::{Exception, Validate, json, logs as wire};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::LogsError;
use crate::place::GroupPlace;
use crate::service::{INLINE_BYTES, Logs};

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// What the client gets.
    pub response: Response<Body>,
    /// The log groups that the call was about, as its record lists them in `resources`; they are known also when it was denied.
    pub resources: Vec<Value>,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Frames that come as there is something to tell, until the stream ends. It holds nothing while nobody reads.
    Frames(BoxStream<'static, Bytes>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::Frames(_) => f.write_str("Frames"),
        }
    }
}

/// Answers a call of `logs`.
///
/// # Cancellation
/// A change may be made and not answered.
pub async fn api(logs: &Logs, call: &Call, headers: &HeaderMap, body: &Bytes) -> Reply {
    let conditions = call.conditions(logs.shared.clock.now());
    let cx = Cx { logs, call, conditions, touched: Mutex::new(Vec::new()) };
    let (operation, done) = match operation(headers) {
        Ok(operation) => (operation.name(), handle(&cx, operation, body).await),
        Err(error) => ("unknown", Err(error)),
    };
    let error = done.as_ref().err().map_or_else(String::new, |error| error.name.to_string());
    metrics::counter!("opentrail_logs_calls_total", "operation" => operation, "error" => error).increment(1);
    let response = done
        .unwrap_or_else(|exception| json::respond_error(&exception, "message", &[], &call.request_id).map(Body::Whole));
    Reply { response, resources: cx.touched.into_inner().iter().map(resource).collect() }
}

fn operation(headers: &HeaderMap) -> Result<Operation, Exception> {
    let name = json::operation_of(headers)?;
    match Operation::from_name(name) {
        Some(operation) => Ok(operation),
        None if OTHERS.contains(&name) => Err(wire::invalid_operation(format!("{name} is not available here."))),
        None => Err(Exception::unknown_operation(format!("{name} is no operation of CloudWatch Logs."))),
    }
}

async fn handle(cx: &Cx<'_>, operation: Operation, body: &Bytes) -> Result<Response<Body>, Exception> {
    match operation {
        Operation::CreateLogGroup => cx.answer_nothing(groups::create(cx, read(body)?).await),
        Operation::CreateLogStream => cx.answer_nothing(streams::create(cx, read(body)?).await),
        Operation::DeleteLogGroup => cx.answer_nothing(groups::delete(cx, read(body)?).await),
        Operation::DeleteLogStream => cx.answer_nothing(streams::delete(cx, read(body)?).await),
        Operation::DeleteMetricFilter => cx.answer_nothing(metric_filters::delete(cx, read(body)?).await),
        Operation::DeleteResourcePolicy => cx.answer_nothing(policies::delete(cx, read(body)?).await),
        Operation::DeleteRetentionPolicy => cx.answer_nothing(groups::delete_retention(cx, read(body)?).await),
        Operation::DescribeLogGroups => cx.answer(groups::describe(cx, read(body)?).await),
        Operation::DescribeLogStreams => cx.answer(streams::describe(cx, read(body)?).await),
        Operation::DescribeMetricFilters => cx.answer(metric_filters::describe(cx, read(body)?).await),
        Operation::DescribeQueries => cx.answer(queries::describe(cx, read(body)?).await),
        Operation::DescribeResourcePolicies => cx.answer(policies::describe(cx, read(body)?).await),
        Operation::FilterLogEvents => cx.answer(events::filter(cx, read(body)?).await),
        Operation::GetLogEvents => cx.answer(events::get(cx, read(body)?).await),
        Operation::GetLogGroupFields => cx.answer(queries::fields(cx, read(body)?).await),
        Operation::GetLogRecord => cx.answer(queries::record(cx, read(body)?).await),
        Operation::GetQueryResults => cx.answer(queries::results(cx, read(body)?).await),
        Operation::ListLogGroups => cx.answer(groups::list(cx, read(body)?).await),
        Operation::ListTagsForResource => cx.answer(tags::list(cx, read(body)?).await),
        Operation::ListTagsLogGroup => cx.answer(tags::list_of_group(cx, read(body)?).await),
        Operation::PutLogEvents => cx.answer(events::put(cx, read_large(body).await?).await),
        Operation::PutLogGroupDeletionProtection => cx.answer_nothing(groups::protect(cx, read(body)?).await),
        Operation::PutMetricFilter => cx.answer_nothing(metric_filters::put(cx, read(body)?).await),
        Operation::PutResourcePolicy => cx.answer(policies::put(cx, read(body)?).await),
        Operation::PutRetentionPolicy => cx.answer_nothing(groups::put_retention(cx, read(body)?).await),
        Operation::StartLiveTail => Ok(live_tail::start(cx, read(body)?).await?),
        Operation::StartQuery => cx.answer(queries::start(cx, read(body)?).await),
        Operation::StopQuery => cx.answer(queries::stop(cx, read(body)?).await),
        Operation::TagLogGroup => cx.answer_nothing(tags::add_to_group(cx, read(body)?).await),
        Operation::TagResource => cx.answer_nothing(tags::add(cx, read(body)?).await),
        Operation::TestMetricFilter => cx.answer(metric_filters::test(cx, read(body)?).await),
        Operation::UntagLogGroup => cx.answer_nothing(tags::remove_from_group(cx, read(body)?).await),
        Operation::UntagResource => cx.answer_nothing(tags::remove(cx, read(body)?).await),
    }
}

/// Reads an input that may be long, not between other requests then.
async fn read_large<T: DeserializeOwned + Validate + Send + 'static>(body: &Bytes) -> Result<T, Exception> {
    if body.len() <= INLINE_BYTES {
        return read(body);
    }
    let body = body.clone();
    tokio::task::spawn_blocking(move || read(&body)).await.unwrap_or_else(|_| Err(Exception::internal_failure()))
}

/// Reads an input. What breaks the model's constraints is an `InvalidParameterException` with AWS's words for it.
fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Exception> {
    json::parse_input(body).map_err(|error| match error {
        InputError::Invalid(_) => wire::invalid_parameter(Exception::from(error).message),
        other => Exception::from(other),
    })
}

/// A call, and what its operation works with.
pub(super) struct Cx<'a> {
    pub(super) logs: &'a Logs,
    pub(super) call: &'a Call,
    conditions: Context,
    touched: Mutex<Vec<GroupPlace>>,
}

impl Cx<'_> {
    /// The caller's own group of that name, in the call's Region.
    pub(super) fn own_group(&self, name: &str) -> GroupPlace {
        GroupPlace { account: self.call.principal.account, region: self.call.region.clone(), name: name.to_owned() }
    }

    /// Notes what the call is about, for its record.
    pub(super) fn touch(&self, place: &GroupPlace) {
        let mut touched = self.touched.lock();
        if !touched.contains(place) {
            touched.push(place.clone());
        }
    }

    fn answer(&self, output: Result<impl Serialize, LogsError>) -> Result<Response<Body>, Exception> {
        Ok(json::respond(&output?, &self.call.request_id).map(Body::Whole))
    }

    /// Operations without output answer an empty body.
    fn answer_nothing(&self, output: Result<(), LogsError>) -> Result<Response<Body>, Exception> {
        output?;
        Ok(json::respond_nothing(&self.call.request_id).map(Body::Whole))
    }
}

fn resource(place: &GroupPlace) -> Value {
    json!({ "accountId": place.account.to_string(), "type": "AWS::Logs::LogGroup", "ARN": place.arn() })
}
