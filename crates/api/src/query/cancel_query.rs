use opentrail_queries::QueryStatus;
use opentrail_wire::cloudtrail::{CancelQueryInput, CancelQueryOutput};

use super::named::Reference;
use crate::context::{Context, Outcome};

/// Stops a query that is queued or running.
pub(crate) async fn cancel_query(cx: Context<'_>, input: CancelQueryInput) -> Outcome<CancelQueryOutput> {
    let reference = Reference {
        id: &input.query_id,
        owner: input.event_data_store_owner_account_id.as_deref(),
        store: input.event_data_store.as_deref(),
    };
    let query = cx.authorize_query("CancelQuery", reference).await?.query;
    cx.services.queries.cancel(&query.key).await?;
    Ok(CancelQueryOutput {
        query_id: query.key.id.to_string(),
        query_status: QueryStatus::Cancelled.as_str().to_owned(),
        event_data_store_owner_account_id: Some(query.key.account.to_string()),
    })
}
