use opentrail_dashboards::{DashboardError, DashboardKey, Found};

use crate::access::Access;
use crate::context::{Context, Outcome};

/// Why a text names no dashboard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} is neither a dashboard's ARN, arn:{partition}:cloudtrail:<region>:<account>:dashboard/<name>, nor the name at its end."
)]
pub(crate) struct DashboardReferenceError {
    text: String,
    partition: &'static str,
}

impl Context<'_> {
    /// The dashboard called `text`, by its ARN or by the name at its end, once the caller may do `operation` to it. That
    /// comes before anything is said of its existence. Dashboards are seen in their own account and Region only.
    pub(super) async fn authorized_dashboard(&self, operation: &str, text: &str) -> Outcome<(DashboardKey, Found)> {
        let partition = self.region().partition();
        let arn = match text.starts_with("arn:") {
            true => text.to_owned(),
            false => format!("arn:{partition}:cloudtrail:{}:{}:dashboard/{text}", self.region(), self.account()),
        };
        let key = DashboardKey::from_arn(&arn, partition);
        let found = match &key {
            Some(key) if key.region == *self.region() && key.account == self.account() => {
                self.services.dashboards.find(key).await?
            }
            _ => None,
        };
        let tags = found.as_ref().map(Found::tags).unwrap_or_default();
        let owner = key.as_ref().map_or(self.account(), |key| key.account);
        self.authorize(Access::on(operation, &arn).tagged(tags).owned_by(owner))?;

        let key = key.ok_or_else(|| DashboardReferenceError { text: text.to_owned(), partition })?;
        let found = found.ok_or_else(|| DashboardError::NotFound { arn: key.arn() })?;
        Ok((key, found))
    }
}
