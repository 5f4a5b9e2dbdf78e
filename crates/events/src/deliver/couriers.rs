//! The couriers: one for each queue of the outbox that holds something.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use opentrail_model::Timestamp;
use opentrail_runtime::Shutdown;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::api_destination;
use super::backoff::{self, Failed, Next};
use super::bus;
use super::dead_letter;
use super::destination::Delivery;
use super::failure::DeliveryFailure;
use super::oauth::Tokens;
use super::{Destinations, TargetKind};
use crate::connection::ApiDestination;
use crate::error::EventsError;
use crate::outbox::{Invocation, OutboxError, Settlement};
use crate::place::RulePlace;
use crate::service::Events;
use crate::transform::payload;

/// Deliveries of one courier at a time, and what it holds in memory. With events of at most a megabyte this bounds both.
const AT_ONCE: u32 = 8;
/// How long what is under way may take once the shutdown has begun; then it is dropped, and comes again.
const GRACE: Duration = Duration::from_secs(5);
/// How long a courier waits when the outbox fails.
const OUTBOX_PAUSE: Duration = Duration::from_secs(1);

/// Empties the outbox. See the module `deliver`.
#[derive(Debug)]
pub struct Couriers {
    events: Arc<Events>,
    tokens: Tokens,
}

/// What became of a try.
enum Outcome {
    Delivered,
    Forwarded(crate::outbox::Matched),
    Failed(DeliveryFailure),
}

impl Couriers {
    /// The couriers of `events`; there must be no others.
    pub fn new(events: Arc<Events>) -> Self {
        Self { events, tokens: Tokens::default() }
    }

    /// Delivers until the shutdown begins. What it has not delivered then stays in the outbox.
    ///
    /// # Cancellation
    /// It may be dropped: what was under way comes again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
        let mut active: HashMap<String, Arc<Notify>> = HashMap::new();
        let mut working: FuturesUnordered<BoxFuture<'_, String>> = FuturesUnordered::new();
        loop {
            // Nothing is awaited but here: couriers that are not polled may hold connections to the outbox.
            let fresh = tokio::select! {
                () = shutdown.begun() => break,
                fresh = self.events.outbox.fresh() => fresh,
                Some(done) = working.next() => match active.remove(&done) {
                    // Something came after its last look.
                    Some(wake) if wake.notified().now_or_never().is_some() => [done].into(),
                    _ => continue,
                },
            };
            for queue in fresh {
                if let Some(wake) = active.get(&queue) {
                    wake.notify_one();
                } else {
                    let wake = Arc::new(Notify::new());
                    active.insert(queue.clone(), Arc::clone(&wake));
                    working.push(Box::pin(self.empty(queue, wake, shutdown.clone())));
                }
            }
            metrics::gauge!("opentrail_events_couriers").set(active.len() as f64);
        }
        while working.next().await.is_some() {}
        Ok(())
    }

    /// Delivers what is in `queue` until it is empty.
    async fn empty(&self, queue: String, wake: Arc<Notify>, shutdown: Shutdown) -> String {
        let mut paced = Timestamp::EPOCH;
        while !shutdown.has_begun() {
            let due = match self.events.outbox.due(&queue, self.events.now(), AT_ONCE).await {
                Ok(due) => due,
                Err(error) => {
                    self.pause(&queue, &error, &shutdown).await;
                    continue;
                }
            };
            if due.invocations.is_empty() {
                let Some(next) = due.next else { break };
                tokio::select! {
                    () = shutdown.begun() => {}
                    () = wake.notified() => {}
                    () = self.events.clock.sleep_until(next) => {}
                }
                continue;
            }
            let work = self.deliver_all(due.invocations, &mut paced);
            let grace = async {
                shutdown.begun().await;
                self.events.clock.sleep(GRACE).await;
            };
            tokio::select! {
                done = work => {
                    if let Err(error) = done {
                        self.pause(&queue, &error, &shutdown).await;
                    }
                }
                () = grace => break,
            }
        }
        queue
    }

    async fn pause(&self, queue: &str, error: &OutboxError, shutdown: &Shutdown) {
        warn!(queue, %error, "the outbox failed; its deliveries wait");
        tokio::select! {
            () = shutdown.begun() => {}
            () = self.events.clock.sleep(OUTBOX_PAUSE) => {}
        }
    }

    /// Tries each once, all at a time, and stores what became of them. A crash before that repeats them.
    async fn deliver_all(&self, invocations: Vec<Invocation>, paced: &mut Timestamp) -> Result<(), OutboxError> {
        let destination = self.destination_of(&invocations[0]).await;
        let step = destination
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .map_or(Duration::ZERO, |destination| Duration::from_secs(1) / destination.rate.max(1));
        // A millisecond is as finely as the clock tells.
        let mut start = (*paced).max(self.events.now());
        let mut carry = Duration::ZERO;
        let mut tries = Vec::with_capacity(invocations.len());
        for invocation in &invocations {
            tries.push(self.deliver_at(invocation, start, &destination));
            carry += step;
            let whole = Duration::from_millis(carry.as_millis() as u64);
            start = start + whole;
            carry -= whole;
        }
        let outcomes = join_all(tries).await;
        *paced = start;
        let settled: Vec<_> =
            invocations.into_iter().zip(outcomes).map(|(i, outcome)| self.settled(i, outcome)).collect();
        self.events.outbox.settle(&settled, self.events.now()).await
    }

    /// The API destination that a queue belongs to, if it does.
    async fn destination_of(&self, invocation: &Invocation) -> Result<Option<ApiDestination>, EventsError> {
        let arn = &invocation.target.arn;
        let Some(TargetKind::ApiDestination(name)) = TargetKind::of(arn) else { return Ok(None) };
        let missing = || EventsError::NotFound(format!("{} does not exist", arn.as_str()));
        let (account, region) =
            (arn.account().parse().map_err(|_| missing())?, arn.region().parse().map_err(|_| missing())?);
        let found = self.events.documents.named::<ApiDestination>(account, &region, &name).await?.value;
        // One of the same name that was made later is another.
        if found.arn() == arn.as_str() { Ok(Some(found)) } else { Err(missing()) }
    }

    async fn deliver_at(
        &self,
        invocation: &Invocation,
        start: Timestamp,
        destination: &Result<Option<ApiDestination>, EventsError>,
    ) -> Outcome {
        self.events.clock.sleep_until(start).await;
        match self.deliver(invocation, destination).await {
            Ok(None) => Outcome::Delivered,
            Ok(Some(matched)) => Outcome::Forwarded(matched),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn deliver(
        &self,
        invocation: &Invocation,
        destination: &Result<Option<ApiDestination>, EventsError>,
    ) -> Result<Option<crate::outbox::Matched>, DeliveryFailure> {
        let target = &invocation.target;
        if let Some(TargetKind::Bus(bus)) = TargetKind::of(&target.arn) {
            return bus::forward(&self.events, &bus, invocation).await.map(Some);
        }
        let invalid = |reason: String| DeliveryFailure::never("INVALID_PARAMETER", reason);
        let payload = payload(invocation)?;
        match destination {
            Err(EventsError::NotFound(message)) => return Err(DeliveryFailure::never("NO_RESOURCE", message.as_str())),
            Err(error) => return Err(DeliveryFailure::later("INTERNAL_ERROR", error.to_string())),
            Ok(Some(destination)) => {
                return api_destination::send(&self.events, &self.tokens, destination, target, &payload)
                    .await
                    .map(|()| None);
            }
            Ok(None) => {}
        }
        let rule =
            RulePlace::parse(&invocation.rule).ok_or_else(|| invalid(format!("{} is no rule", invocation.rule)))?;
        let attributes = invocation.letter.as_ref().map(dead_letter::attributes).unwrap_or_default();
        let delivery = Delivery {
            rule_arn: &invocation.rule,
            account: rule.bus.account,
            target,
            payload: &payload,
            event: &invocation.body,
            attributes: &attributes,
        };
        through(&self.events.destinations, &delivery).await.map(|()| None)
    }

    fn settled(&self, invocation: Invocation, outcome: Outcome) -> (Invocation, Settlement) {
        let failure = match outcome {
            Outcome::Delivered => {
                metrics::counter!("opentrail_events_delivered_total").increment(1);
                count("opentrail_events_rule_invocations_total", &invocation);
                return (invocation, Settlement::Done);
            }
            Outcome::Forwarded(matched) => return (invocation, Settlement::Forwarded(matched)),
            Outcome::Failed(failure) => failure,
        };
        let Invocation { created, attempts, .. } = invocation;
        let failed = Failed { created, attempts, retry: failure.retry };
        let next = backoff::next(failed, invocation.target.retry, self.events.now(), &*self.events.random);
        let settlement = match next {
            Next::At(due) => {
                metrics::counter!("opentrail_events_retried_total").increment(1);
                info!(rule = invocation.rule, target = invocation.target.arn.as_str(), attempts, %failure, "a delivery failed and will be tried again");
                Settlement::Again { due }
            }
            Next::GivenUp(exhausted) => given_up(&invocation, &failure, exhausted),
        };
        (invocation, settlement)
    }
}

/// Counts an invocation of a target, not of its dead-letter queue, once it is over. (EventBridge User Guide, "Monitoring Amazon
/// EventBridge with Amazon CloudWatch": retries do not count.)
fn count(name: &'static str, invocation: &Invocation) {
    if invocation.letter.is_none() {
        metrics::counter!(name, "rule" => invocation.rule.to_string()).increment(1);
    }
}

/// What is given up goes to the dead-letter queue, if there is one and it is not itself what failed.
fn given_up(invocation: &Invocation, failure: &DeliveryFailure, exhausted: Option<&str>) -> Settlement {
    count("opentrail_events_rule_invocations_total", invocation);
    count("opentrail_events_rule_failed_invocations_total", invocation);
    match &invocation.target.dead_letter {
        Some(queue) => {
            metrics::counter!("opentrail_events_dead_letters_total").increment(1);
            count("opentrail_events_rule_dead_letters_total", invocation);
            let letter = dead_letter::letter(invocation, failure, exhausted);
            Settlement::Dead { queue: Box::new(dead_letter::queue(queue)), letter }
        }
        None => {
            metrics::counter!("opentrail_events_dropped_total").increment(1);
            warn!(
                rule = invocation.rule,
                target = invocation.target.arn.as_str(),
                attempts = invocation.attempts,
                %failure,
                "an event was dropped: it could not be delivered, and there is no dead-letter queue for it"
            );
            Settlement::Done
        }
    }
}

async fn through(destinations: &Destinations, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
    let arn = &delivery.target.arn;
    let Some(destination) = destinations.find(arn) else {
        // The configuration may name it again after the next start.
        return Err(DeliveryFailure::later("NO_RESOURCE", format!("{} is not configured", arn.service())));
    };
    destination.deliver(delivery).await
}
