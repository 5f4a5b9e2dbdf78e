//! Findings, by filters and pages.

use opentrail_identity::Call;
use opentrail_model::{AccountId, Timestamp};
use opentrail_wire::Exception;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SigmaApi, denied, page, store_exception};
use crate::Level;
use crate::store::{FindingQuery, StoredFinding};

/// Bytes of records after which a page ends early.
const MOST_RECORD_BYTES: usize = 8 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    /// ISO 8601.
    since: Option<String>,
    level: Option<String>,
    rule: Option<String>,
    tag: Option<String>,
    account: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// Lists findings, the one found last first.
pub(super) async fn list(api: &SigmaApi, call: &Call, input: List, parameters: &mut Value) -> Result<Value, Exception> {
    *parameters = json!({
        "since": input.since, "level": input.level, "rule": input.rule, "tag": input.tag, "account": input.account,
        "maxResults": input.max_results, "nextToken": input.next_token,
    });
    let query = query(api, call, input)?;
    let found = api.sigma.findings(&query).await.map_err(|error| store_exception(&error))?;
    let (mut findings, mut bytes, mut next) = (Vec::new(), 0, found.before);
    for finding in &found.findings {
        bytes += finding.finding.record.len();
        if bytes > MOST_RECORD_BYTES && !findings.is_empty() {
            break;
        }
        findings.push(stored(finding));
        if findings.len() < found.findings.len() {
            next = Some(finding.number);
        } else {
            next = found.before;
        }
    }
    Ok(json!({ "Findings": findings, "NextToken": next.map(|before| before.to_string()) }))
}

/// The account whose findings are asked for: the caller's own, unless it names another that it may see.
pub(super) fn account(api: &SigmaApi, call: &Call, named: Option<&str>) -> Result<AccountId, Exception> {
    let own = call.principal.account;
    let account = match named {
        Some(text) => text.parse::<AccountId>().map_err(|error| Exception::validation(format!("{error}.")))?,
        None => own,
    };
    if account != own && !api.others.sees(&call.principal, account) {
        let arn = call.principal.arn();
        return Err(denied(format!("User: {arn} is not authorized to see the findings of account {account}.")));
    }
    Ok(account)
}

fn query(api: &SigmaApi, call: &Call, input: List) -> Result<FindingQuery, Exception> {
    let invalid = |error: &dyn std::fmt::Display| Exception::validation(format!("{error}."));
    let account = account(api, call, input.account.as_deref())?;
    let before = match input.next_token {
        Some(token) => Some(token.parse().map_err(|_| Exception::validation("NextToken is none of an answer."))?),
        None => None,
    };
    Ok(FindingQuery {
        account: Some(account),
        since: input.since.map(|text| text.parse::<Timestamp>()).transpose().map_err(|error| invalid(&error))?,
        level: input.level.map(|text| text.parse::<Level>()).transpose().map_err(|error| invalid(&error))?,
        rule: input.rule,
        tag: input.tag,
        before,
        limit: page(input.max_results)?,
    })
}

fn stored(stored: &StoredFinding) -> Value {
    let mut answer = stored.finding.detail();
    answer["FoundAt"] = json!(stored.found.to_iso());
    answer
}
