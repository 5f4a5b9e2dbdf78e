use opentrail_catalog::{CatalogError, CatalogExt, Change, Expect};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_stores::StoreKey;
use serde::{Deserialize, Serialize};

use crate::Queries;

const KIND: &str = "generated-queries";
/// What the aliases of generated queries begin with; a UUID follows. (User Guide, "Create CloudTrail Lake queries from
/// natural language prompts".)
const ALIAS: &str = "AWSCloudTrail-";

/// A statement that was made of a question, under the alias by which StartQuery runs it. It is kept as long as queries
/// are: a choice, as AWS does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedQuery {
    /// `QueryAlias`.
    pub alias: String,
    /// The event data store that it reads.
    pub store: StoreKey,
    /// `Prompt`, as it was asked.
    pub prompt: String,
    /// `QueryStatement`.
    pub statement: String,
    /// When it was asked.
    pub created: Timestamp,
}

impl Queries {
    /// Keeps a statement under a new alias; it is durable when this returns.
    pub async fn keep_generated(
        &self,
        store: StoreKey,
        prompt: String,
        statement: String,
    ) -> Result<GeneratedQuery, CatalogError> {
        let (alias, created) = (format!("{ALIAS}{}", self.inner.random.uuid()), self.inner.clock.now());
        let generated = GeneratedQuery { alias, store, prompt, statement, created };
        let name = name(generated.store.account, &generated.store.home_region, &generated.alias);
        self.inner.catalog.commit(vec![Change::put(KIND, name, Expect::Absent, &generated)]).await?;
        Ok(generated)
    }

    /// What an alias stands for, if it is one of a generated query of the account in that Region.
    pub async fn generated(
        &self,
        account: AccountId,
        region: &Region,
        alias: &str,
    ) -> Result<Option<GeneratedQuery>, CatalogError> {
        if !alias.starts_with(ALIAS) {
            return Ok(None);
        }
        let found = self.inner.catalog.find::<GeneratedQuery>(KIND, &name(account, region, alias)).await?;
        Ok(found.map(|found| found.value))
    }

    /// Lets those go that were asked for before `until`.
    pub(crate) async fn expire_generated(&self, until: Timestamp) -> Result<(), CatalogError> {
        let all = self.inner.catalog.all::<GeneratedQuery>(KIND, "").await?;
        let old = all.into_iter().map(|found| found.value).filter(|generated| generated.created < until);
        let gone = |generated: GeneratedQuery| {
            let name = name(generated.store.account, &generated.store.home_region, &generated.alias);
            Change::delete(KIND, name, Expect::Anything)
        };
        let changes: Vec<Change> = old.map(gone).collect();
        if changes.is_empty() { Ok(()) } else { self.inner.catalog.commit(changes).await.map(drop) }
    }
}

/// Its key in the catalog.
fn name(account: AccountId, region: &Region, alias: &str) -> String {
    format!("{account}/{region}/{alias}")
}
