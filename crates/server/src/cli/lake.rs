//! Statements run by CloudTrail Lake, as the commands use them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use opentrail_model::Region;
use opentrail_runtime::{Clock, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Server;

/// How soon a query's end is looked for, and how seldom at the most.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(500);
/// Rows asked for at once.
const PAGE: usize = 1000;

/// A row: its columns in order, each a map of its heading to its value.
pub(super) type Row = Vec<BTreeMap<String, String>>;

/// Of the answer to GetQueryResults.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Results {
    pub(super) query_status: String,
    #[serde(default)]
    pub(super) query_result_rows: Vec<Row>,
    pub(super) next_token: Option<String>,
    pub(super) error_message: Option<String>,
}

/// The event data stores of a Region, of the caller's account or another's.
pub(super) struct Lake<'a> {
    pub(super) server: &'a Server,
    pub(super) region: &'a Region,
    pub(super) owner: Option<&'a str>,
}

impl Lake<'_> {
    pub(super) async fn call(&self, operation: &str, mut input: Value) -> anyhow::Result<Value> {
        if let Some(owner) = self.owner {
            input["EventDataStoreOwnerAccountId"] = json!(owner);
        }
        self.server.call(self.region.as_str(), operation, &input).await
    }

    /// Starts a statement; its id.
    pub(super) async fn start(&self, statement: &str) -> anyhow::Result<String> {
        let started = self.call("StartQuery", json!({ "QueryStatement": statement })).await?;
        Ok(started["QueryId"].as_str().context("the server gave the query no id")?.to_owned())
    }

    pub(super) async fn page(&self, id: &str, token: Option<String>) -> anyhow::Result<Results> {
        let mut input = json!({ "QueryId": id, "MaxQueryResults": PAGE });
        if let Some(token) = token {
            input["NextToken"] = json!(token);
        }
        Ok(serde_json::from_value(self.call("GetQueryResults", input).await?)?)
    }

    /// Waits for the query's end; its first page.
    pub(super) async fn first_page(&self, id: &str) -> anyhow::Result<Results> {
        let mut wait = FIRST_LOOK;
        loop {
            SystemClock.sleep(wait).await;
            let page = self.page(id, None).await?;
            if !matches!(page.query_status.as_str(), "QUEUED" | "RUNNING") {
                return Ok(page);
            }
            wait = (wait * 2).min(LAST_LOOK);
        }
    }
}
