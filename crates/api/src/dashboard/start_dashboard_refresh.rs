use opentrail_dashboards::Found;
use opentrail_wire::cloudtrail::{StartDashboardRefreshInput, StartDashboardRefreshOutput};

use crate::context::{Context, Outcome};
use crate::store::parse_store;

/// Runs the query of each widget.
///
/// A managed dashboard queries its store as the caller; a custom one and Highlights do so as CloudTrail, which the stores'
/// policies must allow for this dashboard. (User Guide, "CloudTrail Lake dashboards": required permissions.)
pub(crate) async fn start_dashboard_refresh(
    cx: Context<'_>,
    input: StartDashboardRefreshInput,
) -> Outcome<StartDashboardRefreshOutput> {
    let (key, found) = cx.authorized_dashboard("StartDashboardRefresh", &input.dashboard_id).await?;
    let dashboards = &cx.services.dashboards;
    let given = input.query_parameter_values.unwrap_or_default();
    let store = |text: &str| {
        let store = parse_store(&cx, text).ok()?;
        (store.account == key.account && store.home_region == key.region).then_some(store.id)
    };
    let values = dashboards.values(&found, given, store)?;
    if let (Found::Managed(_), Some(store)) = (&found, values.store()) {
        // Before anything is said of the store.
        cx.authorize_store("StartQuery", &store.to_string()).await?.require_active()?;
    }
    let questions = dashboards.questions(&key, &found, &values).await?;
    if let Found::Stored(_) = found {
        dashboards.require_stores_to_allow(&key, &questions).await?;
    }
    let refresh = dashboards.start(&key, questions).await?;
    Ok(StartDashboardRefreshOutput { refresh_id: Some(refresh.to_string()) })
}
