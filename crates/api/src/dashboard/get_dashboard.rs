use opentrail_dashboards::{DashboardStatus, Found};
use opentrail_wire::cloudtrail::{GetDashboardInput, GetDashboardOutput};

use super::shapes::{schedule_to, widgets_to};
use crate::context::{Context, Outcome};

/// A dashboard, its widgets with their aliases, and how its last refresh went. One of CloudTrail's has neither times nor
/// a schedule.
pub(crate) async fn get_dashboard(cx: Context<'_>, input: GetDashboardInput) -> Outcome<GetDashboardOutput> {
    let (key, found) = cx.authorized_dashboard("GetDashboard", &input.dashboard_id).await?;
    let widgets = cx.services.dashboards.widgets(&found).await?;
    let last = cx.services.dashboards.last_refresh(&key).await?;
    let stored = match found {
        Found::Stored(dashboard) => Some(dashboard.value),
        Found::Managed(_) => None,
    };
    let status = stored.as_ref().map_or(DashboardStatus::Created, |dashboard| dashboard.status());
    Ok(GetDashboardOutput {
        dashboard_arn: Some(key.arn().to_string()),
        r#type: Some(key.kind().as_str().to_owned()),
        status: Some(status.as_str().to_owned()),
        widgets: Some(widgets_to(widgets)),
        refresh_schedule: stored.as_ref().and_then(|dashboard| dashboard.schedule.as_ref()).map(schedule_to),
        created_timestamp: stored.as_ref().map(|dashboard| dashboard.created),
        updated_timestamp: stored.as_ref().map(|dashboard| dashboard.updated.unwrap_or(dashboard.created)),
        last_refresh_id: last.as_ref().map(|last| last.id.to_string()),
        last_refresh_failure_reason: last.and_then(|last| last.failure),
        termination_protection_enabled: stored.map(|dashboard| dashboard.termination_protection),
    })
}
