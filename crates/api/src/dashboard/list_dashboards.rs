use opentrail_dashboards::{DashboardKey, managed};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{DashboardDetail, ListDashboardsInput, ListDashboardsOutput};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Dashboards of a page when the request does not say; a choice.
const PAGE: usize = 100;

/// The account's dashboards in the Region called and those of CloudTrail's, in the order of their ARNs. Highlights are
/// listed once they are turned on.
pub(crate) async fn list_dashboards(cx: Context<'_>, input: ListDashboardsInput) -> Outcome<ListDashboardsOutput> {
    cx.authorize(Access::anywhere("ListDashboards"))?;
    let stored = cx.services.dashboards.stored(cx.account(), cx.region()).await?;
    let (account, region) = (cx.account(), cx.region());
    let managed = managed::MANAGED.iter();
    let managed = managed.map(|managed| DashboardKey { account, region: region.clone(), name: managed.name.clone() });
    let mut keys: Vec<DashboardKey> = stored.into_iter().map(|dashboard| dashboard.key).chain(managed).collect();
    keys.sort();
    let request = ListDashboardsInput { max_results: None, next_token: None, ..input.clone() };
    let after: Option<String> = match input.next_token.as_deref() {
        // The operation declares no error of its own for a bad token.
        Some(token) => page_token::redeem(&cx, "ListDashboards", &request, token)
            .map_err(|error| Exception::validation(error.to_string()))?,
        None => None,
    };
    keys.retain(|key| {
        after.as_ref().is_none_or(|after| key.name > *after)
            && input.name_prefix.as_ref().is_none_or(|prefix| key.name.starts_with(prefix))
            && input.r#type.as_deref().is_none_or(|kind| key.kind().as_str() == kind)
    });
    let page = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let more = keys.len() > page;
    keys.truncate(page);
    let next_token = match keys.last() {
        Some(last) if more => Some(page_token::issue(&cx, "ListDashboards", &request, &last.name)),
        _ => None,
    };
    let detail = |key: DashboardKey| DashboardDetail {
        dashboard_arn: Some(key.arn().to_string()),
        r#type: Some(key.kind().as_str().to_owned()),
    };
    Ok(ListDashboardsOutput { dashboards: Some(keys.into_iter().map(detail).collect()), next_token })
}
