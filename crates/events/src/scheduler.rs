//! The scheduler: events of rules that have a schedule, when they are due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::Shutdown;
use tracing::warn;

use crate::book::Ready;
use crate::envelope::{Envelope, time};
use crate::outbox::{Matched, OutboxError, Reached, Turn};
use crate::place::RulePlace;
use crate::service::Events;

/// How long it waits when the outbox fails.
const OUTBOX_PAUSE: Duration = Duration::from_secs(1);

/// Makes the `Scheduled Event` of each rule that is due, for that rule's targets.
///
/// The event's invocations and the rule's turn are one transaction: each turn is stored once. Of the turns that were due
/// while the server was down, the last comes when it is up again, and the others do not: a choice of ours. Other rules do
/// not see these events.
#[derive(Debug)]
pub struct Scheduler {
    events: Arc<Events>,
    /// The last turn of each rule.
    turns: HashMap<String, Turn>,
}

impl Scheduler {
    /// The scheduler of `events`; there must be no other.
    ///
    /// # Errors
    /// The outbox's.
    pub async fn open(events: Arc<Events>) -> Result<Self, OutboxError> {
        let turns = events.outbox.turns().await?;
        Ok(Self { events, turns: turns.into_iter().map(|turn| (turn.rule.clone(), turn)).collect() })
    }

    /// Makes events until the shutdown begins.
    ///
    /// # Cancellation
    /// It may be dropped: a turn is stored, or comes again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
        while !shutdown.has_begun() {
            let next = match self.look().await {
                Ok(next) => next,
                Err(error) => {
                    warn!(%error, "the outbox failed; scheduled events wait");
                    Some(self.events.now() + OUTBOX_PAUSE)
                }
            };
            let due = async {
                match next {
                    Some(next) => self.events.clock.sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = self.events.book.changed() => {}
                () = due => {}
            }
        }
        Ok(())
    }

    /// Makes the events that are due; says when the next is.
    pub(crate) async fn look(&mut self) -> Result<Option<Timestamp>, OutboxError> {
        let now = self.events.now();
        let rules = self.events.book.scheduled();
        let turns: Vec<(&Ready, Turn)> =
            rules.iter().filter_map(|rule| Some((&**rule, self.due(rule, now)?))).collect();
        let matched: Vec<Matched> = turns.iter().filter_map(|(rule, turn)| self.event(rule, turn.due)).collect();
        let turns: Vec<Turn> = turns.into_iter().map(|(_, turn)| turn).collect();
        if !turns.is_empty() {
            self.events.outbox.append(&matched, Reached::Schedules(&turns), now).await?;
            self.turns.extend(turns.into_iter().map(|turn| (turn.rule.clone(), turn)));
        }
        Ok(rules.iter().filter_map(|rule| rule.schedule()?.0.after(self.last(rule, now)?)).min())
    }

    /// The rule's turn, if it is due.
    fn due(&self, rule: &Ready, now: Timestamp) -> Option<Turn> {
        let (schedule, since) = rule.schedule()?;
        let due = schedule.latest(self.last(rule, now)?, now)?;
        Some(Turn { rule: rule.arn().to_owned(), since: *since, due })
    }

    /// When the rule was due last, or its schedule began. A clock that was set back does not silence it.
    fn last(&self, rule: &Ready, now: Timestamp) -> Option<Timestamp> {
        let (_, since) = rule.schedule()?;
        let turn = self.turns.get(rule.arn()).filter(|turn| turn.since == *since);
        Some(turn.map_or(*since, |turn| turn.due).min(now))
    }

    /// (EventBridge User Guide, "Creating a rule that runs on a schedule": the example of a scheduled event.)
    fn event(&self, rule: &Ready, due: Timestamp) -> Option<Matched> {
        let place = RulePlace::parse(rule.arn())?;
        let envelope = Envelope {
            id: self.events.random.uuid().to_string(),
            detail_type: "Scheduled Event",
            source: "aws.events".to_owned(),
            account: place.bus.account.to_string(),
            time: time(due),
            region: place.bus.region.as_str(),
            resources: &[rule.arn()],
            detail: b"{}",
        };
        Some(Matched { body: envelope.body(), invocations: rule.invocations(0).collect(), archives: Vec::new() })
    }
}
