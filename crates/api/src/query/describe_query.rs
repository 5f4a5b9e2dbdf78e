use opentrail_queries::QueryView;
use opentrail_wire::cloudtrail::{DescribeQueryInput, DescribeQueryOutput, QueryStatisticsForDescribeQuery};

use super::named::{QueryReferenceError, Reference, owner};
use crate::access::Access;
use crate::context::{Context, Outcome};

/// A query's state, what it read, and how far the delivery of its results is. By an alias it is the latest query of a
/// dashboard's widget, or that of a refresh.
pub(crate) async fn describe_query(cx: Context<'_>, input: DescribeQueryInput) -> Outcome<DescribeQueryOutput> {
    let id = match (input.query_id, input.query_alias) {
        (Some(_), None) if input.refresh_id.is_some() => return Err(QueryReferenceError::RefreshWithoutAlias.into()),
        (Some(id), None) => id,
        (None, Some(alias)) => {
            let account = owner(&cx, input.event_data_store_owner_account_id.as_deref())?;
            let refresh = input.refresh_id.as_deref();
            let Some(key) = cx.services.queries.latest_of(account, cx.region(), &alias, refresh) else {
                cx.authorize(Access::anywhere("DescribeQuery").owned_by(account))?;
                return Err(QueryReferenceError::NoQueryOfAlias { alias }.into());
            };
            key.id.to_string()
        }
        (Some(_), Some(_)) | (None, None) => return Err(QueryReferenceError::IdOrAlias.into()),
    };
    let reference = Reference {
        id: &id,
        owner: input.event_data_store_owner_account_id.as_deref(),
        store: input.event_data_store.as_deref(),
    };
    let QueryView { query, status, scanned, ran } = cx.authorize_query("DescribeQuery", reference).await?;
    let long = |number: u64| i64::try_from(number).ok();
    Ok(DescribeQueryOutput {
        query_id: Some(query.key.id.to_string()),
        query_string: Some(query.statement),
        query_status: Some(status.as_str().to_owned()),
        query_statistics: Some(QueryStatisticsForDescribeQuery {
            events_matched: long(scanned.events_matched),
            events_scanned: long(scanned.events_scanned),
            bytes_scanned: long(scanned.bytes),
            execution_time_in_millis: Some(i32::try_from(ran.as_millis()).unwrap_or(i32::MAX)),
            creation_time: Some(query.created),
        }),
        error_message: query.ended.and_then(|ended| ended.message),
        delivery_status: query.delivery.as_ref().map(|delivery| delivery.status.as_str().to_owned()),
        delivery_s3_uri: query.delivery.map(|delivery| delivery.uri),
        prompt: query.alias.and_then(|alias| alias.prompt),
        event_data_store_owner_account_id: Some(query.key.account.to_string()),
    })
}
