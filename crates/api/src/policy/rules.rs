//! What the policy of an event data store may say. (User Guide, "Resource-based policy examples for event data stores".)
//!
//! A statement either shares the store with other accounts, for queries and for looking at it, or lets CloudTrail refresh
//! dashboards from it. It need not say `Resource`, as AWS's own examples do not; when it does, it is the store.

use opentrail_identity::{Policy, PolicyError, PolicyUse};
use opentrail_model::Arn;
use serde_json::Value;

/// What another account can be let do with a store.
const SHARED_ACTIONS: [&str; 8] = [
    "cloudtrail:StartQuery",
    "cloudtrail:CancelQuery",
    "cloudtrail:ListQueries",
    "cloudtrail:DescribeQuery",
    "cloudtrail:GetQueryResults",
    "cloudtrail:GenerateQuery",
    "cloudtrail:GenerateQueryResultsSummary",
    "cloudtrail:GetEventDataStore",
];
const SERVICE: &str = "cloudtrail.amazonaws.com";
const SERVICE_ACTION: &str = "cloudtrail:StartQuery";
const SERVICE_KEYS: [&str; 2] = ["aws:sourcearn", "aws:sourceaccount"];
const SERVICE_OPERATORS: [&str; 2] = ["StringEquals", "StringLike"];

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("The resource policy is not valid: {0}.")]
    Policy(#[from] PolicyError),
    #[error("The resource policy is not valid: statement {number} {problem}.")]
    Statement { number: usize, problem: String },
}

/// Checks the policy `text` for the event data store `arn`.
pub(super) fn check(text: &str, arn: &Arn) -> Result<(), RuleError> {
    // Syntax, names of elements, operators of conditions, members given twice.
    Policy::parse(text, PolicyUse::Own)?;
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    for (number, statement) in (1..).zip(list(&document["Statement"])) {
        statement_of_store(statement, arn).map_err(|problem| RuleError::Statement { number, problem })?;
    }
    Ok(())
}

fn statement_of_store(statement: &Value, arn: &Arn) -> Result<(), String> {
    for not in ["NotPrincipal", "NotAction", "NotResource"] {
        if statement.get(not).is_some() {
            return Err(format!("says {not}: name who may do what"));
        }
    }
    if let Some(other) = texts(&statement["Resource"]).find(|resource| *resource != arn.as_str()) {
        return Err(format!("is about the resource {other}: the policy is one of {arn}"));
    }
    let Some(principals) = statement["Principal"].as_object() else {
        return Err("is for everybody: name accounts, users or roles".to_owned());
    };
    let is_service = principals.contains_key("Service");
    for (kind, named) in principals {
        match &**kind {
            "AWS" if is_service => return Err("names both a service and accounts; use two statements".to_owned()),
            "AWS" => {
                if texts(named).any(|principal| principal == "*") {
                    return Err("is for everybody: name accounts, users or roles".to_owned());
                }
            }
            "Service" => {
                if let Some(other) = texts(named).find(|service| *service != SERVICE) {
                    return Err(format!("is for the service {other}: {SERVICE} is the only one"));
                }
            }
            other => return Err(format!("names principals of the kind {other}: accounts, users and roles are AWS")),
        }
    }
    let allowed: &[&str] = if is_service { &[SERVICE_ACTION] } else { &SHARED_ACTIONS };
    let is_allowed = |action: &str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(action));
    if let Some(other) = texts(&statement["Action"]).find(|action| !is_allowed(action)) {
        return Err(format!("has the action {other}; it can have {}", allowed.join(", ")));
    }
    if is_service { conditions_of_service(&statement["Condition"]) } else { Ok(()) }
}

fn conditions_of_service(condition: &Value) -> Result<(), String> {
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        if !SERVICE_OPERATORS.contains(&&**operator) {
            return Err(format!(
                "has the condition operator {operator}; for a service it is StringEquals or StringLike"
            ));
        }
        let mut keys = keys.as_object().into_iter().flatten();
        if let Some((other, _)) = keys.find(|(key, _)| !SERVICE_KEYS.contains(&&*key.to_ascii_lowercase())) {
            return Err(format!(
                "has the condition key {other}; for a service it is aws:SourceArn or aws:SourceAccount"
            ));
        }
    }
    Ok(())
}

/// A value by itself counts as a list of one.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STORE: &str = "arn:aws:cloudtrail:us-east-1:111122223333:eventdatastore/00000000-0000-4000-8000-000000000000";

    fn verdict(statement: Value) -> String {
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        let checked = check(&policy.to_string(), &STORE.parse().expect("an ARN"));
        checked.err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn sharing(more: Value) -> Value {
        let mut statement = json!({
            "Effect": "Allow", "Principal": { "AWS": "444455556666" }, "Action": "cloudtrail:GetEventDataStore",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            statement[name] = value.clone();
        }
        statement
    }

    #[test]
    fn what_the_guide_shows_is_taken() {
        let service = json!({
            "Effect": "Allow", "Principal": { "Service": SERVICE }, "Action": "cloudtrail:StartQuery",
            "Condition": { "StringEquals": { "AWS:SourceArn": ["a", "b"], "AWS:SourceAccount": "111122223333" } },
        });
        for good in [
            sharing(json!({})),
            sharing(json!({ "Resource": STORE, "Action": SHARED_ACTIONS })),
            sharing(json!({ "Principal": { "AWS": ["arn:aws:iam::444455556666:role/r", "555566667777"] } })),
            sharing(json!({ "Effect": "Deny", "Condition": { "Bool": { "aws:SecureTransport": "false" } } })),
            service,
        ] {
            assert_eq!(verdict(good.clone()), "", "{good}");
        }
    }

    #[test]
    fn each_rule_has_its_words() {
        for (more, words) in [
            (json!({ "Action": "cloudtrail:*" }), "has the action cloudtrail:*"),
            (json!({ "Action": "cloudtrail:DeleteEventDataStore" }), "has the action"),
            (json!({ "Action": "s3:GetObject" }), "has the action s3:GetObject"),
            (json!({ "Principal": "*" }), "is for everybody"),
            (json!({ "Principal": { "AWS": "*" } }), "is for everybody"),
            (json!({ "Principal": { "Federated": "idp" } }), "of the kind Federated"),
            (json!({ "Principal": { "Service": "s3.amazonaws.com" } }), "is for the service s3.amazonaws.com"),
            (json!({ "Principal": { "Service": SERVICE } }), "has the action cloudtrail:GetEventDataStore"),
            (json!({ "Principal": { "Service": SERVICE, "AWS": "444455556666" } }), "use two statements"),
            (json!({ "Resource": "*" }), "is about the resource *"),
            (json!({ "Effect": "Perhaps" }), "Effect"),
            (json!({ "Principal": { "AWS": "nobody" } }), "Principal"),
            (json!({ "Surprise": 1 }), "Surprise"),
        ] {
            let told = verdict(sharing(more.clone()));
            assert!(told.contains(words), "{more}: {told}");
        }
        let service = |condition: Value| {
            verdict(sharing(json!({
                "Principal": { "Service": SERVICE }, "Action": "cloudtrail:StartQuery", "Condition": condition,
            })))
        };
        let dashboard = "arn:aws:cloudtrail:us-east-1:111122223333:dashboard/d";
        assert!(service(json!({ "ArnLike": { "aws:SourceArn": dashboard } })).contains("operator ArnLike"));
        assert!(service(json!({ "StringLike": { "aws:SourceIp": "a" } })).contains("key aws:SourceIp"));
        assert!(check("{", &STORE.parse().expect("an ARN")).is_err());
    }
}
