//! Refreshes: what is asked, whether CloudTrail may, and the start of the queries.

use opentrail_catalog::{CatalogExt, Change, Expect, Versioned};
use opentrail_identity::{Context, Policy, PolicyUse};
use opentrail_model::{Arn, Timestamp};
use opentrail_queries::{Alias, NewQuery, QueryError, QueryKey, QueryStatus};
use opentrail_stores::{EventDataStore, Kind, Status, StoreError, StoreKey};
use serde::{Deserialize, Serialize};
use tracing::error;
use uuid::Uuid;

use crate::{DashboardError, DashboardKey, DashboardKind, Dashboards, Found, Values};

pub(crate) const REFRESHES: &str = "dashboard-refreshes";
const SERVICE: &str = "cloudtrail.amazonaws.com";
const START_QUERY: &str = "cloudtrail:StartQuery";
const START_REFRESH: &str = "cloudtrail:StartDashboardRefresh";

/// What the catalog has of a dashboard's refreshes: the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefresh {
    /// `RefreshId`: when it was started, in milliseconds, or the next number that is free.
    pub id: u64,
    /// The queries of its widgets.
    pub queries: Vec<Uuid>,
    /// Whether the schedule asked for it.
    pub scheduled: bool,
    /// The last moment of the schedule that was obeyed.
    pub done: Option<Timestamp>,
    /// Why the scheduled refresh did not start.
    pub failure: Option<String>,
}

/// What one widget asks in a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WidgetQuery {
    /// `QueryAlias`.
    pub alias: String,
    /// With the values put in.
    pub statement: String,
    /// The stores that it names: of the dashboard's account and Region, there and active.
    pub stores: Vec<StoreKey>,
}

impl Dashboards {
    /// What the widgets of a dashboard ask with these values.
    pub async fn questions(
        &self,
        key: &DashboardKey,
        found: &Found,
        values: &Values,
    ) -> Result<Vec<WidgetQuery>, DashboardError> {
        let widgets = self.widgets(found).await?;
        if key.kind() == DashboardKind::Highlights && self.asked_by_highlights(key).await?.is_empty() {
            return Err(DashboardError::NoStore { arn: key.arn() });
        }
        let mut questions = Vec::with_capacity(widgets.len());
        for widget in widgets {
            let statement = widget.filled(values)?;
            let mut stores = Vec::new();
            for id in self.inner.deps.queries.stores_of(&statement)? {
                let store = self.active_store(key, id).await?;
                if let DashboardKind::Managed(managed) = key.kind()
                    && managed.kind != store.kind()
                {
                    let (dashboard, events) = (key.name.clone(), managed.events());
                    return Err(DashboardError::StoreKind { dashboard, events, store: store.arn() });
                }
                stores.push(store.key);
            }
            questions.push(WidgetQuery { alias: widget.alias, statement, stores });
        }
        Ok(questions)
    }

    async fn active_store(&self, key: &DashboardKey, id: Uuid) -> Result<EventDataStore, DashboardError> {
        let store = StoreKey { account: key.account, home_region: key.region.clone(), id };
        let found = self.inner.deps.stores.find(&store, self.inner.deps.clock.now()).await?;
        let found = found.ok_or_else(|| StoreError::NotFound { arn: store.arn() })?.value;
        match found.status() {
            Status::PendingDeletion => Err(DashboardError::InactiveStore { arn: found.arn() }),
            Status::Enabled | Status::StoppedIngestion => Ok(found),
        }
    }

    /// The stores that Highlights show: all of the account in the Region that collect CloudTrail events.
    pub async fn asked_by_highlights(&self, key: &DashboardKey) -> Result<Vec<StoreKey>, DashboardError> {
        let all = self.inner.deps.stores.of_account(key.account, self.inner.deps.clock.now()).await?;
        let is_shown = |store: &EventDataStore| {
            store.key.home_region == key.region
                && store.kind() == Kind::CloudTrail
                && store.status() != Status::PendingDeletion
        };
        Ok(all.into_iter().filter(is_shown).map(|store| store.key).collect())
    }

    /// Checks that every store lets CloudTrail query it for this dashboard. (User Guide, "Example: Allow CloudTrail to run
    /// queries to refresh a dashboard".)
    pub async fn require_stores_to_allow(
        &self,
        key: &DashboardKey,
        questions: &[WidgetQuery],
    ) -> Result<(), DashboardError> {
        for store in questions.iter().flat_map(|question| &question.stores) {
            self.require_allowed(key, START_QUERY, &store.arn()).await?;
        }
        Ok(())
    }

    /// Checks that the dashboard's own policy lets CloudTrail refresh it.
    pub(crate) async fn require_dashboard_to_allow(&self, key: &DashboardKey) -> Result<(), DashboardError> {
        self.require_allowed(key, START_REFRESH, &key.arn()).await
    }

    /// A policy that cannot be read lets nobody in.
    async fn require_allowed(
        &self,
        key: &DashboardKey,
        action: &'static str,
        resource: &Arn,
    ) -> Result<(), DashboardError> {
        let dashboard = key.arn();
        let context =
            Context::new().with("aws:SourceArn", dashboard.as_str()).with("aws:SourceAccount", key.account.to_string());
        let allowed = match self.inner.deps.policies.find(resource).await? {
            None => false,
            Some(stored) => match Policy::parse(&stored.value.text, PolicyUse::Own) {
                Ok(policy) => policy.allows_service(SERVICE, action, resource.as_str(), &context),
                Err(problem) => {
                    error!(%resource, %problem, "a stored resource policy cannot be read");
                    false
                }
            },
        };
        let resource = resource.clone();
        if allowed { Ok(()) } else { Err(DashboardError::Denied { action, resource, dashboard }) }
    }

    /// Starts a refresh that was asked for; its `RefreshId`.
    pub async fn start(&self, key: &DashboardKey, questions: Vec<WidgetQuery>) -> Result<u64, DashboardError> {
        self.start_for(key, questions, None).await
    }

    /// Starts the queries of a refresh, all or none, in one transaction with the dashboard's [`LastRefresh`]: after a crash
    /// the refresh was never there or is as durable as its queries, and the `moment` of the schedule is done or is not.
    pub(crate) async fn start_for(
        &self,
        key: &DashboardKey,
        questions: Vec<WidgetQuery>,
        moment: Option<Timestamp>,
    ) -> Result<u64, DashboardError> {
        let _changing = self.inner.changing.lock().await;
        if self.find(key).await?.is_none() {
            return Err(DashboardError::NotFound { arn: key.arn() });
        }
        let last = self.last_document(key).await?;
        let queries = last.iter().flat_map(|last| &last.value.queries);
        if queries.copied().any(|id| self.inner.deps.queries.is_under_way(&query_key(key, id))) {
            return Err(DashboardError::Refreshing { arn: key.arn() });
        }
        let id = self.next_id(last.as_ref());
        let new = |WidgetQuery { alias, statement, stores }| NewQuery {
            account: key.account,
            region: key.region.clone(),
            statement,
            stores,
            delivery: None,
            alias: Some(Alias { name: alias, refresh: Some(id.to_string()), prompt: None }),
        };
        let new = questions.into_iter().map(new).collect();
        let put = |started: &[QueryKey]| {
            let queries = started.iter().map(|query| query.id).collect();
            let refresh = LastRefresh { id, queries, scheduled: moment.is_some(), done: moment, failure: None };
            vec![put(key, last.as_ref(), refresh)]
        };
        match self.inner.deps.queries.start_all(new, put).await {
            Ok(_) => Ok(id),
            Err(QueryError::Catalog(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps why a scheduled refresh could not be started.
    pub(crate) async fn note_failure(
        &self,
        key: &DashboardKey,
        moment: Timestamp,
        why: String,
    ) -> Result<(), DashboardError> {
        let _changing = self.inner.changing.lock().await;
        if self.find_stored(key).await?.is_none() {
            return Ok(());
        }
        let last = self.last_document(key).await?;
        let (id, failure) = (self.next_id(last.as_ref()), Some(shortened(why)));
        let failed = LastRefresh { id, queries: Vec::new(), scheduled: true, done: Some(moment), failure };
        Ok(self.catalog().commit(vec![put(key, last.as_ref(), failed)]).await?)
    }

    fn next_id(&self, last: Option<&Versioned<LastRefresh>>) -> u64 {
        let now = u64::try_from(self.inner.deps.clock.now().as_millis()).unwrap_or_default();
        now.max(last.map_or(0, |last| last.value.id + 1))
    }

    pub(crate) async fn last_document(
        &self,
        key: &DashboardKey,
    ) -> Result<Option<Versioned<LastRefresh>>, DashboardError> {
        Ok(self.catalog().find(REFRESHES, &key.to_string()).await?)
    }

    /// The dashboard's last refresh. One that its schedule started has failed, too, when a query of its widgets did: a
    /// choice, as AWS does not say what its reasons are.
    pub async fn last_refresh(&self, key: &DashboardKey) -> Result<Option<LastRefresh>, DashboardError> {
        let Some(Versioned { value: mut last, .. }) = self.last_document(key).await? else { return Ok(None) };
        if !last.scheduled || last.failure.is_some() {
            return Ok(Some(last));
        }
        let mut failures = Vec::new();
        for id in &last.queries {
            match self.inner.deps.queries.find(&query_key(key, *id)).await {
                Ok(view) if view.status.is_final() && view.status != QueryStatus::Finished => {
                    let why = view.query.ended.and_then(|ended| ended.message);
                    failures.push(why.unwrap_or_else(|| format!("The query was {}.", view.status.as_str())));
                }
                Ok(_) | Err(QueryError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(first) = failures.first() {
            let (failed, all) = (failures.len(), last.queries.len());
            last.failure = Some(shortened(format!("{failed} of {all} widgets were not refreshed: {first}")));
        }
        Ok(Some(last))
    }
}

fn query_key(key: &DashboardKey, id: Uuid) -> QueryKey {
    QueryKey { account: key.account, region: key.region.clone(), id }
}

/// The change that keeps a refresh. A refresh that was asked for leaves what the schedule has done.
fn put(key: &DashboardKey, last: Option<&Versioned<LastRefresh>>, refresh: LastRefresh) -> Change {
    let expect = last.map_or(Expect::Absent, |last| Expect::Revision(last.revision));
    let done = refresh.done.or(last.and_then(|last| last.value.done));
    Change::put(REFRESHES, key.to_string(), expect, &LastRefresh { done, ..refresh })
}

/// (API Reference, GetDashboard, `LastRefreshFailureReason`: 4 to 1000 characters.)
fn shortened(why: String) -> String {
    why.chars().take(1000).collect()
}
