//! Couriers bring deliveries from the outbox to endpoints.
//!
//! One courier serves one lane at a time: it takes a few deliveries, makes them side by side, settles them in one
//! transaction and gives its place to the next lane, so that no endpoint's backlog holds up another's. An endpoint that
//! fails gets one delivery at a time, and pauses that grow; such lanes have a part of the places only
//! ([`MOST_SUSPECT`]), so that however many endpoints hang, others are served at once.
//!
//! What a courier has delivered and not settled when the process dies is delivered again: at least once.

mod errand;

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use opentrail_model::Timestamp;
use opentrail_runtime::{CrashPoint, OnError, Shutdown, TaskGroup};
use tokio::sync::mpsc;

use self::errand::{Errand, Plan};
use crate::error::SnsError;
use crate::outbox::{Health, Heard, Lane, Settlement};
use crate::outcome::Outcome;
use crate::repository::delete_subscription;
use crate::sns::{Inner, Sns};

/// Lanes that are served at a time.
const PLACES: usize = 256;
/// Of those, lanes whose endpoint failed last time, or has not answered yet.
const MOST_SUSPECT: usize = 192;
/// Deliveries that a courier takes, and makes side by side.
const BATCH: usize = 10;
/// Deliveries that are looked at together when they may have waited too long.
const EXPIRED_AT_ONCE: usize = 50;
/// Why those are given up.
const EXPIRED: &str = "it waited for longer than the delivery policy's retries last";
/// The longest pause of a lane whose endpoint fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How long a lane waits when the outbox or the catalog fails.
const STORAGE_PAUSE: Duration = Duration::from_secs(1);
/// How long the shutdown waits for couriers to lay down what they hold.
const JOIN: Duration = Duration::from_secs(5);
/// How often old things are swept.
const SWEEP: Duration = Duration::from_secs(3600);

impl Sns {
    /// Delivers messages until the shutdown begins. What is under way then is given up, and delivered after the next
    /// start.
    ///
    /// # Errors
    /// None; what fails is logged and tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), SnsError> {
        let inner = &*self.0;
        let couriers = TaskGroup::new(shutdown.clone());
        let (back, mut returned) = mpsc::channel(PLACES);
        let mut busy = Busy::default();
        let mut sweep_at = inner.now();
        while !shutdown.has_begun() {
            // Asked for before looking, so that nothing added meanwhile is missed.
            let news = inner.outbox.news.notified();
            if inner.now() >= sweep_at {
                inner.sweep().await;
                sweep_at = inner.now() + SWEEP;
            }
            let wake = match inner.next_lanes(&busy).await {
                Ok((lanes, next)) => {
                    for (lane, health) in lanes {
                        busy.insert(lane.name.clone(), health);
                        let place = Place { lane: lane.name.clone(), back: back.clone() };
                        couriers.spawn(
                            "sns-courier",
                            OnError::Log,
                            courier(self.clone(), lane, place, shutdown.clone()),
                        );
                    }
                    next.unwrap_or(sweep_at).min(sweep_at)
                }
                Err(error) => {
                    tracing::error!(%error, "what is due cannot be read");
                    inner.now() + STORAGE_PAUSE
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                Some(name) = returned.recv() => drop(busy.remove(&name)),
                () = news => {}
                () = inner.clock.sleep_until(wake) => {}
            }
        }
        couriers.join(JOIN).await;
        Ok(())
    }
}

/// Lanes that are being served.
type Busy = HashMap<String, Health>;

/// A courier's place, which is free again when this is dropped, even by a panic.
struct Place {
    lane: String,
    back: mpsc::Sender<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // There is room for all places, so that this fails only when nobody listens any more.
        let _ = self.back.try_send(std::mem::take(&mut self.lane));
    }
}

async fn courier(sns: Sns, lane: Lane, place: Place, shutdown: Shutdown) -> Result<(), Infallible> {
    tokio::select! {
        () = shutdown.begun() => {}
        () = sns.0.serve(&lane) => {}
    }
    drop(place);
    Ok(())
}

type Due = (Vec<(Lane, Health)>, Option<Timestamp>);

impl Inner {
    /// Lanes to serve now, and when there will be more. While every place is taken there are none.
    async fn next_lanes(&self, busy: &Busy) -> Result<Due, SnsError> {
        let now = self.now();
        let suspects = busy.values().filter(|health| **health == Health::Suspect).count();
        let mut places = PLACES - busy.len();
        let mut lanes = Vec::new();
        for health in [Health::Good, Health::Suspect] {
            let room = match health {
                Health::Good => places,
                Health::Suspect => places.min(MOST_SUSPECT.saturating_sub(suspects)),
            };
            if room > 0 {
                // Those that are served already are due still: as many more are asked for.
                let due = self.outbox.due(health, now, room + busy.len()).await?;
                lanes.extend(
                    due.into_iter().filter(|lane| !busy.contains_key(&lane.name)).take(room).map(|lane| (lane, health)),
                );
            }
            places = PLACES - busy.len() - lanes.len();
        }
        Ok((lanes, self.outbox.next_due(now).await?))
    }

    /// Serves a lane once.
    async fn serve(&self, lane: &Lane) {
        if let Err(error) = self.turn(lane).await {
            tracing::error!(lane = lane.name, %error, "deliveries are held up by the storage");
            self.clock.sleep(STORAGE_PAUSE).await;
        }
    }

    async fn turn(&self, lane: &Lane) -> Result<(), SnsError> {
        let (mut settled, mut errands) = self.plan_all(lane, BATCH).await?;
        let throttle = errands.first().and_then(|errand| errand.policy.most_per_second);
        let most = throttle.map_or(BATCH, |most| usize::try_from(most).unwrap_or(BATCH).clamp(1, BATCH));
        errands.truncate(if lane.failures > 0 { 1 } else { most });
        let outcomes = join_all(errands.iter().map(|errand| self.send(errand))).await;
        CrashPoint::SnsSent.reach();

        // What this server could not do says nothing of the endpoint: it stays as it was.
        let mut broken = None;
        let mut done = Vec::new();
        for (errand, outcome) in errands.iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => done.push((errand, outcome)),
                Err(error) => broken = Some(error),
            }
        }
        let now = self.now();
        let heard = heard(done.iter().map(|(_, outcome)| outcome));
        let pause = pause(lane, heard).max(spacing(done.len(), throttle));
        settled.extend(done.into_iter().map(|(errand, outcome)| (errand.delivery.id, errand.settle(outcome, now))));
        self.outbox.settle(&lane.name, &settled, heard, now, pause).await?;
        if heard == Heard::Failure {
            self.expire(lane, now, pause).await?;
        }
        broken.map_or(Ok(()), Err)
    }

    /// Takes deliveries of the lane: those that are over without an attempt, and those to attempt.
    async fn plan_all(&self, lane: &Lane, limit: usize) -> Result<(Vec<(i64, Settlement)>, Vec<Errand>), SnsError> {
        let (mut settled, mut errands) = (Vec::new(), Vec::new());
        for delivery in self.outbox.take(&lane.name, self.now(), limit).await? {
            let id = delivery.id;
            match self.plan(delivery, lane).await? {
                Plan::Over => settled.push((id, Settlement::Done)),
                Plan::Send(errand) => errands.push(*errand),
            }
        }
        Ok((settled, errands))
    }

    /// Gives up what has waited too long for an endpoint that has just failed again. While nobody has asked the endpoint,
    /// as after a long stop of this server, nothing is.
    async fn expire(&self, lane: &Lane, now: Timestamp, pause: Duration) -> Result<(), SnsError> {
        loop {
            let (_, errands) = self.plan_all(lane, EXPIRED_AT_ONCE).await?;
            let expired = errands.iter().filter(|errand| errand.has_expired(now));
            let settled: Vec<_> =
                expired.map(|errand| (errand.delivery.id, errand.give_up(EXPIRED.to_owned()))).collect();
            if settled.is_empty() {
                return Ok(());
            }
            self.outbox.settle(&lane.name, &settled, Heard::Nothing, now, pause).await?;
        }
    }

    /// Serves every lane that is due now, one after another, until none is.
    #[cfg(test)]
    pub(crate) async fn serve_what_is_due(&self) {
        self.try_what_is_due().await.unwrap();
    }

    /// As [`Self::serve_what_is_due`], until this server fails.
    #[cfg(test)]
    pub(crate) async fn try_what_is_due(&self) -> Result<(), SnsError> {
        loop {
            let (lanes, _) = self.next_lanes(&Busy::new()).await?;
            if lanes.is_empty() {
                return Ok(());
            }
            for (lane, _) in lanes {
                self.turn(&lane).await?;
            }
        }
    }

    /// Deletes subscriptions that nobody confirmed, and what the outbox keeps no longer.
    async fn sweep(&self) {
        if let Err(error) = self.outbox.sweep(self.now()).await {
            tracing::error!(%error, "the outbox cannot be swept");
        }
        if let Err(error) = self.sweep_subscriptions().await {
            tracing::error!(%error, "subscriptions that nobody confirmed cannot be deleted");
        }
    }

    async fn sweep_subscriptions(&self) -> Result<(), SnsError> {
        let _changing = self.changing.lock().await;
        let now = self.now();
        for found in self.repository.all().await? {
            if found.value.is_gone(now) {
                let expect = opentrail_catalog::Expect::Revision(found.revision);
                self.repository.commit(delete_subscription(&found.value, expect).into()).await?;
            }
        }
        Ok(())
    }
}

/// An answer of any kind is a sign of life.
fn heard<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Heard {
    let mut heard = Heard::Nothing;
    for outcome in outcomes {
        match outcome {
            Outcome::Failed(_) => heard = Heard::Failure,
            Outcome::Delivered | Outcome::Refused(_) => return Heard::Answer,
        }
    }
    heard
}

/// From the third failure in a row on, the lane rests: a quarter of a second, then twice as long each time.
fn pause(lane: &Lane, heard: Heard) -> Duration {
    if heard != Heard::Failure || lane.failures < 2 {
        return Duration::ZERO;
    }
    (Duration::from_millis(250) * 2_u32.pow((lane.failures - 2).min(10))).min(LONGEST_PAUSE)
}

/// How long so many deliveries take at `maxReceivesPerSecond`.
fn spacing(sent: usize, throttle: Option<u32>) -> Duration {
    throttle.map_or(Duration::ZERO, |most| Duration::from_millis(1000 * sent as u64 / u64::from(most.max(1))))
}

/// What a failed delivery is in the end.
pub(crate) fn undeliverable(dead_letters: Option<String>, reason: String, topic: &str) -> Settlement {
    metrics::counter!("opentrail_sns_undeliverable_total", "reason" => "endpoint").increment(1);
    match dead_letters {
        Some(queue) => Settlement::DeadLetter { lane: format!("sqs:{queue}"), failure: reason },
        None => {
            tracing::warn!(topic, reason, "a message is given up: its endpoint does not take it");
            Settlement::Done
        }
    }
}
