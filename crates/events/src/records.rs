//! CloudTrail's records to the rules: a projection of the journal whose output is the outbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_event::{Event, EventBatch};
use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_patterns::Scratch;
use opentrail_projection::{Projection, ProjectionError};

use crate::book::{Kind, Page};
use crate::envelope::Envelope;
use crate::outbox::{Matched, Reached};
use crate::service::Events;

const NAME: &str = "events";
/// A position past which nothing was taken is saved by itself when it is this old, or this far ahead of the saved one:
/// after a crash so much is looked at again.
const SAVE_AFTER: Duration = Duration::from_secs(10);
const SAVE_ENTRIES: u64 = 200_000;

/// Puts records to the default bus of their account and Region, and stores what its rules make of them.
///
/// What a batch makes of invocations and the batch's end are one transaction: a crash before it repeats the batch, one
/// after it does not. A batch is looked at with the rules as they are when it is taken up; a rule takes no record from
/// before it was made or switched on.
///
/// There need be no trail: what OpenTrail records reaches the rules, data events too, as for an account whose trail logs
/// everything. Records of channels and imports do not.
#[derive(Debug)]
pub struct RecordRules {
    events: Arc<Events>,
    /// Looked at up to here.
    reached: Position,
    saved: Position,
    saved_at: Timestamp,
}

impl RecordRules {
    /// The projection of `events`; there must be no other. Run it with `opentrail_projection::run`.
    pub fn new(events: Arc<Events>) -> Self {
        let saved_at = events.now();
        Self { events, reached: Position::START, saved: Position::START, saved_at }
    }

    async fn store(&mut self, matched: &[Matched], now: Timestamp) -> Result<(), ProjectionError> {
        let reached = Reached::Journal(NAME, self.reached);
        if let Err(error) = self.events.outbox.append(matched, reached, now).await {
            // The runner resumes from what is saved.
            self.reached = self.saved;
            return Err(ProjectionError::retry(error));
        }
        self.saved = self.reached;
        self.saved_at = now;
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let ahead = self.reached.0.saturating_sub(self.saved.0);
        ahead >= SAVE_ENTRIES || (ahead > 0 && now.since(self.saved_at) >= SAVE_AFTER)
    }
}

#[async_trait]
impl Projection for RecordRules {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    async fn resume(&mut self) -> Result<Position, ProjectionError> {
        let found = self.events.outbox.position(NAME).await.map_err(ProjectionError::retry)?;
        // An outbox that is new begins at the end: there were no rules before.
        self.reached = found.unwrap_or_else(|| self.events.journal.tail());
        self.saved = self.reached;
        if found.is_none() {
            self.store(&[], self.events.now()).await?;
        }
        Ok(self.reached)
    }

    async fn apply(&mut self, batch: &Arc<EventBatch>) -> Result<Position, ProjectionError> {
        let matched = if self.events.book.is_empty() {
            Vec::new()
        } else {
            let (events, batch) = (Arc::clone(&self.events), Arc::clone(batch));
            tokio::task::spawn_blocking(move || take(&events, &batch)).await.map_err(ProjectionError::retry)?
        };
        self.reached = batch.through;
        let now = self.events.now();
        if !matched.is_empty() || self.is_due(now) {
            self.store(&matched, now).await?;
        }
        Ok(self.saved)
    }

    async fn idle(&mut self, now: Timestamp) -> Result<Position, ProjectionError> {
        if self.is_due(now) {
            self.store(&[], now).await?;
        }
        Ok(self.saved)
    }

    async fn finish(&mut self) -> Result<Position, ProjectionError> {
        if self.reached > self.saved {
            self.store(&[], self.events.now()).await?;
        }
        Ok(self.saved)
    }
}

/// What the rules make of a batch.
pub(crate) fn take(events: &Events, batch: &EventBatch) -> Vec<Matched> {
    let mut scratch = Scratch::default();
    let mut pages = Pages { events, known: Vec::new() };
    let mut taken = Vec::new();
    for row in 0..batch.len() {
        let record = batch.event(row);
        if !record.source().is_news() {
            continue;
        }
        let Some(page) = record.region().and_then(|region| pages.of(record.account(), region)) else { continue };
        let Some(envelope) = Envelope::of_record(record) else { continue };
        taken.extend(page.take_record(&envelope, (record.position(), kind(record)), &mut scratch));
    }
    taken
}

fn kind(record: Event<'_>) -> Kind {
    match record.category() == "Management" && record.read_only() == Some(true) {
        true => Kind::ReadOnlyManagement,
        false => Kind::Other,
    }
}

/// The pages that a batch has needed so far: most batches need few.
struct Pages<'a> {
    events: &'a Events,
    known: Vec<(AccountId, String, Option<Arc<Page>>)>,
}

impl Pages<'_> {
    fn of(&mut self, account: AccountId, region: &str) -> Option<Arc<Page>> {
        let found = self.known.iter().find(|(known, place, _)| *known == account && place == region);
        if let Some((.., page)) = found {
            return page.clone();
        }
        let page = self.events.book.default_page(account, region);
        // A batch of hostile Regions is looked up each time, rather than searched for in an ever longer list.
        if self.known.len() < 64 {
            self.known.push((account, region.to_owned(), page.clone()));
        }
        page
    }
}
