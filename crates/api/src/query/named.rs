use opentrail_model::AccountId;
use opentrail_queries::{QueryError, QueryKey, QueryView};
use uuid::Uuid;

use crate::access::Access;
use crate::context::{Context, Outcome};

/// A query as a request names it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reference<'a> {
    pub(super) id: &'a str,
    /// `EventDataStoreOwnerAccountId`; the caller's account when it is left out.
    pub(super) owner: Option<&'a str>,
    /// `EventDataStore`, which is deprecated: one of those that the query names.
    pub(super) store: Option<&'a str>,
}

/// Why a text names nothing that queries have to do with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryReferenceError {
    #[error("EventDataStoreOwnerAccountId {text:?} is not an account ID: twelve digits.")]
    Owner { text: String },
    #[error("QueryId {text:?} is not the ID of a query: a UUID in lower-case letters.")]
    Id { text: String },
    #[error("Give either QueryId or QueryAlias.")]
    IdOrAlias,
    #[error("RefreshId goes with QueryAlias.")]
    RefreshWithoutAlias,
    #[error("There is no query alias {alias:?}.")]
    NoAlias { alias: String },
    #[error("There is no query of the alias {alias:?}, or of that refresh.")]
    NoQueryOfAlias { alias: String },
}

/// The account whose event data stores are meant.
pub(super) fn owner(cx: &Context<'_>, text: Option<&str>) -> Result<AccountId, QueryReferenceError> {
    let Some(text) = text else { return Ok(cx.account()) };
    text.parse().map_err(|_| QueryReferenceError::Owner { text: text.to_owned() })
}

impl Context<'_> {
    /// Looks up a query and checks that the caller may do `operation` to each event data store that it names, none of
    /// which may be pending deletion. Of a query that is not there only those hear who may do it to any store.
    pub(super) async fn authorize_query(&self, operation: &str, reference: Reference<'_>) -> Outcome<QueryView> {
        let account = owner(self, reference.owner)?;
        let id: Uuid = reference.id.parse().map_err(|_| QueryReferenceError::Id { text: reference.id.to_owned() })?;
        let key = QueryKey { account, region: self.region().clone(), id };
        let view = match self.services.queries.find(&key).await {
            Ok(view) => view,
            Err(error @ QueryError::NotFound { .. }) => {
                self.authorize(Access::anywhere(operation).owned_by(account))?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let mut stores = Vec::new();
        for store in &view.query.stores {
            stores.push(self.authorize_store(operation, store.arn().as_str()).await?);
        }
        if let Some(text) = reference.store {
            let named = self.authorize_store(operation, text).await?.require_active()?;
            if !view.query.stores.contains(&named.value.key) {
                return Err(QueryError::NotFound { key }.into());
            }
        }
        for store in stores {
            store.require_active()?;
        }
        Ok(view)
    }
}
