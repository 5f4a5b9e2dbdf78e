use opentrail_dashboards::{Dashboard, DashboardKind};
use opentrail_wire::cloudtrail::{UpdateDashboardInput, UpdateDashboardOutput};

use super::shapes::{schedule_from, schedule_to, widgets_from, widgets_to};
use crate::context::{Context, Outcome};

/// A request that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Give Widgets, RefreshSchedule or TerminationProtectionEnabled to change.")]
pub(crate) struct NothingToUpdate;

/// Gives a dashboard other widgets in the place of all that it had, another schedule, another protection.
pub(crate) async fn update_dashboard(cx: Context<'_>, input: UpdateDashboardInput) -> Outcome<UpdateDashboardOutput> {
    let (key, _) = cx.authorized_dashboard("UpdateDashboard", &input.dashboard_id).await?;
    let dashboards = &cx.services.dashboards;
    let found = dashboards.require_stored(&key).await?;
    let mut dashboard: Dashboard = found.value;
    let (kind, now) = (key.kind(), cx.now());
    if input.widgets.is_none() && input.refresh_schedule.is_none() && input.termination_protection_enabled.is_none() {
        return Err(NothingToUpdate.into());
    }
    if let Some(schedule) = input.refresh_schedule {
        dashboard.schedule = schedule_from(schedule).applied(dashboard.schedule, kind, now)?;
        cx.check_schedule(&key, dashboard.schedule.as_ref())?;
        if kind == DashboardKind::Highlights && dashboard.schedule.is_some_and(|schedule| schedule.enabled) {
            cx.check_stores_of_highlights(&key).await?;
        }
    }
    if let Some(widgets) = input.widgets {
        let widgets = widgets_from(widgets);
        cx.check_widgets(&key, &widgets).await?;
        dashboard.widgets = dashboards.named(&key, widgets, dashboard.widgets);
    }
    if let Some(protection) = input.termination_protection_enabled {
        dashboard.termination_protection = protection;
    }
    dashboard.updated = Some(now);
    dashboards.replace(&dashboard, found.revision).await?;
    Ok(UpdateDashboardOutput {
        dashboard_arn: Some(key.arn().to_string()),
        name: Some(key.name),
        r#type: Some(kind.as_str().to_owned()),
        widgets: Some(widgets_to(dashboards.widgets_of(&dashboard).await?)),
        refresh_schedule: dashboard.schedule.as_ref().map(schedule_to),
        termination_protection_enabled: Some(dashboard.termination_protection),
        created_timestamp: Some(dashboard.created),
        updated_timestamp: dashboard.updated,
    })
}
