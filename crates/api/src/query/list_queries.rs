use opentrail_model::Timestamp;
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{ListQueriesInput, ListQueriesOutput, Query};
use uuid::Uuid;

use crate::context::{Context, Outcome};
use crate::page_token;

/// Queries of a page when the request does not say; a choice.
const PAGE: usize = 100;

/// The queries of the last seven days that name an event data store, newest first: a choice, as AWS does not say.
pub(crate) async fn list_queries(cx: Context<'_>, input: ListQueriesInput) -> Outcome<ListQueriesOutput> {
    let store = cx.authorize_store("ListQueries", &input.event_data_store).await?.require_active()?.value;
    if let (Some(start), Some(end)) = (input.start_time, input.end_time)
        && start > end
    {
        return Err(Exception::invalid_date_range(format!("StartTime {start} is after EndTime {end}.")).into());
    }
    let request = ListQueriesInput { max_results: None, next_token: None, ..input.clone() };
    // The last query of the page before.
    let after: Option<(Timestamp, Uuid)> = match input.next_token.as_deref() {
        Some(token) => Some(page_token::redeem(&cx, "ListQueries", &request, token)?),
        None => None,
    };
    let page = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let mut queries = cx.services.queries.list(store.key.account, cx.region(), store.key.id);
    queries.retain(|query| {
        after.is_none_or(|after| (query.created, query.id) < after)
            && input.start_time.is_none_or(|start| query.created >= start)
            && input.end_time.is_none_or(|end| query.created <= end)
            && input.query_status.as_deref().is_none_or(|status| query.status.as_str() == status)
    });
    let more = queries.len() > page;
    queries.truncate(page);
    let next_token = match queries.last() {
        Some(last) if more => Some(page_token::issue(&cx, "ListQueries", &request, &(last.created, last.id))),
        _ => None,
    };
    let query = |query: opentrail_queries::Listed| Query {
        query_id: Some(query.id.to_string()),
        query_status: Some(query.status.as_str().to_owned()),
        creation_time: Some(query.created),
    };
    Ok(ListQueriesOutput { queries: Some(queries.into_iter().map(query).collect()), next_token })
}
