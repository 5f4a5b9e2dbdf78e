use std::collections::BTreeMap;

use opentrail_queries::{Page, QueryStatus, QueryView, Row};
use opentrail_wire::cloudtrail::{GetQueryResultsInput, GetQueryResultsOutput, QueryStatistics};

use super::named::Reference;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Rows of a page when the request does not say; a choice.
const PAGE: usize = 1000;
/// A page with more than that is cut short, so that an answer stays one that clients can take.
const PAGE_BYTES: usize = 4 << 20;

/// A page of a query's rows: of one that finished, or of one that timed out as far as it came. Before that there are none.
pub(crate) async fn get_query_results(cx: Context<'_>, input: GetQueryResultsInput) -> Outcome<GetQueryResultsOutput> {
    let reference = Reference {
        id: &input.query_id,
        owner: input.event_data_store_owner_account_id.as_deref(),
        store: input.event_data_store.as_deref(),
    };
    let QueryView { query, status, scanned, .. } = cx.authorize_query("GetQueryResults", reference).await?;
    // How many rows come at once may differ from page to page.
    let request = query.key.to_string();
    let from: u64 = match input.next_token.as_deref() {
        Some(token) => page_token::redeem(&cx, "GetQueryResults", &request, token)?,
        None => 0,
    };
    let max_rows = input.max_query_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let page = match status {
        QueryStatus::Finished | QueryStatus::TimedOut => {
            cx.services.queries.rows(query.key.id, from, max_rows, PAGE_BYTES).await?
        }
        QueryStatus::Queued | QueryStatus::Running | QueryStatus::Failed | QueryStatus::Cancelled => Page::default(),
    };
    let count = |number: usize| i32::try_from(number).ok();
    Ok(GetQueryResultsOutput {
        query_status: Some(status.as_str().to_owned()),
        query_statistics: Some(QueryStatistics {
            results_count: count(page.rows.len()),
            total_results_count: i32::try_from(page.total).ok(),
            bytes_scanned: i64::try_from(scanned.bytes).ok(),
        }),
        next_token: page.next.map(|next| page_token::issue(&cx, "GetQueryResults", &request, &next)),
        query_result_rows: Some(page.rows.into_iter().map(|row| columns(&page.columns, row)).collect()),
        error_message: query.ended.and_then(|ended| ended.message),
    })
}

/// Each column is an object of its own, as two may have one name. NULL is an empty text: a choice, as AWS does not say,
/// and the shape has texts only.
fn columns(names: &[String], row: Row) -> Vec<BTreeMap<String, String>> {
    names.iter().zip(row).map(|(name, value)| BTreeMap::from([(name.clone(), value.unwrap_or_default())])).collect()
}
