//! Findings in SQL: somebody else runs the statement, over the findings of one account.

use std::fmt;

use async_trait::async_trait;
use opentrail_identity::Call;
use opentrail_model::AccountId;
use opentrail_wire::Exception;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SigmaApi, findings};

/// Runs statements over findings.
#[async_trait]
pub trait Statements: fmt::Debug + Send + Sync + 'static {
    /// The rows of `statement`, whose table `findings` has those of `account` and no others.
    ///
    /// # Errors
    /// [`Unanswered`], with the reason for the client.
    async fn ask(&self, account: AccountId, statement: &str) -> Result<Answered, Unanswered>;
}

/// The rows of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The headings.
    pub columns: Vec<String>,
    /// A text for each column, `None` for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// There are more rows than an answer has.
    pub is_cut: bool,
}

/// Why a statement has no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It is wrong, or asks for what cannot be given.
    #[error("{0}")]
    Invalid(String),
    /// It failed for a reason of ours; another time it may not.
    #[error("{0}")]
    Failed(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Query {
    statement: String,
    account: Option<String>,
}

/// Runs a statement. Its record has the text, as those of StartQuery have.
pub(super) async fn query(
    api: &SigmaApi,
    call: &Call,
    input: Query,
    parameters: &mut Value,
) -> Result<Value, Exception> {
    *parameters = json!({ "statement": input.statement, "account": input.account });
    let account = findings::account(api, call, input.account.as_deref())?;
    let Some(statements) = &api.statements else {
        return Err(Exception::service_unavailable("Findings cannot be asked in SQL here."));
    };
    let Answered { columns, rows, is_cut } =
        statements.ask(account, &input.statement).await.map_err(|error| match error {
            Unanswered::Invalid(reason) => Exception::validation(reason),
            Unanswered::Failed(reason) => {
                tracing::error!(reason, "a statement over findings failed");
                Exception::internal_failure()
            }
        })?;
    Ok(json!({ "Columns": columns, "Rows": rows, "IsCut": is_cut }))
}
