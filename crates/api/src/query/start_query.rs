use opentrail_dashboards::fill;
use opentrail_model::AccountId;
use opentrail_queries::{Alias, NewQuery};
use opentrail_stores::StoreKey;
use opentrail_wire::cloudtrail::{StartQueryInput, StartQueryOutput};

use super::destination;
use super::named::{QueryReferenceError, owner};
use crate::access::Access;
use crate::context::{Context, Outcome};

/// Why there is no statement to run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StatementError {
    #[error("Give either QueryStatement or QueryAlias.")]
    StatementOrAlias,
    #[error("QueryParameters go with QueryAlias.")]
    ParametersWithoutAlias,
    #[error("The statement of {alias} has {marks} question marks, and there are {count} QueryParameters.")]
    Parameters { alias: String, marks: usize, count: usize },
    #[error("The query names no event data store: write its ID after FROM.")]
    NoStore,
}

/// Starts a query over event data stores of one account in the Region called: the caller's, or the one that
/// `EventDataStoreOwnerAccountId` names.
///
/// The caller must be allowed to query each store that the statement names. Statement, stores and bucket are checked
/// before the query gets an ID; what goes wrong later is told by DescribeQuery. By an alias the statement is that of a
/// dashboard's widget, or a generated one.
pub(crate) async fn start_query(cx: Context<'_>, input: StartQueryInput) -> Outcome<StartQueryOutput> {
    let account = owner(&cx, input.event_data_store_owner_account_id.as_deref())?;
    let (statement, alias) = match (input.query_statement, input.query_alias) {
        (Some(statement), None) if input.query_parameters.is_none() => (statement, None),
        (Some(_), None) => return Err(StatementError::ParametersWithoutAlias.into()),
        (None, Some(alias)) => {
            let parameters = input.query_parameters.unwrap_or_default();
            let (statement, prompt) = cx.aliased(account, &alias, &parameters).await?;
            (statement, Some(Alias { name: alias, refresh: None, prompt }))
        }
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
    let new = NewQuery { account, region, statement, stores, delivery, alias };
    let started = cx.services.queries.start(new).await?;
    Ok(StartQueryOutput {
        query_id: Some(started.id.to_string()),
        event_data_store_owner_account_id: Some(account.to_string()),
    })
}

impl Context<'_> {
    /// The statement of a dashboard's widget with `parameters` put in, in order, or that of a generated query with the
    /// question that it answers. What stands in the way is told only to those who may query something of the account: the
    /// stores that they may query are known from the statement alone.
    async fn aliased(
        &self,
        account: AccountId,
        alias: &str,
        parameters: &[String],
    ) -> Outcome<(String, Option<String>)> {
        let misfit = |marks| StatementError::Parameters { alias: alias.to_owned(), marks, count: parameters.len() };
        let (services, region) = (self.services, self.region());
        let filled = match services.dashboards.widget(account, region, alias).await? {
            None => match services.queries.generated(account, region, alias).await? {
                None => Err(QueryReferenceError::NoAlias { alias: alias.to_owned() }.into()),
                Some(_) if !parameters.is_empty() => Err(misfit(0).into()),
                Some(generated) => Ok((generated.statement, Some(generated.prompt))),
            },
            // Without parameters of its own a question mark of the statement is what it is.
            Some(widget) => match widget.parameters.is_empty() {
                true if parameters.is_empty() => Ok((widget.statement, None)),
                true => Err(misfit(0).into()),
                false => fill(&widget.statement, parameters)
                    .map(|statement| (statement, None))
                    .map_err(|marks| misfit(marks).into()),
            },
        };
        if filled.is_err() {
            self.authorize(Access::anywhere("StartQuery").owned_by(account))?;
        }
        filled
    }
}
