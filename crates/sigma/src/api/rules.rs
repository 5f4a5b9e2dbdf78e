//! Rules: load, list, remove.

use opentrail_identity::Call;
use opentrail_wire::Exception;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SigmaApi, change_exception, page, store_exception};
use crate::store::StoredRule;
use crate::{Refused, RuleHead};

/// Files of one call.
const MOST_FILES: usize = 5_000;
/// Ids of one call.
const MOST_IDS: usize = 2_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Load {
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct File {
    name: String,
    text: String,
}

/// Loads rules. Refused ones are told by name and reason; the others are loaded.
pub(super) async fn load(api: &SigmaApi, call: &Call, input: Load, parameters: &mut Value) -> Result<Value, Exception> {
    if input.files.is_empty() || input.files.len() > MOST_FILES {
        return Err(Exception::validation(format!("Files has 1 to {MOST_FILES} members.")));
    }
    let names: Vec<&str> = input.files.iter().take(100).map(|file| file.name.as_str()).collect();
    *parameters = json!({ "files": names, "count": input.files.len() });
    let files = input.files.into_iter().map(|file| (file.name, file.text)).collect();
    let loaded = api.sigma.load(call.principal.account, &call.principal.arn().to_string(), files).await;
    let loaded = loaded.map_err(|error| change_exception(&error))?;
    Ok(json!({
        "Position": loaded.position,
        "Loaded": loaded.loaded.iter().map(head).collect::<Vec<_>>(),
        "Unchanged": loaded.unchanged.iter().map(head).collect::<Vec<_>>(),
        "Refused": loaded.refused.iter().map(refused).collect::<Vec<_>>(),
    }))
}

fn head(rule: &RuleHead) -> Value {
    json!({ "Id": rule.id, "Title": rule.title, "Level": rule.level, "Tags": rule.tags })
}

fn refused(refused: &Refused) -> Value {
    json!({ "File": refused.file, "Rule": refused.rule, "Reason": refused.reason.to_string() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    max_results: Option<usize>,
    next_token: Option<String>,
    /// Answer with the rules' texts as well.
    #[serde(default)]
    include_text: bool,
}

/// Lists the account's rules by id.
pub(super) async fn list(api: &SigmaApi, call: &Call, input: List, parameters: &mut Value) -> Result<Value, Exception> {
    *parameters = json!({ "maxResults": input.max_results, "nextToken": input.next_token });
    let limit = page(input.max_results)?;
    let after = input.next_token.unwrap_or_default();
    let rules = api.sigma.rules(call.principal.account, &after, limit + 1).await;
    let mut rules = rules.map_err(|error| store_exception(&error))?;
    let more = rules.len() > limit;
    rules.truncate(limit);
    let next = rules.last().filter(|_| more).map(|last| last.id.clone());
    let rules: Vec<Value> = rules.iter().map(|rule| stored(rule, input.include_text)).collect();
    Ok(json!({ "Rules": rules, "NextToken": next }))
}

fn stored(rule: &StoredRule, with_text: bool) -> Value {
    let mut answer = json!({
        "Id": rule.id,
        "Title": rule.title,
        "Level": rule.level,
        "Kind": rule.kind,
        "File": rule.file,
        "Position": rule.since,
        "LoadedAt": rule.loaded.to_iso(),
        "LoadedBy": rule.loaded_by,
    });
    if with_text {
        answer["Text"] = json!(rule.text);
    }
    answer
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Remove {
    ids: Vec<String>,
}

/// Removes rules by id.
pub(super) async fn remove(
    api: &SigmaApi,
    call: &Call,
    input: Remove,
    parameters: &mut Value,
) -> Result<Value, Exception> {
    *parameters = json!({ "ids": input.ids });
    if input.ids.is_empty() || input.ids.len() > MOST_IDS {
        return Err(Exception::validation(format!("Ids has 1 to {MOST_IDS} members.")));
    }
    let removed = api.sigma.remove(call.principal.account, &call.principal.arn().to_string(), input.ids).await;
    let removed = removed.map_err(|error| change_exception(&error))?;
    Ok(json!({ "Position": removed.position, "Removed": removed.removed, "NotFound": removed.not_found }))
}
