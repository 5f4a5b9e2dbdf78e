use opentrail_dashboards::{DashboardKey, NewWidget, Schedule, Values};
use opentrail_queries::InvalidStatement;
use opentrail_stores::StoreKey;

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::query::StatementError;

impl Context<'_> {
    /// Checks the widgets that a dashboard is to have: what they say, that the caller may query each store that they name,
    /// and that their statements can be run, with the last 24 hours put in.
    pub(super) async fn check_widgets(&self, key: &DashboardKey, widgets: &[NewWidget]) -> Outcome<()> {
        self.services.dashboards.check(key, widgets)?;
        let values = Values::last_day(self.now());
        for (number, widget) in (1..).zip(widgets) {
            let about = |problem: &dyn std::fmt::Display| InvalidStatement(format!("Widget {number}: {problem}"));
            let statement = widget.filled(&values).map_err(|problem| about(&problem))?;
            let ids = self.services.queries.stores_of(&statement).map_err(|problem| about(&problem))?;
            if ids.is_empty() {
                return Err(about(&StatementError::NoStore).into());
            }
            let (account, region) = (key.account, &key.region);
            let store = |id| StoreKey { account, home_region: region.clone(), id };
            let stores: Vec<StoreKey> = ids.into_iter().map(store).collect();
            for store in &stores {
                self.authorize_store("StartQuery", store.arn().as_str()).await?.require_active()?;
            }
            self.services.queries.check(&statement, &stores).await.map_err(|error| match error {
                opentrail_queries::PlanError::Statement(problem) => about(&problem).into(),
                unavailable => crate::error::ApiError::from(unavailable),
            })?;
        }
        Ok(())
    }

    /// Whoever has a dashboard refreshed by a schedule must be allowed to refresh it. (User Guide, "Create a custom
    /// dashboard": required permissions.)
    pub(super) fn check_schedule(&self, key: &DashboardKey, schedule: Option<&Schedule>) -> Outcome<()> {
        match schedule {
            Some(Schedule { enabled: true, .. }) => {
                let arn = key.arn();
                self.authorize(Access::on("StartDashboardRefresh", arn.as_str()).owned_by(key.account))
            }
            _ => Ok(()),
        }
    }

    /// Whoever turns on Highlights must be allowed to query every store of the account that they show.
    pub(super) async fn check_stores_of_highlights(&self, key: &DashboardKey) -> Outcome<()> {
        for store in self.services.dashboards.asked_by_highlights(key).await? {
            self.authorize_store("StartQuery", store.arn().as_str()).await?;
        }
        Ok(())
    }
}
