//! The refreshes that schedules ask for.

use std::time::Duration;

use opentrail_catalog::{CatalogExt, Versioned};
use opentrail_model::Timestamp;
use opentrail_runtime::Shutdown;
use tracing::{debug, info, warn};

use crate::repository::KIND;
use crate::{Dashboard, DashboardError, Dashboards, Found, Schedule, Values};

/// How soon a refresh is tried again that could not start yet: others run, or the catalog fails.
const RETRY: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(3600);

impl Dashboards {
    /// Refreshes dashboards whenever their schedules say so, until the shutdown begins. What was due while nobody ran this
    /// is made up for by one refresh.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), DashboardError> {
        let clock = &self.inner.deps.clock;
        loop {
            let next = match self.refresh_due().await {
                Ok(next) => next,
                Err(error) => {
                    warn!(%error, "schedules of dashboards cannot be read; trying again soon");
                    clock.now() + RETRY
                }
            };
            tokio::select! {
                () = clock.sleep_until(next) => {}
                () = self.inner.scheduled.notified() => {}
                () = shutdown.begun() => return Ok(()),
            }
        }
    }

    /// Starts every refresh that is due; when to look again.
    pub(crate) async fn refresh_due(&self) -> Result<Timestamp, DashboardError> {
        let now = self.inner.deps.clock.now();
        let mut next = now + IDLE;
        for document in self.catalog().all::<Dashboard>(KIND, "").await? {
            let Some(schedule) = document.value.schedule.filter(|schedule| schedule.enabled) else { continue };
            next = next.min(schedule.next(now));
            if !self.obey(document, schedule, now).await {
                next = next.min(now + RETRY);
            }
        }
        Ok(next)
    }

    /// Starts the dashboard's refresh if it is due; whether nothing is left to be done now.
    async fn obey(&self, dashboard: Versioned<Dashboard>, schedule: Schedule, now: Timestamp) -> bool {
        let key = dashboard.value.key.clone();
        let obeyed = async {
            let done = self.last_document(&key).await?.and_then(|last| last.value.done);
            let Some(moment) = schedule.due(now, done) else { return Ok(()) };
            match self.refresh_at(dashboard, moment, now).await {
                Ok(refresh) => info!(dashboard = %key, refresh, "a dashboard is refreshed by its schedule"),
                Err(error) if error.will_pass() => return Err(error),
                // It was deleted meanwhile.
                Err(DashboardError::NotFound { .. }) => {}
                Err(error) => {
                    warn!(dashboard = %key, %error, "a dashboard is not refreshed by its schedule");
                    self.note_failure(&key, moment, error.to_string()).await?;
                }
            }
            Ok(())
        };
        match obeyed.await {
            Ok(()) => true,
            Err(error) => {
                debug!(dashboard = %key, %error, "a scheduled refresh has to wait");
                false
            }
        }
    }

    async fn refresh_at(
        &self,
        dashboard: Versioned<Dashboard>,
        moment: Timestamp,
        now: Timestamp,
    ) -> Result<u64, DashboardError> {
        let key = dashboard.value.key.clone();
        self.require_dashboard_to_allow(&key).await?;
        let questions = self.questions(&key, &Found::Stored(dashboard), &Values::last_day(now)).await?;
        self.require_stores_to_allow(&key, &questions).await?;
        self.start_for(&key, questions, Some(moment)).await
    }
}
