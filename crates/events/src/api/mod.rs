//! The API that `aws events …` speaks: awsJson 1.1.

mod api_destinations;
mod archives;
mod buses;
mod conditions;
mod connections;
mod paging;
mod permissions;
mod put_events;
mod replays;
mod rules;
mod tags;
mod targets;

use bytes::Bytes;
use http::{HeaderMap, Response};
use opentrail_identity::{AccessRequest, Call, Context, Policy, PolicyUse};
use opentrail_model::{AccountId, Region};
use opentrail_wire::events::{OTHERS, Operation};
use opentrail_wire::{Exception, Validate, json};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::conditions::conditions;
use crate::error::EventsError;
use crate::place::{BusPlace, DEFAULT};
use crate::service::Events;

/// The answer to a call.
#[derive(Debug)]
pub struct Reply {
    /// What the client gets.
    pub response: Response<Bytes>,
    /// The buses, rules, archives, replays, connections and API destinations that the call was about, as its record lists them in
    /// `resources`; they are known also when it was denied.
    pub resources: Vec<Value>,
}

/// Answers a call of `events`.
///
/// # Cancellation
/// A change may be made and not answered; the rules in memory may then lag behind the catalog until the bus's next
/// change. Give it to a task that is not dropped (`TaskGroup::shield`).
pub async fn api(events: &Events, call: &Call, headers: &HeaderMap, body: &Bytes) -> Reply {
    let cx = Cx { events, call, conditions: conditions(events, call, body), touched: Mutex::new(Vec::new()) };
    let (operation, done) = match operation(headers) {
        Ok(operation) => (operation.name(), handle(&cx, operation, body).await),
        Err(error) => ("unknown", Err(error)),
    };
    let error = done.as_ref().err().map_or_else(String::new, |error| error.name.to_string());
    metrics::counter!("opentrail_events_calls_total", "operation" => operation, "error" => error).increment(1);
    let response = done.unwrap_or_else(|exception| json::respond_error(&exception, "message", &[], &call.request_id));
    Reply { response, resources: cx.touched.into_inner().iter().map(|arn| resource(arn)).collect() }
}

fn operation(headers: &HeaderMap) -> Result<Operation, Exception> {
    let name = json::operation_of(headers)?;
    match Operation::from_name(name) {
        Some(operation) => Ok(operation),
        None if OTHERS.contains(&name) => {
            Err(opentrail_wire::events::operation_disabled(format!("{name} is not available.")))
        }
        None => Err(Exception::unknown_operation(format!("{name} is no operation of EventBridge."))),
    }
}

async fn handle(cx: &Cx<'_>, operation: Operation, body: &[u8]) -> Result<Response<Bytes>, Exception> {
    match operation {
        Operation::CancelReplay => cx.answer(replays::cancel(cx, read(body)?).await),
        Operation::CreateApiDestination => cx.answer(api_destinations::create(cx, read(body)?).await),
        Operation::CreateArchive => cx.answer(archives::create(cx, read(body)?).await),
        Operation::CreateConnection => cx.answer(connections::create(cx, read(body)?).await),
        Operation::CreateEventBus => cx.answer(buses::create(cx, read(body)?).await),
        Operation::DeauthorizeConnection => cx.answer(connections::deauthorize(cx, read(body)?).await),
        Operation::DeleteApiDestination => cx.answer(api_destinations::delete(cx, read(body)?).await),
        Operation::DeleteArchive => cx.answer(archives::delete(cx, read(body)?).await),
        Operation::DeleteConnection => cx.answer(connections::delete(cx, read(body)?).await),
        Operation::DeleteEventBus => cx.answer_nothing(buses::delete(cx, read(body)?).await),
        Operation::DeleteRule => cx.answer_nothing(rules::delete(cx, read(body)?).await),
        Operation::DescribeApiDestination => cx.answer(api_destinations::describe(cx, read(body)?).await),
        Operation::DescribeArchive => cx.answer(archives::describe(cx, read(body)?).await),
        Operation::DescribeConnection => cx.answer(connections::describe(cx, read(body)?).await),
        Operation::DescribeEventBus => cx.answer(buses::describe(cx, read(body)?).await),
        Operation::DescribeReplay => cx.answer(replays::describe(cx, read(body)?).await),
        Operation::DescribeRule => cx.answer(rules::describe(cx, read(body)?).await),
        Operation::DisableRule => cx.answer_nothing(rules::disable(cx, read(body)?).await),
        Operation::EnableRule => cx.answer_nothing(rules::enable(cx, read(body)?).await),
        Operation::ListApiDestinations => cx.answer(api_destinations::list(cx, read(body)?).await),
        Operation::ListArchives => cx.answer(archives::list(cx, read(body)?).await),
        Operation::ListConnections => cx.answer(connections::list(cx, read(body)?).await),
        Operation::ListEventBuses => cx.answer(buses::list(cx, read(body)?).await),
        Operation::ListReplays => cx.answer(replays::list(cx, read(body)?).await),
        Operation::ListRuleNamesByTarget => cx.answer(targets::rule_names(cx, read(body)?).await),
        Operation::ListRules => cx.answer(rules::list(cx, read(body)?).await),
        Operation::ListTagsForResource => cx.answer(tags::list(cx, read(body)?).await),
        Operation::ListTargetsByRule => cx.answer(targets::list(cx, read(body)?).await),
        Operation::PutEvents => cx.answer(put_events::put(cx, read(body)?).await),
        Operation::PutPermission => cx.answer_nothing(permissions::put(cx, read(body)?).await),
        Operation::PutRule => cx.answer(rules::put(cx, read(body)?).await),
        Operation::PutTargets => cx.answer(targets::put(cx, read(body)?).await),
        Operation::RemovePermission => cx.answer_nothing(permissions::remove(cx, read(body)?).await),
        Operation::RemoveTargets => cx.answer(targets::remove(cx, read(body)?).await),
        Operation::StartReplay => cx.answer(replays::start(cx, read(body)?).await),
        Operation::TagResource => cx.answer(tags::add(cx, read(body)?).await),
        Operation::TestEventPattern => cx.answer(rules::test_pattern(cx, read(body)?)),
        Operation::UntagResource => cx.answer(tags::remove(cx, read(body)?).await),
        Operation::UpdateApiDestination => cx.answer(api_destinations::update(cx, read(body)?).await),
        Operation::UpdateArchive => cx.answer(archives::update(cx, read(body)?).await),
        Operation::UpdateConnection => cx.answer(connections::update(cx, read(body)?).await),
        Operation::UpdateEventBus => cx.answer(buses::update(cx, read(body)?).await),
    }
}

fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Exception> {
    json::read_input(body)
}

/// A call, and what its operation works with.
pub(super) struct Cx<'a> {
    pub(super) events: &'a Events,
    pub(super) call: &'a Call,
    conditions: Context,
    touched: Mutex<Vec<String>>,
}

impl Cx<'_> {
    pub(super) fn account(&self) -> AccountId {
        self.call.principal.account
    }

    pub(super) fn region(&self) -> &Region {
        &self.call.region
    }

    /// What the keys of the caller's documents in this Region begin with.
    pub(super) fn prefix(&self) -> String {
        crate::place::prefix(self.account(), self.region())
    }

    /// The bus that a request names, or the default one. It must be of the Region called.
    pub(super) fn bus(&self, text: Option<&str>) -> Result<BusPlace, EventsError> {
        let text = text.unwrap_or(DEFAULT);
        let invalid = || EventsError::Validation(format!("{text} is no name and no ARN of an event bus."));
        let place = BusPlace::parse(text, self.account(), self.region()).ok_or_else(invalid)?;
        if place.region != *self.region() {
            return Err(EventsError::Validation(format!(
                "{text} is in another Region than {}, where the request went.",
                self.region()
            )));
        }
        Ok(place)
    }

    /// The bus that a request names, which must be the caller's own. Rules on other accounts' buses are not available.
    pub(super) fn own_bus(&self, text: Option<&str>) -> Result<BusPlace, EventsError> {
        let place = self.bus(text)?;
        if place.account != self.account() {
            return Err(EventsError::AccessDenied(format!(
                "{} is another account's event bus: only its account has rules on it here.",
                place.arn()
            )));
        }
        Ok(place)
    }

    /// Checks that the caller's own policies allow `action` on `resource`, and notes the resource.
    pub(super) fn authorize(&self, action: &str, resource: &str) -> Result<(), EventsError> {
        self.authorize_with(action, resource, &self.conditions, None)
    }

    /// As [`Self::authorize`], with more condition keys, and the policy of a resource that is `owned`.
    pub(super) fn authorize_with(
        &self,
        action: &str,
        resource: &str,
        context: &Context,
        owned: Option<(&str, AccountId)>,
    ) -> Result<(), EventsError> {
        if resource != "*" {
            self.touch(resource);
        }
        // A policy that cannot be read allows nothing.
        let policy = owned.and_then(|(policy, _)| Policy::parse(policy, PolicyUse::Resource).ok());
        let request = AccessRequest {
            action,
            resource,
            context,
            resource_policy: policy.as_ref(),
            resource_account: owned.map(|(_, account)| account),
        };
        let principal = &self.call.principal;
        let decision = self.events.directory.authorize(principal, &request);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(EventsError::AccessDenied(decision.message(principal, action, resource, resource != "*")))
    }

    /// The condition keys of the call.
    pub(super) fn conditions(&self) -> &Context {
        &self.conditions
    }

    /// Notes what the call is about, for its record.
    fn touch(&self, arn: &str) {
        let mut touched = self.touched.lock();
        if arn.contains(":events:") && !touched.iter().any(|known| known == arn) {
            touched.push(arn.to_owned());
        }
    }

    fn answer(&self, output: Result<impl Serialize, EventsError>) -> Result<Response<Bytes>, Exception> {
        Ok(json::respond(&output?, &self.call.request_id))
    }

    /// Operations without output answer an empty body.
    fn answer_nothing(&self, output: Result<(), EventsError>) -> Result<Response<Bytes>, Exception> {
        output?;
        Ok(json::respond_nothing(&self.call.request_id))
    }
}

fn resource(arn: &str) -> Value {
    let mut parts = arn.splitn(6, ':').skip(4);
    let account = parts.next().unwrap_or_default();
    let kind = match parts.next().unwrap_or_default().split('/').next() {
        Some("event-bus") => "AWS::Events::EventBus",
        Some("rule") => "AWS::Events::Rule",
        Some("connection") => "AWS::Events::Connection",
        Some("archive") => "AWS::Events::Archive",
        Some("replay") => "AWS::Events::Replay",
        _ => "AWS::Events::ApiDestination",
    };
    json!({ "accountId": account, "type": kind, "ARN": arn })
}
