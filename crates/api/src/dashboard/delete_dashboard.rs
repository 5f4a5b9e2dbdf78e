use opentrail_wire::cloudtrail::{DeleteDashboardInput, DeleteDashboardOutput};

use crate::context::{Context, Outcome};

/// Deletes a custom dashboard, or turns off Highlights, with its policy. Results that its widgets have stay as long as
/// those of any query.
pub(crate) async fn delete_dashboard(cx: Context<'_>, input: DeleteDashboardInput) -> Outcome<DeleteDashboardOutput> {
    let (key, _) = cx.authorized_dashboard("DeleteDashboard", &input.dashboard_id).await?;
    cx.services.dashboards.delete(&key).await?;
    Ok(DeleteDashboardOutput {})
}
