//! The API that `aws cloudwatch …` speaks, in each of its three protocols.

mod alarms;
mod check;
mod delete;
mod describe;
mod history;
mod list_metrics;
mod metric_data;
mod paging;
mod present;
mod put_data;
mod state;
mod statistics;
mod tags;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use opentrail_identity::{AccessRequest, Call, Context};
use opentrail_model::Timestamp;
use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{OTHERS, Operation, errors};
use opentrail_wire::gzip;
use opentrail_wire::protocols::{Addressee, Dialects, Protocol, Request};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::error;

use crate::alarm::{AlarmKey, ChangeError, Problem};
use crate::monitoring::Monitoring;
use crate::queries::{QueryError, QueryProblem};
use crate::store::{Scope, StoreError};

/// What CloudWatch is called in its protocols.
const DIALECTS: Dialects = Dialects {
    namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    version: "2010-08-01",
    target: "GraniteServiceVersion20100801",
};

/// A request may have as many bytes. (API Reference, "PutMetricData".)
const MAX_BODY: usize = 1 << 20;
/// And as many when decompressed, which AWS does not say; a choice of ours.
const MAX_DECOMPRESSED: usize = 10 << 20;

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// What the client gets.
    pub response: Response<Bytes>,
    /// The operation, as far as the request names one: what its record says.
    pub operation: Option<&'static str>,
    /// The alarms that the call was about, as its record lists them in `resources`; they are known also when it was
    /// denied.
    pub resources: Vec<Value>,
}

/// A refusal of whoever stands before the service, e.g. of a signature, in the protocol that the request speaks.
pub fn refuse(headers: &HeaderMap, error: &CodedError, request_id: &str) -> Response<Bytes> {
    DIALECTS.refuse(Protocol::of(headers), error, request_id)
}

/// Answers a call of `monitoring`: `uri`, headers and body are those of the request.
///
/// # Cancellation
/// A change may be made and not answered.
pub async fn api(monitoring: &Monitoring, call: &Call, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Reply {
    let now = monitoring.clock.now();
    let cx = Cx { monitoring, call, now, conditions: call.conditions(now), touched: Mutex::new(Vec::new()) };
    let protocol = Protocol::of(headers);
    let (operation, done) = match read(uri, headers, body) {
        Ok((operation, request)) => (Some(operation), handle(&cx, protocol, operation, request).await),
        Err(error) => (None, Err(error)),
    };
    let operation = operation.map(Operation::name);
    let code = done.as_ref().err().map_or_else(String::new, |error| error.code.to_string());
    metrics::counter!("opentrail_monitoring_calls_total", "operation" => operation.unwrap_or("unknown"), "error" => code)
        .increment(1);
    let response = done.unwrap_or_else(|error| DIALECTS.refuse(protocol, &error, &call.request_id));
    let account = call.principal.account.to_string();
    let resources = cx.touched.into_inner().iter().map(|key| resource(&account, &key.arn())).collect();
    Reply { response, operation, resources }
}

fn read(uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<(Operation, Request), CodedError> {
    if body.len() > MAX_BODY {
        let told = format!("the request has {} bytes; it may have {MAX_BODY}", body.len());
        return Err(CodedError::new(
            "RequestEntityTooLargeException",
            "RequestEntityTooLarge",
            StatusCode::PAYLOAD_TOO_LARGE,
            told,
        ));
    }
    let body = gzip::decoded(headers, body, MAX_DECOMPRESSED)?;
    let request = DIALECTS.read(uri, headers, &body)?;
    let name = request.operation.as_str();
    match Operation::from_name(name) {
        Some(operation) => Ok((operation, request)),
        None if OTHERS.contains(&name) => {
            Err(CodedError::unknown_operation(format!("{name} is not available in this CloudWatch.")))
        }
        None => {
            let name: String = name.chars().take(128).collect();
            Err(CodedError::unknown_operation(format!(
                "Could not find operation {name} for version {}",
                DIALECTS.version
            )))
        }
    }
}

async fn handle(
    cx: &Cx<'_>,
    protocol: Protocol,
    operation: Operation,
    request: Request,
) -> Result<Response<Bytes>, CodedError> {
    let to = Addressee { dialects: DIALECTS, protocol, operation: operation.name(), request_id: &cx.call.request_id };
    let shape = operation.output_shape();
    let answer = |output: &dyn Answer| output.respond(to, shape);
    Ok(match operation {
        Operation::DeleteAlarms => answer(&delete::delete_alarms(cx, request.input()?).await?),
        Operation::DescribeAlarmHistory => answer(&history::describe_alarm_history(cx, request.input()?).await?),
        Operation::DescribeAlarms => answer(&describe::describe_alarms(cx, request.input()?)?),
        Operation::DescribeAlarmsForMetric => answer(&describe::describe_alarms_for_metric(cx, request.input()?)?),
        Operation::DisableAlarmActions => answer(&state::disable_alarm_actions(cx, request.input()?).await?),
        Operation::EnableAlarmActions => answer(&state::enable_alarm_actions(cx, request.input()?).await?),
        Operation::GetMetricData => answer(&metric_data::get_metric_data(cx, request.input()?).await?),
        Operation::GetMetricStatistics => answer(&statistics::get_metric_statistics(cx, request.input()?).await?),
        Operation::ListMetrics => answer(&list_metrics::list_metrics(cx, request.input()?).await?),
        Operation::ListTagsForResource => answer(&tags::list_tags_for_resource(cx, request.input()?)?),
        Operation::PutCompositeAlarm => answer(&alarms::put_composite_alarm(cx, request.input()?).await?),
        Operation::PutMetricAlarm => answer(&alarms::put_metric_alarm(cx, request.input()?).await?),
        Operation::PutMetricData => answer(&put_data::put_metric_data(cx, request.input()?).await?),
        Operation::SetAlarmState => answer(&state::set_alarm_state(cx, request.input()?).await?),
        Operation::TagResource => answer(&tags::tag_resource(cx, request.input()?).await?),
        Operation::UntagResource => answer(&tags::untag_resource(cx, request.input()?).await?),
    })
}

/// Any output.
trait Answer {
    fn respond(&self, to: Addressee<'_>, shape: Option<&opentrail_wire::shape::Shape>) -> Response<Bytes>;
}

impl<T: Serialize> Answer for T {
    fn respond(&self, to: Addressee<'_>, shape: Option<&opentrail_wire::shape::Shape>) -> Response<Bytes> {
        to.respond(shape, self)
    }
}

/// The output of operations that have none.
#[derive(Debug, Serialize)]
struct Nothing {}

/// A call, and what its operation works with.
struct Cx<'a> {
    monitoring: &'a Monitoring,
    call: &'a Call,
    now: Timestamp,
    conditions: Context,
    touched: Mutex<Vec<AlarmKey>>,
}

impl Cx<'_> {
    fn scope(&self) -> Scope {
        Scope { account: self.call.principal.account, region: self.call.region.clone() }
    }

    fn key(&self, name: &str) -> AlarmKey {
        AlarmKey { scope: self.scope(), name: name.to_owned() }
    }

    /// The ARN of alarms whose names `pattern` stands for.
    fn alarms_arn(&self, pattern: &str) -> String {
        self.key(pattern).arn()
    }

    /// Checks that the caller's policies allow `action` (without its prefix) on `resource`, which has no policy itself.
    fn authorize(&self, action: &str, resource: &str) -> Result<(), CodedError> {
        self.authorize_with(action, resource, &self.conditions)
    }

    fn authorize_with(&self, action: &str, resource: &str, context: &Context) -> Result<(), CodedError> {
        let action = format!("cloudwatch:{action}");
        let request =
            AccessRequest { action: &action, resource, context, resource_policy: None, resource_account: None };
        let principal = &self.call.principal;
        let decision = self.monitoring.directory.authorize(principal, &request);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(CodedError::access_denied(decision.message(principal, &action, resource, resource != "*")))
    }

    /// Checks that the caller may do `action` with an alarm, whose tags policies may ask for.
    fn authorize_alarm(&self, action: &str, name: &str, more: Context) -> Result<(), CodedError> {
        let key = self.key(name);
        let mut context = more;
        if let Some(loaded) = self.monitoring.alarms.find(&key) {
            for (tag, value) in &loaded.alarm.tags {
                context.insert(&format!("aws:ResourceTag/{tag}"), value.as_str());
            }
        }
        let arn = key.arn();
        self.touch(key);
        self.authorize_with(action, &arn, &context)
    }

    /// Notes what the call is about, for its record.
    fn touch(&self, key: AlarmKey) {
        let mut touched = self.touched.lock();
        if !touched.contains(&key) {
            touched.push(key);
        }
    }
}

fn resource(account: &str, arn: &str) -> Value {
    json!({ "accountId": account, "type": "AWS::CloudWatch::Alarm", "ARN": arn })
}

/// The file failed: the caller may try again, and our log says why.
fn failed(error: StoreError) -> CodedError {
    match error {
        StoreError::TooManyMetrics { .. } => errors::limit_exceeded_fault(error.to_string()),
        StoreError::Unavailable { .. } => {
            error!(error = %error, "the metrics file failed");
            CodedError::unavailable("The store of metrics is unavailable. Try again later.")
        }
        StoreError::Damaged { .. } | StoreError::Format { .. } => {
            error!(error = %error, "the metrics file cannot be used");
            CodedError::internal()
        }
    }
}

fn refused(Problem(message): Problem) -> CodedError {
    CodedError::validation(message)
}

fn changed(error: ChangeError) -> CodedError {
    match error {
        ChangeError::Problem(problem) => refused(problem),
        ChangeError::Store(error) => failed(error),
    }
}

fn unanswered(error: QueryError) -> CodedError {
    match error {
        QueryError::Store(error) => failed(error),
        QueryError::Problem(problem) => ill_asked(&problem),
    }
}

fn ill_asked(problem: &QueryProblem) -> CodedError {
    CodedError::validation(problem.to_string())
}
