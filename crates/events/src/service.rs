//! EventBridge as a whole: its documents, its rules in memory, its outbox, and what it needs of others.

use std::fmt;
use std::sync::Arc;

use opentrail_catalog::Catalog;
use opentrail_identity::Directory;
use opentrail_journal::Journal;
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_outbound::Outbound;
use opentrail_runtime::{Clock, Random, Shutdown};
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::archive::Archive;
use crate::book::Book;
use crate::connection::Connection;
use crate::counts::RuleMetrics;
use crate::deliver::Destinations;
use crate::error::EventsError;
use crate::outbox::Outbox;
use crate::place::{BusPlace, prefix};
use crate::repository::Documents;
use crate::rule::Rule;

/// Limits. (EventBridge User Guide, "Amazon EventBridge quotas".)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsOptions {
    /// Rules of one bus. AWS has 300 unless asked for more; 2,000 is a choice of ours.
    pub most_rules: usize,
    /// Targets of one rule.
    pub most_targets: usize,
    /// Buses of an account in a Region, the default one not counted.
    pub most_buses: usize,
    /// Archives of an account in a Region: a choice of ours.
    pub most_archives: usize,
    /// Connections, and API destinations, of an account in a Region.
    pub most_connections: usize,
}

impl Default for EventsOptions {
    fn default() -> Self {
        Self { most_rules: 2000, most_targets: 5, most_buses: 100, most_archives: 100, most_connections: 3000 }
    }
}

/// What the service works with.
pub struct EventsParts {
    /// Where its documents are.
    pub catalog: Arc<dyn Catalog>,
    /// Who may do what.
    pub directory: Arc<Directory>,
    /// Seals the secrets of connections, and tokens of pages.
    pub ring: Arc<KeyRing>,
    /// The journal, whose tail says since when a rule is there.
    pub journal: Arc<dyn Journal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids, and the jitter of retries.
    pub random: Arc<dyn Random>,
    /// Requests to API destinations and token endpoints.
    pub outbound: Outbound,
    /// Where other targets are delivered.
    pub destinations: Destinations,
    /// What is to be delivered.
    pub outbox: Arc<Outbox>,
}

/// EventBridge: give it to [`crate::api`], and run its [`crate::RecordRules`] and its [`crate::Couriers`].
pub struct Events {
    pub(crate) documents: Documents,
    pub(crate) directory: Arc<Directory>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) outbound: Outbound,
    pub(crate) destinations: Destinations,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) book: Book,
    /// Told when a replay was started or cancelled.
    pub(crate) replays: Notify,
    pub(crate) options: EventsOptions,
    /// Held by whoever changes rules or buses: read, decide, commit, take over into the book.
    changing: Mutex<()>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Events {
    /// Reads the rules of the catalog.
    ///
    /// # Errors
    /// The catalog's.
    pub async fn open(parts: EventsParts, options: EventsOptions) -> Result<Arc<Self>, EventsError> {
        let EventsParts { catalog, directory, ring, journal, clock, random, outbound, destinations, outbox } = parts;
        let documents = Documents { catalog };
        let book = Book::new(documents.all::<Rule>("").await?, documents.all::<Archive>("").await?);
        let changing = Mutex::default();
        Ok(Arc::new(Self {
            documents,
            directory,
            ring,
            journal,
            clock,
            random,
            outbound,
            destinations,
            outbox,
            book,
            replays: Notify::new(),
            options,
            changing,
        }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Hands on what rules and targets do, until the shutdown has begun.
    pub async fn hand_on_counts(
        self: Arc<Self>,
        metrics: Arc<dyn RuleMetrics>,
        shutdown: Shutdown,
    ) -> Result<(), std::convert::Infallible> {
        self.outbox.counts().hand_on(metrics, Arc::clone(&self.clock), shutdown).await;
        Ok(())
    }

    /// The right to change rules and buses: one change at a time.
    pub(crate) async fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Has the book agree with the catalog on a bus's rules and archives. Called with the right to change held, after a commit: once
    /// this returns, records and events that are looked at are looked at with the change.
    pub(crate) async fn take_over(&self, bus: &BusPlace) -> Result<(), EventsError> {
        let rules = self.documents.all::<Rule>(&format!("{}/", bus.document())).await?;
        let archives = self.documents.all::<Archive>(&prefix(bus.account, &bus.region)).await?;
        self.book.replace(bus, &rules, archives.iter().filter(|archive| archive.bus == *bus));
        Ok(())
    }

    /// The connection with this ARN, if it is of that account and Region.
    pub(crate) async fn connection(
        &self,
        text: &str,
        account: AccountId,
        region: &Region,
    ) -> Result<Option<Connection>, EventsError> {
        let name = text.rsplit('/').nth(1).unwrap_or_default();
        match self.documents.named::<Connection>(account, region, name).await {
            // One of the same name that was made later is another.
            Ok(found) => Ok(Some(found.value).filter(|found| found.arn() == text)),
            Err(EventsError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
