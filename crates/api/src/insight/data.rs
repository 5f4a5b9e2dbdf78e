use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_trails::Trail;

use super::InsightError;
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::trail::NamedTrail;

/// How far back data goes. (API Reference, ListInsightsData and ListInsightsMetricData.)
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// The first and the last moment that are asked for.
pub(super) fn range(
    now: Timestamp,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<(Timestamp, Timestamp), InsightError> {
    let (start, end) = (start.unwrap_or(now - KEPT), end.unwrap_or(now));
    if start > end { Err(InsightError::Range) } else { Ok((start, end)) }
}

impl Context<'_> {
    /// The trail called `text`, after the check that the caller may list its Insights data.
    pub(super) async fn listed_trail(&self, text: &str) -> Outcome<NamedTrail> {
        let trail = self.find_trail(text).await?;
        self.authorize(Access::on("ListInsightsData", trail.arn()).tagged(trail.tags()))?;
        Ok(trail)
    }

    /// Refuses members that ask about their organization's trail: only those who administer it may.
    pub(super) fn require_administered(&self, trail: &Trail) -> Result<(), InsightError> {
        let owner = trail.key.account;
        if owner == self.account() || self.administers_for(owner) {
            return Ok(());
        }
        Err(InsightError::Member { arn: trail.arn() })
    }
}
