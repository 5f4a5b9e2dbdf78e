use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogExt, Change, Expect, Versioned};
use opentrail_model::{AccountId, Region};
use opentrail_queries::Queries;
use opentrail_runtime::{Clock, Random};
use opentrail_stores::{ResourcePolicies, Stores};
use tokio::sync::{Mutex, Notify};

use crate::managed::{self, ManagedDashboard};
use crate::refresh::REFRESHES;
use crate::{
    Dashboard, DashboardError, DashboardKey, DashboardKind, HIGHLIGHTS, MAX_WIDGETS, NewWidget, Values, Widget,
    WidgetError,
};

pub(crate) const KIND: &str = "dashboards";

/// Custom dashboards of an account in a Region. (User Guide, "Quotas in AWS CloudTrail".)
pub const MAX_DASHBOARDS: usize = 100;

/// What dashboards work with.
#[derive(Clone, Debug)]
pub struct DashboardsDeps {
    /// Where their documents are.
    pub catalog: Arc<dyn Catalog>,
    /// What runs their widgets' statements.
    pub queries: Queries,
    /// What these ask.
    pub stores: Stores,
    /// What CloudTrail itself is let do with stores and dashboards.
    pub policies: ResourcePolicies,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for aliases.
    pub random: Arc<dyn Random>,
}

/// All dashboards. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dashboards {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) deps: DashboardsDeps,
    /// Held while a dashboard is made, deleted or refreshed: what was looked up is still so when it is committed.
    pub(crate) changing: Mutex<()>,
    /// Told when a schedule is another.
    pub(crate) scheduled: Notify,
}

/// A dashboard that is there.
#[derive(Clone, Debug)]
pub enum Found {
    /// A custom one or Highlights, with the revision to hand to [`Dashboards::replace`].
    Stored(Versioned<Dashboard>),
    /// One of CloudTrail's.
    Managed(&'static ManagedDashboard),
}

impl Found {
    /// Its tags.
    pub fn tags(&self) -> &[opentrail_stores::Tag] {
        match self {
            Self::Stored(dashboard) => &dashboard.value.tags,
            Self::Managed(_) => &[],
        }
    }
}

impl Dashboards {
    /// The dashboards in `deps`' catalog. Schedules rest until [`Self::run`].
    pub fn new(deps: DashboardsDeps) -> Self {
        Self { inner: Arc::new(Inner { deps, changing: Mutex::default(), scheduled: Notify::new() }) }
    }

    pub(crate) fn catalog(&self) -> &dyn Catalog {
        &*self.inner.deps.catalog
    }

    /// Every dashboard of `account` that is stored, in the order of their names.
    pub async fn stored(&self, account: AccountId, region: &Region) -> Result<Vec<Dashboard>, DashboardError> {
        let all = self.catalog().all::<Dashboard>(KIND, &format!("{account}/{region}/")).await?;
        Ok(all.into_iter().map(|document| document.value).collect())
    }

    /// The dashboard of that name, one of CloudTrail's included.
    pub async fn find(&self, key: &DashboardKey) -> Result<Option<Found>, DashboardError> {
        if let DashboardKind::Managed(managed) = key.kind() {
            return Ok(Some(Found::Managed(managed)));
        }
        Ok(self.find_stored(key).await?.map(Found::Stored))
    }

    /// The dashboard of that name, if it is a custom one or Highlights.
    pub async fn find_stored(&self, key: &DashboardKey) -> Result<Option<Versioned<Dashboard>>, DashboardError> {
        Ok(self.catalog().find(KIND, &key.to_string()).await?)
    }

    /// The dashboard, which must be one that can be changed and deleted.
    pub async fn require_stored(&self, key: &DashboardKey) -> Result<Versioned<Dashboard>, DashboardError> {
        match self.find(key).await? {
            Some(Found::Stored(dashboard)) => Ok(dashboard),
            Some(Found::Managed(_)) => Err(DashboardError::Fixed { arn: key.arn() }),
            None => Err(DashboardError::NotFound { arn: key.arn() }),
        }
    }

    /// Checks what can be checked of widgets without their stores.
    pub fn check(&self, key: &DashboardKey, widgets: &[NewWidget]) -> Result<(), DashboardError> {
        if key.kind() == DashboardKind::Highlights && !widgets.is_empty() {
            return Err(DashboardError::WidgetsOfHighlights);
        }
        if widgets.len() > MAX_WIDGETS {
            return Err(DashboardError::TooManyWidgets { count: widgets.len() });
        }
        let checked: Result<(), WidgetError> = (1..).zip(widgets).try_for_each(|(number, widget)| widget.check(number));
        Ok(checked?)
    }

    /// The widgets, which passed [`Self::check`], with their aliases: those that ask what one of `before` asked keep
    /// that one's.
    pub fn named(&self, key: &DashboardKey, widgets: Vec<NewWidget>, mut before: Vec<Widget>) -> Vec<Widget> {
        let random = &*self.inner.deps.random;
        widgets.into_iter().map(|widget| widget.named(&key.name, &mut before, random)).collect()
    }

    /// Stores a new dashboard.
    pub async fn create(&self, dashboard: &Dashboard) -> Result<(), DashboardError> {
        let key = &dashboard.key;
        if key.is_reserved() {
            return Err(DashboardError::Reserved { name: key.name.clone() });
        }
        let _changing = self.inner.changing.lock().await;
        let others = self.stored(key.account, &key.region).await?;
        if others.iter().any(|other| other.key == *key) {
            return Err(DashboardError::AlreadyExists { name: key.name.clone() });
        }
        let custom = others.iter().filter(|other| other.key.name != HIGHLIGHTS).count();
        if key.kind() == DashboardKind::Custom && custom >= MAX_DASHBOARDS {
            return Err(DashboardError::TooMany { account: key.account, region: key.region.clone() });
        }
        self.catalog().commit(vec![Change::put(KIND, key.to_string(), Expect::Absent, dashboard)]).await?;
        self.inner.scheduled.notify_one();
        Ok(())
    }

    /// Stores a dashboard that was read at `revision` as it is now.
    pub async fn replace(&self, dashboard: &Dashboard, revision: u64) -> Result<(), DashboardError> {
        let change = Change::put(KIND, dashboard.key.to_string(), Expect::Revision(revision), dashboard);
        self.catalog().commit(vec![change]).await?;
        self.inner.scheduled.notify_one();
        Ok(())
    }

    /// Removes a dashboard, its policy and what is known of its refreshes. Queries that one started run on.
    pub async fn delete(&self, key: &DashboardKey) -> Result<(), DashboardError> {
        let _changing = self.inner.changing.lock().await;
        let found = self.require_stored(key).await?;
        if found.value.termination_protection {
            return Err(DashboardError::Protected { arn: key.arn() });
        }
        let delete = Change::delete(KIND, key.to_string(), Expect::Revision(found.revision));
        let forget = Change::delete(REFRESHES, key.to_string(), Expect::Anything);
        self.catalog().commit(vec![delete, forget, ResourcePolicies::forget(&key.arn())]).await?;
        Ok(())
    }

    /// The widgets of a dashboard that was found.
    pub async fn widgets(&self, found: &Found) -> Result<Vec<Widget>, DashboardError> {
        match found {
            Found::Managed(managed) => Ok(managed.widgets.clone()),
            Found::Stored(dashboard) => self.widgets_of(&dashboard.value).await,
        }
    }

    /// The widgets of a dashboard; those of Highlights ask the account's stores as they are now.
    pub async fn widgets_of(&self, dashboard: &Dashboard) -> Result<Vec<Widget>, DashboardError> {
        if dashboard.key.kind() != DashboardKind::Highlights {
            return Ok(dashboard.widgets.clone());
        }
        let stores = self.asked_by_highlights(&dashboard.key).await?;
        Ok(managed::highlights(&stores.iter().map(|store| store.id).collect::<Vec<_>>()))
    }

    /// The widget of that alias, which is on a dashboard of the account in the Region.
    pub async fn widget(
        &self,
        account: AccountId,
        region: &Region,
        alias: &str,
    ) -> Result<Option<Widget>, DashboardError> {
        let Some(name) = crate::dashboard_of(alias) else { return Ok(None) };
        let key = DashboardKey { account, region: region.clone(), name: name.to_owned() };
        let Some(found) = self.find(&key).await? else { return Ok(None) };
        let widgets = self.widgets(&found).await?;
        Ok(widgets.into_iter().find(|widget| widget.alias == alias))
    }

    /// The values that a dashboard is refreshed with: what a request says, and for a managed one the store to show.
    pub fn values(
        &self,
        found: &Found,
        mut given: BTreeMap<String, String>,
        store: impl FnOnce(&str) -> Option<uuid::Uuid>,
    ) -> Result<Values, DashboardError> {
        let now = self.inner.deps.clock.now();
        let name = crate::Parameter::EventDataStoreId.as_str();
        let unknown = || crate::ValuesError::Unknown { name: name.to_owned() };
        match (found, given.remove(name)) {
            (Found::Managed(_), Some(text)) => {
                let id = store(&text).ok_or(crate::ValuesError::Store { text })?;
                Ok(Values::read(&given, now)?.with_store(id))
            }
            (Found::Managed(_), None) => Err(crate::ValuesError::NoStore.into()),
            (Found::Stored(_), Some(_)) => Err(unknown().into()),
            (Found::Stored(_), None) => Ok(Values::read(&given, now)?),
        }
    }
}
