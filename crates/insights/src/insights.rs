//! Insights as the server holds it: the fold, the file, the switches.

use std::path::Path;
use std::sync::Arc;

use opentrail_model::{AccountId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::explain::Explanation;
use crate::fold::Fold;
use crate::method::{HOUR, Minute};
use crate::store::{InsightFilter, InsightPage, MetricQuery, MetricSeries, Store, StoreError};
use crate::switches::Switches;

/// How many keys are watched unless told otherwise: about 250 MB when each has calls in every hour of four weeks.
pub const MOST_KEYS: usize = 120_000;

/// What Insights knows, for those who ask and for the projection that folds the journal into it.
#[derive(Debug)]
pub struct Insights {
    pub(crate) fold: Mutex<Fold>,
    pub(crate) store: Store,
    pub(crate) switches: Arc<dyn Switches>,
    pub(crate) most_keys: usize,
}

impl Insights {
    /// Opens `path` (`insights.sqlite`), creating it when absent. At most `most_keys` keys are watched ([`MOST_KEYS`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(path: &Path, switches: Arc<dyn Switches>, most_keys: usize) -> Result<Arc<Self>, StoreError> {
        let store = Store::open(path).await?;
        Ok(Arc::new(Self { fold: Mutex::new(Fold::new(most_keys)), store, switches, most_keys }))
    }

    /// What `ListInsightsData` answers for data events, and `LookupEvents` with the category `insight` for management events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, filter: &InsightFilter) -> Result<InsightPage, StoreError> {
        self.store.list(filter).await
    }

    /// What `ListInsightsMetricData` answers; `now` bounds how far back points go.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn metric(&self, query: &MetricQuery, now: Timestamp) -> Result<MetricSeries, StoreError> {
        let recent = self.recent(query);
        self.store.metric(query, now, &recent).await
    }

    /// The counts of the last hour, on the clock, the open minute included.
    fn recent(&self, query: &MetricQuery) -> Vec<(Minute, u32)> {
        let fold = self.fold.lock();
        let key = query.key();
        let Some(tracked) = fold.keys.find(&key.borrowed()).and_then(|slot| fold.keys.get(slot)) else {
            return Vec::new();
        };
        let Some(open) = fold.open else { return Vec::new() };
        let mut recent = vec![(open.back(fold.offset), tracked.count)];
        for minute in (open.back(HOUR - 1).0..open.0).map(Minute) {
            recent.push((minute.back(fold.offset), tracked.series.count(minute)));
        }
        recent
    }

    /// Why the Insight with this `eventID` or `sharedEventID` was told; `None` when the account has none such.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn explain(
        &self,
        account: AccountId,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Option<Explanation>, StoreError> {
        let ends = self.store.episode(account, id).await?;
        let Some(explained) = Explanation::of(&ends) else { return Ok(None) };
        let series = self.metric(&explained.query(account), now).await?;
        Ok(Some(explained.with(series)))
    }

    /// Checkpoints the file and closes it.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
