use opentrail_queries::NewQuery;
use opentrail_stores::StoreKey;
use opentrail_wire::cloudtrail::{StartQueryInput, StartQueryOutput};

use super::destination;
use super::named::{QueryReferenceError, owner};
use crate::context::{Context, Outcome};

/// Why there is no statement to run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StatementError {
    #[error("Give either QueryStatement or QueryAlias.")]
    StatementOrAlias,
    #[error("QueryParameters go with QueryAlias.")]
    ParametersWithoutAlias,
    #[error("The statement of {alias} has no question marks for QueryParameters.")]
    NoParameters { alias: String },
    #[error("The query names no event data store: write its ID after FROM.")]
    NoStore,
}

/// Starts a query over event data stores of one account in the Region called: the caller's, or the one that
/// `EventDataStoreOwnerAccountId` names.
///
/// The caller must be allowed to query each store that the statement names. Statement, stores and bucket are checked
/// before the query gets an ID; what goes wrong later is told by DescribeQuery.
pub(crate) async fn start_query(cx: Context<'_>, input: StartQueryInput) -> Outcome<StartQueryOutput> {
    let account = owner(&cx, input.event_data_store_owner_account_id.as_deref())?;
    let (statement, prompt) = match (input.query_statement, input.query_alias) {
        (Some(statement), None) if input.query_parameters.is_none() => (statement, None),
        (Some(_), None) => return Err(StatementError::ParametersWithoutAlias.into()),
        (None, Some(alias)) => match cx.services.queries.generated(account, cx.region(), &alias).await? {
            Some(_) if input.query_parameters.is_some() => return Err(StatementError::NoParameters { alias }.into()),
            Some(generated) => (generated.statement, Some(generated.prompt)),
            // Widgets of dashboards have aliases, too; there are none yet.
            None => return Err(QueryReferenceError::NoAlias { alias }.into()),
        },
        (Some(_), Some(_)) | (None, None) => return Err(StatementError::StatementOrAlias.into()),
    };
    let delivery = input.delivery_s3_uri.as_deref().map(destination::parse).transpose()?;

    let ids = cx.services.queries.stores_of(&statement)?;
    if ids.is_empty() {
        return Err(StatementError::NoStore.into());
    }
    let key = |id| StoreKey { account, home_region: cx.region().clone(), id };
    let stores: Vec<StoreKey> = ids.into_iter().map(key).collect();
    let mut named = Vec::new();
    for store in &stores {
        named.push(cx.authorize_store("StartQuery", store.arn().as_str()).await?);
    }
    for store in named {
        store.require_active()?;
    }
    cx.services.queries.check(&statement, &stores).await?;
    if let Some(delivery) = &delivery {
        cx.check_results_bucket(delivery, account, &stores).await?;
    }

    let region = cx.region().clone();
    let started = cx.services.queries.start(NewQuery { account, region, statement, stores, delivery, prompt }).await?;
    Ok(StartQueryOutput {
        query_id: Some(started.id.to_string()),
        event_data_store_owner_account_id: Some(account.to_string()),
    })
}
