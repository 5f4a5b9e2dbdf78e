//! Our own API for rules and findings: JSON over POST, signed with SigV4. Who may is asked by the actions
//! `opentrail:LoadSigmaRules`, `opentrail:ListSigmaRules`, `opentrail:RemoveSigmaRules`, `opentrail:ListFindings` and
//! `opentrail:QueryFindings`.
//!
//! Transport is the server's: it authenticates, calls [`api`], records the call and sends the answer.

mod findings;
mod rules;
mod statements;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use opentrail_identity::{AccessRequest, Call, Directory, Principal};
use opentrail_model::AccountId;
use opentrail_runtime::Clock;
use opentrail_wire::Exception;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::service::{ChangeError, Sigma};
use crate::store::StoreError;

/// Rules or findings of a page, unless the request says otherwise.
const PAGE: usize = 50;
/// And at most.
const MOST_PAGE: usize = 1_000;
/// Bodies of requests.
pub const MOST_BODY_BYTES: usize = 16 << 20;

/// An operation, named as in records of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /v1/sigma/load`.
    LoadSigmaRules,
    /// `POST /v1/sigma/list`.
    ListSigmaRules,
    /// `POST /v1/sigma/remove`.
    RemoveSigmaRules,
    /// `POST /v1/sigma/findings`.
    ListFindings,
    /// `POST /v1/sigma/query`.
    QueryFindings,
}

impl Operation {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::LoadSigmaRules, Self::ListSigmaRules, Self::RemoveSigmaRules, Self::ListFindings, Self::QueryFindings];

    /// Where it is asked for.
    pub fn path(self) -> &'static str {
        match self {
            Self::LoadSigmaRules => "/v1/sigma/load",
            Self::ListSigmaRules => "/v1/sigma/list",
            Self::RemoveSigmaRules => "/v1/sigma/remove",
            Self::ListFindings => "/v1/sigma/findings",
            Self::QueryFindings => "/v1/sigma/query",
        }
    }

    /// The one that is asked for at `path`.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.path() == path)
    }

    /// Its name, the `eventName` of its calls.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadSigmaRules => "LoadSigmaRules",
            Self::ListSigmaRules => "ListSigmaRules",
            Self::RemoveSigmaRules => "RemoveSigmaRules",
            Self::ListFindings => "ListFindings",
            Self::QueryFindings => "QueryFindings",
        }
    }

    /// What policies call it.
    pub fn action(self) -> &'static str {
        match self {
            Self::LoadSigmaRules => "opentrail:LoadSigmaRules",
            Self::ListSigmaRules => "opentrail:ListSigmaRules",
            Self::RemoveSigmaRules => "opentrail:RemoveSigmaRules",
            Self::ListFindings => "opentrail:ListFindings",
            Self::QueryFindings => "opentrail:QueryFindings",
        }
    }

    /// Whether it changes nothing.
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::ListSigmaRules | Self::ListFindings | Self::QueryFindings)
    }
}

/// Whose findings a caller sees besides those of its own account.
pub trait OtherAccounts: fmt::Debug + Send + Sync + 'static {
    /// Whether `principal` may see those of `account`, e.g. as its organization's delegated administrator.
    fn sees(&self, principal: &Principal, account: AccountId) -> bool;
}

/// Nobody sees another account's findings.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnAccountOnly;

impl OtherAccounts for OwnAccountOnly {
    fn sees(&self, _: &Principal, _: AccountId) -> bool {
        false
    }
}

/// What the API works with.
#[derive(Clone, Debug)]
pub struct SigmaApi {
    sigma: Arc<Sigma>,
    directory: Arc<Directory>,
    others: Arc<dyn OtherAccounts>,
    clock: Arc<dyn Clock>,
    statements: Option<Arc<dyn Statements>>,
}

impl SigmaApi {
    /// The API of `sigma` for those whom `directory` allows it.
    pub fn new(
        sigma: Arc<Sigma>,
        directory: Arc<Directory>,
        others: Arc<dyn OtherAccounts>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sigma, directory, others, clock, statements: None }
    }

    /// With what runs statements of SQL over findings; without it there are none.
    #[must_use]
    pub fn with_statements(self, statements: Arc<dyn Statements>) -> Self {
        Self { statements: Some(statements), ..self }
    }
}

pub use statements::{Answered, Statements, Unanswered};

/// The answer to a call, and what its record says of it.
#[derive(Debug)]
pub struct Reply {
    /// The body of the answer, or the error.
    pub output: Result<Value, Exception>,
    /// The request for the record, without the texts of rules.
    pub parameters: Value,
}

/// Answers a call.
///
/// # Cancellation
/// A change may be made and not answered.
pub async fn api(api: &SigmaApi, call: &Call, operation: Operation, body: &[u8]) -> Reply {
    let mut parameters = Value::Null;
    let output = match authorize(api, call, operation) {
        Ok(()) => answer(api, call, operation, body, &mut parameters).await,
        Err(denied) => Err(denied),
    };
    let error = output.as_ref().err().map_or_else(String::new, |error| error.name.to_string());
    metrics::counter!("opentrail_sigma_calls_total", "operation" => operation.name(), "error" => error).increment(1);
    Reply { output, parameters }
}

async fn answer(
    api: &SigmaApi,
    call: &Call,
    operation: Operation,
    body: &[u8],
    parameters: &mut Value,
) -> Result<Value, Exception> {
    match operation {
        Operation::LoadSigmaRules => rules::load(api, call, input(body)?, parameters).await,
        Operation::ListSigmaRules => rules::list(api, call, input(body)?, parameters).await,
        Operation::RemoveSigmaRules => rules::remove(api, call, input(body)?, parameters).await,
        Operation::ListFindings => findings::list(api, call, input(body)?, parameters).await,
        Operation::QueryFindings => statements::query(api, call, input(body)?, parameters).await,
    }
}

fn authorize(api: &SigmaApi, call: &Call, operation: Operation) -> Result<(), Exception> {
    let (principal, action) = (&call.principal, operation.action());
    let request = AccessRequest {
        action,
        resource: "*",
        context: &call.conditions(api.clock.now()),
        resource_policy: None,
        resource_account: Some(principal.account),
    };
    let decision = api.directory.authorize(principal, &request);
    if decision.is_allowed() {
        return Ok(());
    }
    Err(denied(decision.message(principal, action, "*", false)))
}

fn denied(message: String) -> Exception {
    Exception { status: StatusCode::FORBIDDEN, ..Exception::access_denied(message) }
}

fn input<T: DeserializeOwned>(body: &[u8]) -> Result<T, Exception> {
    if body.len() > MOST_BODY_BYTES {
        return Err(Exception::request_entity_too_large(format!("The body is larger than {MOST_BODY_BYTES} bytes.")));
    }
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Exception::validation(format!("The body is not as expected: {error}.")))
}

/// How many a page is to have.
fn page(wanted: Option<usize>) -> Result<usize, Exception> {
    match wanted.unwrap_or(PAGE) {
        0 => Err(Exception::validation("MaxResults is at least 1.")),
        wanted => Ok(wanted.min(MOST_PAGE)),
    }
}

fn store_exception(error: &StoreError) -> Exception {
    tracing::error!(%error, "rules or findings cannot be read or written");
    match error {
        StoreError::Unavailable { .. } => {
            Exception::service_unavailable("Rules and findings are unavailable; try again.")
        }
        StoreError::Malformed { .. } => Exception::internal_failure(),
    }
}

fn change_exception(error: &ChangeError) -> Exception {
    match error {
        ChangeError::StillNeeded { .. } => {
            Exception::new("ConflictException", format!("Nothing was changed: {error}."), StatusCode::CONFLICT)
        }
        ChangeError::Store(error) => store_exception(error),
        ChangeError::Interrupted { .. } => Exception::service_unavailable("The server stops; call again."),
    }
}
