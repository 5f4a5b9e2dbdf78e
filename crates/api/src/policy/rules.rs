//! What the policy of an event data store, a channel or a dashboard may say. (User Guide, "Resource-based policy examples for
//! event data stores", "… for channels", "… for dashboards".)
//!
//! A statement of a store either shares the store with other accounts, for queries and for looking at it, or lets CloudTrail refresh
//! dashboards from it. It need not say `Resource`, as AWS's own examples do not; when it does, it is the store.
//! A statement of a channel lets accounts put events to it, and says so of that very channel. One of a dashboard lets
//! CloudTrail refresh it by its schedule.

use opentrail_identity::{Policy, PolicyError, PolicyUse};
use opentrail_model::Arn;
use serde_json::{Map, Value};

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
/// What an account can be let do with a channel.
const CHANNEL_ACTION: &str = "cloudtrail-data:PutAuditEvents";
/// What CloudTrail can be let do with a dashboard.
const DASHBOARD_ACTION: &str = "cloudtrail:StartDashboardRefresh";
const MAX_CHANNEL_STATEMENTS: usize = 20;
const MAX_CHANNEL_PRINCIPALS: usize = 50;
const SERVICE: &str = "cloudtrail.amazonaws.com";
const FOR_EVERYBODY: &str = "is for everybody: name accounts, users or roles";
const SERVICE_ACTION: &str = "cloudtrail:StartQuery";
const SERVICE_KEYS: [&str; 2] = ["aws:sourcearn", "aws:sourceaccount"];
const SERVICE_OPERATORS: [&str; 2] = ["StringEquals", "StringLike"];

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("The resource policy is not valid: {0}.")]
    Policy(#[from] PolicyError),
    #[error("The resource policy is not valid: it has {number} statements; that of a channel has at most 20.")]
    Statements { number: usize },
    #[error("The resource policy is not valid: statement {number} {problem}.")]
    Statement { number: usize, problem: String },
}

/// Checks the policy `text` for the event data store, channel or dashboard `arn`.
pub(super) fn check(text: &str, arn: &Arn) -> Result<(), RuleError> {
    // Syntax, names of elements, operators of conditions, members given twice.
    Policy::parse(text, PolicyUse::Own)?;
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let is_channel = arn.resource().starts_with("channel/");
    let is_dashboard = arn.resource().starts_with("dashboard/");
    let statements = list(&document["Statement"]);
    if is_channel && statements.len() > MAX_CHANNEL_STATEMENTS {
        return Err(RuleError::Statements { number: statements.len() });
    }
    for (number, statement) in (1..).zip(statements) {
        let checked = match statement {
            statement if is_channel => statement_of_channel(statement, arn),
            statement if is_dashboard => statement_of_dashboard(statement, arn),
            statement => statement_of_store(statement, arn),
        };
        checked.map_err(|problem| RuleError::Statement { number, problem })?;
    }
    Ok(())
}

fn statement_of_channel(statement: &Value, arn: &Arn) -> Result<(), String> {
    says_who_and_what(statement, arn)?;
    if statement["Resource"].is_null() {
        return Err(format!("has no Resource: that is {arn}"));
    }
    let principals = principals(statement)?;
    if let Some(other) = principals.keys().find(|kind| *kind != "AWS") {
        return Err(format!("names principals of the kind {other}: accounts, users and roles are AWS"));
    }
    let named = principals.values().flat_map(texts).count();
    if named > MAX_CHANNEL_PRINCIPALS {
        return Err(format!("names {named} principals; it can name {MAX_CHANNEL_PRINCIPALS}"));
    }
    if principals.values().flat_map(texts).any(|principal| principal == "*") {
        return Err(FOR_EVERYBODY.to_owned());
    }
    match texts(&statement["Action"]).find(|action| !action.eq_ignore_ascii_case(CHANNEL_ACTION)) {
        Some(other) => Err(format!("has the action {other}; it can have {CHANNEL_ACTION}")),
        None => Ok(()),
    }
}

fn statement_of_dashboard(statement: &Value, arn: &Arn) -> Result<(), String> {
    says_who_and_what(statement, arn)?;
    for (kind, named) in principals(statement)? {
        if kind != "Service" || texts(named).any(|service| service != SERVICE) {
            return Err(format!("is for another than the service {SERVICE}, which refreshes dashboards"));
        }
    }
    match texts(&statement["Action"]).find(|action| !action.eq_ignore_ascii_case(DASHBOARD_ACTION)) {
        Some(other) => Err(format!("has the action {other}; it can have {DASHBOARD_ACTION}")),
        None => conditions_of_service(&statement["Condition"]),
    }
}

/// What holds for every resource.
fn says_who_and_what(statement: &Value, arn: &Arn) -> Result<(), String> {
    for not in ["NotPrincipal", "NotAction", "NotResource"] {
        if statement.get(not).is_some() {
            return Err(format!("says {not}: name who may do what"));
        }
    }
    match texts(&statement["Resource"]).find(|resource| *resource != arn.as_str()) {
        Some(other) => Err(format!("is about the resource {other}: the policy is one of {arn}")),
        None => Ok(()),
    }
}

fn principals(statement: &Value) -> Result<&Map<String, Value>, String> {
    statement["Principal"].as_object().ok_or_else(|| FOR_EVERYBODY.to_owned())
}

fn statement_of_store(statement: &Value, arn: &Arn) -> Result<(), String> {
    says_who_and_what(statement, arn)?;
    let principals = principals(statement)?;
    let is_service = principals.contains_key("Service");
    for (kind, named) in principals {
        match &**kind {
            "AWS" if is_service => return Err("names both a service and accounts; use two statements".to_owned()),
            "AWS" => {
                if texts(named).any(|principal| principal == "*") {
                    return Err(FOR_EVERYBODY.to_owned());
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
    fn a_policy_of_a_channel_lets_accounts_put_events_to_it() {
        let arn = STORE.replace("eventdatastore", "channel");
        let channel: Arn = arn.parse().expect("an ARN");
        let told = |more: Value, times: usize| {
            let mut statement = json!({
                "Effect": "Allow", "Principal": { "AWS": "444455556666" }, "Action": CHANNEL_ACTION, "Resource": arn,
                "Condition": { "StringEquals": { "cloudtrail:ExternalId": "abc" } },
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                statement[name] = value.clone();
            }
            let statements: Vec<_> = std::iter::repeat_n(statement, times).collect();
            let policy = json!({ "Version": "2012-10-17", "Statement": statements });
            check(&policy.to_string(), &channel).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(told(json!({}), 20), "");
        let many: Vec<_> = (0..51).map(|number| format!("{number:012}")).collect();
        for (more, words) in [
            (json!({ "Action": "cloudtrail:StartQuery" }), "has the action cloudtrail:StartQuery"),
            (json!({ "Resource": "*" }), "is about the resource *"),
            (json!({ "Principal": "*" }), "is for everybody"),
            (json!({ "Principal": { "Service": SERVICE } }), "of the kind Service"),
            (json!({ "Principal": { "AWS": many } }), "names 51 principals"),
        ] {
            let told = told(more.clone(), 1);
            assert!(told.contains(words), "{more}: {told}");
        }
        assert!(told(json!({}), 21).contains("21 statements"));
    }

    #[test]
    fn a_policy_of_a_dashboard_lets_cloudtrail_refresh_it() {
        let dashboard: Arn = "arn:aws:cloudtrail:us-east-1:111122223333:dashboard/d".parse().expect("an ARN");
        let told = |more: Value| {
            let mut statement = json!({
                "Effect": "Allow", "Principal": { "Service": SERVICE }, "Action": DASHBOARD_ACTION,
                "Condition": { "StringLike": { "AWS:SourceArn": dashboard.as_str(), "AWS:SourceAccount": "111122223333" } },
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                statement[name] = value.clone();
            }
            let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
            check(&policy.to_string(), &dashboard).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(told(json!({})), "");
        assert_eq!(told(json!({ "Resource": dashboard.as_str() })), "");
        for (more, words) in [
            (json!({ "Action": SERVICE_ACTION }), "has the action cloudtrail:StartQuery"),
            (json!({ "Principal": { "AWS": "444455556666" } }), "is for another than the service"),
            (json!({ "Principal": { "Service": "s3.amazonaws.com" } }), "is for another than the service"),
            (json!({ "Principal": "*" }), "is for everybody"),
            (json!({ "Resource": "*" }), "is about the resource *"),
            (json!({ "Condition": { "IpAddress": { "aws:SourceIp": "192.0.2.1" } } }), "operator IpAddress"),
        ] {
            let told = told(more.clone());
            assert!(told.contains(words), "{more}: {told}");
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
