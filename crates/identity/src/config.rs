//! `[[account]]` of the configuration file.
//!
//! ```toml
//! [[account]]
//! id = "111122223333"
//! alias = "acme"
//!
//! [[account.user]]
//! name = "alice"
//! policies = ['''{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}}''']
//!
//! [[account.user.access_key]]
//! id = "AKIAEXAMPLE000000001"
//! secret = "…"                  # left out: the key only names its user at gateways
//!
//! [[account.role]]
//! name = "Audit"
//! max_session = "2h"
//! trust_policy = { file = "trust.json" }
//! ```
//!
//! A policy is JSON text, `{ file = "…" }`, or a table that spells the document itself.

use std::collections::BTreeMap;
use std::path::Path;

use opentrail_model::AccountId;
use toml::{Table, Value};

use crate::spec::{AccessKeySpec, AccountSpec, IdentityError, IdentityProblem, PolicySpec, RoleSpec, UserSpec};
use crate::{Policy, PolicyUse, Secret};

/// Reads the value of `account`, a list of tables. Relative policy files are looked up in `directory`, that of the
/// configuration file.
///
/// # Errors
/// Everything whose shape is wrong, each with its key path. What the values mean is checked by
/// [`Directory::new`](crate::Directory::new), which uses the same key paths.
pub fn accounts_from_toml(value: &Value, directory: &Path) -> Result<Vec<AccountSpec>, Vec<IdentityError>> {
    let mut reader = Reader { directory, problems: Vec::new() };
    let accounts = match value {
        Value::Array(accounts) => accounts
            .iter()
            .enumerate()
            .filter_map(|(index, account)| reader.account(&format!("account[{index}]"), account))
            .collect(),
        _ => {
            reader.complain("account", "must be a list of tables: [[account]]");
            Vec::new()
        }
    };
    if reader.problems.is_empty() { Ok(accounts) } else { Err(reader.problems) }
}

/// Reads a policy that stands by itself under `key`, with the same forms.
///
/// # Errors
/// What is wrong with its shape, or with the document as a policy of `purpose`.
pub fn policy_from_toml(
    key: &str,
    value: &Value,
    directory: &Path,
    purpose: PolicyUse,
) -> Result<Policy, Vec<IdentityError>> {
    let mut reader = Reader { directory, problems: Vec::new() };
    let parsed = reader.policy(key, value).map(|text| Policy::parse(&text.0, purpose));
    match parsed {
        Some(Ok(policy)) => Ok(policy),
        Some(Err(error)) => Err(vec![IdentityError { key: key.to_owned(), problem: IdentityProblem::Policy(error) }]),
        None => Err(reader.problems),
    }
}

struct Reader<'a> {
    directory: &'a Path,
    problems: Vec<IdentityError>,
}

impl Reader<'_> {
    fn complain(&mut self, key: &str, problem: impl Into<String>) {
        self.problems.push(IdentityError { key: key.to_owned(), problem: IdentityProblem::Shape(problem.into()) });
    }

    fn account(&mut self, key: &str, value: &Value) -> Option<AccountSpec> {
        let mut table = self.table(key, value)?;
        if let Some(Value::Integer(digits)) = table.get("id") {
            // So a variable of the environment reads that holds digits only.
            let digits = digits.to_string();
            table.insert("id".to_owned(), Value::String(digits));
        }
        let id = self.required_text(&mut table, key, "id");
        let id = id.and_then(|id| {
            let parsed = id.parse::<AccountId>();
            parsed.map_err(|error| self.complain(&format!("{key}.id"), error.to_string())).ok()
        });
        let alias = self.text(&mut table, key, "alias");
        let root_access_keys = self.access_keys(&mut table, key);
        let users = self.list(&mut table, key, "user", Self::user);
        let roles = self.list(&mut table, key, "role", Self::role);
        self.finish(key, &table);
        Some(AccountSpec { id: id?, alias, root_access_keys, users, roles })
    }

    fn user(&mut self, key: &str, value: &Value) -> Option<UserSpec> {
        let mut table = self.table(key, value)?;
        let name = self.required_text(&mut table, key, "name");
        let path = self.text(&mut table, key, "path");
        let policies = self.list(&mut table, key, "policies", Self::policy);
        let tags = self.tags(&mut table, key);
        let access_keys = self.access_keys(&mut table, key);
        self.finish(key, &table);
        Some(UserSpec { name: name?, path: path.unwrap_or_else(|| "/".to_owned()), policies, tags, access_keys })
    }

    fn role(&mut self, key: &str, value: &Value) -> Option<RoleSpec> {
        let mut table = self.table(key, value)?;
        let name = self.required_text(&mut table, key, "name");
        let path = self.text(&mut table, key, "path");
        let trust_key = format!("{key}.trust_policy");
        let trust_policy = match table.remove("trust_policy") {
            Some(value) => self.policy(&trust_key, &value),
            None => {
                self.complain(&trust_key, "is required: it says who may assume the role");
                None
            }
        };
        let policies = self.list(&mut table, key, "policies", Self::policy);
        let tags = self.tags(&mut table, key);
        let max_session = match self.text(&mut table, key, "max_session") {
            None => RoleSpec::DEFAULT_MAX_SESSION,
            Some(text) => humantime::parse_duration(&text).unwrap_or_else(|_| {
                self.complain(&format!("{key}.max_session"), format!("{text:?} is not a time such as \"2h\""));
                RoleSpec::DEFAULT_MAX_SESSION
            }),
        };
        self.finish(key, &table);
        let path = path.unwrap_or_else(|| "/".to_owned());
        Some(RoleSpec { name: name?, path, trust_policy: trust_policy?, policies, tags, max_session })
    }

    fn access_keys(&mut self, table: &mut Table, key: &str) -> Vec<AccessKeySpec> {
        self.list(table, key, "access_key", |reader, key, value| {
            let mut table = reader.table(key, value)?;
            let id = reader.required_text(&mut table, key, "id");
            let secret = reader.text(&mut table, key, "secret").map(Secret::new);
            let active = match table.remove("active") {
                None => true,
                Some(Value::Boolean(active)) => active,
                Some(_) => {
                    reader.complain(&format!("{key}.active"), "must be true or false");
                    false
                }
            };
            reader.finish(key, &table);
            Some(AccessKeySpec { id: id?, secret, active })
        })
    }

    /// JSON text, `{ file = "…" }`, or the document as a table.
    fn policy(&mut self, key: &str, value: &Value) -> Option<PolicySpec> {
        match value {
            Value::String(json) => Some(PolicySpec(json.clone())),
            Value::Table(table) if table.contains_key("file") => {
                let mut table = table.clone();
                let file = self.required_text(&mut table, key, "file");
                self.finish(key, &table);
                let path = self.directory.join(file?);
                let read = std::fs::read_to_string(&path);
                let problem = |error| self.complain(key, format!("cannot read {}: {error}", path.display()));
                read.map(PolicySpec).map_err(problem).ok()
            }
            Value::Table(document) => {
                let json = serde_json::to_string(document);
                json.map(PolicySpec).map_err(|error| self.complain(key, error.to_string())).ok()
            }
            _ => {
                self.complain(
                    key,
                    "must be a policy: JSON text, { file = \"…\" }, or a table with Version and Statement",
                );
                None
            }
        }
    }

    fn tags(&mut self, table: &mut Table, key: &str) -> BTreeMap<String, String> {
        let key = format!("{key}.tags");
        let mut tags = BTreeMap::new();
        match table.remove("tags") {
            None => {}
            Some(Value::Table(members)) => {
                for (name, value) in members {
                    match value {
                        Value::String(value) => drop(tags.insert(name, value)),
                        _ => self.complain(&format!("{key}.{name}"), "must be a text"),
                    }
                }
            }
            Some(_) => self.complain(&key, "must be a table of texts"),
        }
        tags
    }

    fn list<T>(
        &mut self,
        table: &mut Table,
        key: &str,
        name: &str,
        read: impl Fn(&mut Self, &str, &Value) -> Option<T>,
    ) -> Vec<T> {
        let key = format!("{key}.{name}");
        match table.remove(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.filter_map(|(index, item)| read(self, &format!("{key}[{index}]"), item)).collect()
            }
            Some(_) => {
                self.complain(&key, "must be a list");
                Vec::new()
            }
        }
    }

    fn table(&mut self, key: &str, value: &Value) -> Option<Table> {
        let table = value.as_table().cloned();
        if table.is_none() {
            self.complain(key, "must be a table");
        }
        table
    }

    fn text(&mut self, table: &mut Table, key: &str, name: &str) -> Option<String> {
        match table.remove(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.complain(&format!("{key}.{name}"), "must be a text");
                None
            }
        }
    }

    fn required_text(&mut self, table: &mut Table, key: &str, name: &str) -> Option<String> {
        if !table.contains_key(name) {
            self.complain(&format!("{key}.{name}"), "is required");
        }
        self.text(table, key, name)
    }

    fn finish(&mut self, key: &str, table: &Table) {
        for name in table.keys() {
            self.complain(&format!("{key}.{name}"), "is not a setting");
        }
    }
}

#[cfg(test)]
mod tests;
