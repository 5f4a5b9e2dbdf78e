use opentrail_dashboards::{Dashboard, DashboardKey, DashboardKind, Schedule, ScheduleError};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{CreateDashboardInput, CreateDashboardOutput};

use super::shapes::{schedule_from, schedule_to, widgets_from, widgets_to};
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::tag;

/// Creates a custom dashboard, or turns on the account's Highlights.
///
/// Highlights may be given their only schedule or none, which comes to the same: the model wants the schedule, the User
/// Guide creates them with the name alone.
pub(crate) async fn create_dashboard(cx: Context<'_>, input: CreateDashboardInput) -> Outcome<CreateDashboardOutput> {
    let tags = tag::from_wire(input.tags_list.unwrap_or_default());
    let key = DashboardKey { account: cx.account(), region: cx.region().clone(), name: input.name };
    let (arn, kind, now) = (key.arn(), key.kind(), cx.now());
    cx.authorize(Access::on("CreateDashboard", arn.as_str()).requesting(&tags))?;
    if !tags.is_empty() {
        cx.authorize(Access::on("AddTags", arn.as_str()).requesting(&tags))?;
    }
    let asked = input.refresh_schedule.map(|schedule| schedule_from(schedule).applied(None, kind, now));
    let schedule = match (asked.transpose()?, kind) {
        (None, DashboardKind::Highlights) => Some(Schedule::of_highlights(now)),
        (Some(None | Some(Schedule { enabled: false, .. })), DashboardKind::Highlights) => {
            return Err(ScheduleError::Highlights.into());
        }
        (asked, _) => asked.flatten(),
    };
    cx.check_schedule(&key, schedule.as_ref())?;
    let widgets = widgets_from(input.widgets.unwrap_or_default());
    cx.check_widgets(&key, &widgets).await?;
    if kind == DashboardKind::Highlights {
        cx.check_stores_of_highlights(&key).await?;
    }
    let invalid_tag = |error: tag::TagError| Exception::invalid_tag_parameter(error.to_string());
    let dashboard = Dashboard {
        widgets: cx.services.dashboards.named(&key, widgets, Vec::new()),
        schedule,
        // Whether it is on by itself is not documented.
        termination_protection: input.termination_protection_enabled.unwrap_or(false),
        tags: tag::validation::put(&[], tags).map_err(invalid_tag)?,
        created: now,
        updated: None,
        key,
    };
    cx.services.dashboards.create(&dashboard).await?;
    Ok(CreateDashboardOutput {
        dashboard_arn: Some(arn.to_string()),
        r#type: Some(kind.as_str().to_owned()),
        widgets: Some(widgets_to(cx.services.dashboards.widgets_of(&dashboard).await?)),
        tags_list: Some(tag::to_wire(&dashboard.tags)),
        refresh_schedule: dashboard.schedule.as_ref().map(schedule_to),
        termination_protection_enabled: Some(dashboard.termination_protection),
        name: Some(dashboard.key.name),
    })
}
