use std::time::Duration;

use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{Dimension, ListMetricsInput, ListMetricsOutput, Metric};

use super::check::invalid;
use super::{Cx, failed, paging};
use crate::store::{Listed, Listing};

/// As many metrics on a page. (API Reference, "ListMetrics".)
const PAGE: usize = 500;

/// Metrics that had data within two weeks.
pub(super) async fn list_metrics(cx: &Cx<'_>, mut input: ListMetricsInput) -> Result<ListMetricsOutput, CodedError> {
    cx.authorize("ListMetrics", "*")?;
    let token = input.next_token.take();
    let digest = paging::digest(&input);
    let own = cx.call.principal.account.to_string();
    if input.owning_account.as_ref().is_some_and(|account| *account != own) {
        return Err(invalid(format!("The value for parameter OwningAccount must be {own}: no accounts are linked.")));
    }
    let dimensions = input.dimensions.into_iter().flatten().map(|filter| (filter.name, filter.value)).collect();
    let listing = Listing {
        namespace: input.namespace,
        name: input.metric_name,
        dimensions,
        active_within: input.recently_active.map(|_| Duration::from_secs(3 * 60 * 60)),
        after: paging::place(digest, token.as_deref())?,
        limit: PAGE,
    };
    let found = cx.monitoring.metrics.store.metrics(&cx.scope(), &listing, cx.now).await.map_err(failed)?;
    let next_token =
        found.last().filter(|_| found.len() == PAGE).map(|last: &Listed| paging::token(digest, &last.place));
    let accounts = input.include_linked_accounts.unwrap_or(false).then(|| vec![own; found.len()]);
    let metrics = found.into_iter().map(|listed| metric(&listed)).collect();
    Ok(ListMetricsOutput { metrics: Some(metrics), next_token, owning_accounts: accounts })
}

fn metric(listed: &Listed) -> Metric {
    let dimensions = listed.metric.dimensions().iter();
    let dimensions = dimensions.map(|(name, value)| Dimension { name: name.clone(), value: value.clone() }).collect();
    Metric {
        namespace: Some(listed.metric.namespace.clone()),
        metric_name: Some(listed.metric.name.clone()),
        dimensions: Some(dimensions),
    }
}
