use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentrail_catalog::Catalog;
use opentrail_dashboards::Dashboards;
use opentrail_delivery::PublicKeys;
use opentrail_generate::Generator;
use opentrail_history::History;
use opentrail_iam::Iam;
use opentrail_identity::{Call, Directory};
use opentrail_imports::Imports;
use opentrail_insights::Insights;
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_organizations::Organizations;
use opentrail_queries::Queries;
use opentrail_runtime::{Clock, Random};
use opentrail_stores::{Channels, ResourcePolicies, StoreChange, StoreKms, Stores};
use opentrail_trails::{Buckets, LogGroups, Topics, TrailChange, Trails};

use crate::audit::Audited;
use crate::error::ApiError;
use crate::federation::FederatedTables;
use crate::quotas::Quotas;
use crate::turn::{Turn, Turns};

/// What the operations work with.
#[derive(Debug)]
pub struct Services {
    /// The trails.
    pub trails: Trails,
    /// The event data stores.
    pub stores: Stores,
    /// The channels into event data stores.
    pub channels: Channels,
    /// The policies that resources have of their own.
    pub policies: ResourcePolicies,
    /// The queries over them.
    pub queries: Queries,
    /// The imports into them.
    pub imports: Imports,
    /// What makes statements of questions.
    pub generator: Arc<dyn Generator>,
    /// KMS, for the keys of event data stores.
    pub store_kms: Arc<dyn StoreKms>,
    /// Where other engines read the tables of event data stores.
    pub federation: Arc<dyn FederatedTables>,
    /// The dashboards that show what queries find.
    pub dashboards: Dashboards,
    /// How long a deleted event data store can be restored.
    pub pending_deletion: Duration,
    /// Where the trails' delivery status is.
    pub catalog: Arc<dyn Catalog>,
    /// Where trails can deliver to.
    pub buckets: Arc<dyn Buckets>,
    /// What trails tell of their log files.
    pub topics: Arc<dyn Topics>,
    /// Where trails' events go, too.
    pub log_groups: Arc<dyn LogGroups>,
    /// What LookupEvents reads.
    pub history: History,
    /// What Insights knows.
    pub insights: Arc<Insights>,
    /// What ListPublicKeys reads.
    pub public_keys: PublicKeys,
    /// Who may do what, and the roles that can be assumed.
    pub directory: Arc<Directory>,
    /// The identities that the API makes.
    pub iam: Arc<Iam>,
    /// The organizations that accounts are in.
    pub organizations: Arc<Organizations>,
    /// Seals page tokens and session tokens.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for access keys of sessions.
    pub random: Arc<dyn Random>,
    /// AWS's request rates, when they are wanted (`--aws-quotas`).
    pub quotas: Option<Quotas>,
    /// Keeps catalog and journal in the same order; [`Turns::default`] in a new process.
    pub turns: Turns,
}

/// The answer to a call, to be sent once the call's own event and `changes` are in the journal.
#[derive(Debug)]
pub struct Reply {
    /// What the client gets.
    pub response: http::Response<Bytes>,
    /// What changed, to be appended in the same batch as the call's event. The catalog has it already.
    pub changes: Vec<JournalChange>,
    /// Which of event and changes comes first in that batch.
    pub order: RecordOrder,
    /// Drop it once the batch is durable. Absent when nothing changed.
    pub turn: Option<Turn>,
    /// What came of the call, to be recorded after it.
    pub results: Vec<CallResult>,
    /// Events of an application, to be appended in the same batch before the call's event.
    pub audited: Option<Audited>,
}

impl Reply {
    /// The answer of a call that changed nothing.
    pub fn answer(response: http::Response<Bytes>) -> Self {
        let (changes, results) = (Vec::new(), Vec::new());
        Self { response, changes, order: RecordOrder::RecordFirst, turn: None, results, audited: None }
    }
}

/// What came of a call that answers before it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct CallResult {
    /// The event's name, e.g. `CreateAccountResult`.
    pub name: &'static str,
    /// What it tells, in the service model's spelling.
    pub details: serde_json::Value,
}

/// A change of configuration that the journal orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalChange {
    /// Of a trail.
    Trail(TrailChange),
    /// Of an event data store.
    EventDataStore(StoreChange),
}

impl JournalChange {
    /// Whose configuration changes.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Trail(change) => change.key().account,
            Self::EventDataStore(change) => change.account(),
        }
    }

    /// The entry's body.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Trail(change) => change.to_bytes(),
            Self::EventDataStore(change) => change.to_bytes(),
        }
    }
}

impl From<TrailChange> for JournalChange {
    fn from(change: TrailChange) -> Self {
        Self::Trail(change)
    }
}

impl From<StoreChange> for JournalChange {
    fn from(change: StoreChange) -> Self {
        Self::EventDataStore(change)
    }
}

/// Whether a trail that a call changes sees that call under its old or its new settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOrder {
    /// The event, then the changes: the trail that is stopped, deleted or changed still logs the call.
    /// (User Guide, "CloudTrail digest file structure": the last digest goes up to and including `StopLogging`.)
    RecordFirst,
    /// The changes, then the event: the trail that is created or started logs it already.
    ChangeFirst,
}

/// What an operation answers, or the error that the client gets.
pub(crate) type Outcome<T> = Result<T, ApiError>;

/// A call and what its operation works with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) services: &'a Services,
    pub(crate) call: &'a Call,
}

impl Context<'_> {
    /// The caller's account.
    pub(crate) fn account(&self) -> AccountId {
        self.call.principal.account
    }

    /// The Region that is called.
    pub(crate) fn region(&self) -> &Region {
        &self.call.region
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.call.request_id)
    }
}
