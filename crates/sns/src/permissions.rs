//! A topic's access policy: the one it has by itself, and what AddPermission and RemovePermission do to it.

use opentrail_identity::{Policy, PolicyUse};
use opentrail_model::AccountId;
use serde_json::{Value, json};

use crate::arn::TopicArn;
use crate::error::SnsError;
use crate::topic::Topic;

/// The most bytes of a policy. (Developer Guide, "Amazon SNS endpoints and quotas": 30 KB.)
const MOST_BYTES: usize = 30 << 10;

/// The actions that a topic's policy can be about. (Developer Guide, "Amazon SNS API permissions".)
const ACTIONS: &[&str] = &[
    "AddPermission",
    "DeleteTopic",
    "GetDataProtectionPolicy",
    "GetTopicAttributes",
    "ListSubscriptionsByTopic",
    "ListTagsForResource",
    "Publish",
    "PutDataProtectionPolicy",
    "Receive",
    "RemovePermission",
    "SetTopicAttributes",
    "Subscribe",
];

/// What a topic has unless another policy is set: its own account's services may use it. Users need policies of their
/// own, since their calls have no `AWS:SourceOwner`. (Developer Guide, "Using identity-based policies with Amazon SNS";
/// the text as GetTopicAttributes answers it.)
pub(crate) fn default_policy(arn: &TopicArn) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": [
                "SNS:GetTopicAttributes",
                "SNS:SetTopicAttributes",
                "SNS:AddPermission",
                "SNS:RemovePermission",
                "SNS:DeleteTopic",
                "SNS:Subscribe",
                "SNS:ListSubscriptionsByTopic",
                "SNS:Publish"
            ],
            "Resource": arn.to_string(),
            "Condition": { "StringEquals": { "AWS:SourceOwner": arn.account.to_string() } }
        }]
    })
    .to_string()
}

/// The topic's policy as text.
pub(crate) fn text_of(topic: &Topic) -> String {
    topic.policy.clone().unwrap_or_else(|| default_policy(&topic.arn))
}

/// The topic's policy; one that cannot be read allows nothing.
pub(crate) fn policy_of(topic: &Topic) -> Option<Policy> {
    Policy::parse(&text_of(topic), PolicyUse::Resource).ok()
}

/// Refuses what is no policy of a topic.
pub(crate) fn check(text: &str) -> Result<(), SnsError> {
    if text.len() > MOST_BYTES {
        return Err(SnsError::parameter("Policy", format!("a policy has at most {MOST_BYTES} bytes")));
    }
    match Policy::parse(text, PolicyUse::Resource) {
        Ok(_) => Ok(()),
        Err(error) => Err(SnsError::InvalidParameter(format!("Policy Error: {error}"))),
    }
}

/// The policy with a statement that allows `actions` to `accounts`.
pub(crate) fn with_permission(
    topic: &Topic,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String, SnsError> {
    let spelled = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if label.is_empty() || label.len() > 80 || !label.bytes().all(spelled) {
        return Err(SnsError::parameter("Label", "a label has 1 to 80 letters, digits, hyphens and underscores"));
    }
    if accounts.is_empty() || actions.is_empty() {
        return Err(SnsError::InvalidParameter("AWSAccountId and ActionName must name at least one each".to_owned()));
    }
    let partition = topic.arn.region.partition();
    let principals = accounts.iter().map(|account| match account.parse::<AccountId>() {
        Ok(account) => Ok(Value::from(format!("arn:{partition}:iam::{account}:root"))),
        Err(_) => Err(SnsError::parameter("AWSAccountId", "an account has twelve digits")),
    });
    let principals = principals.collect::<Result<Vec<_>, _>>()?;
    let actions = actions.iter().map(|action| match action.as_str() {
        "*" => Ok(Value::from("SNS:*")),
        name if ACTIONS.contains(&name) => Ok(Value::from(format!("SNS:{name}"))),
        _ => Err(SnsError::InvalidParameter("Policy statement action out of service scope!".to_owned())),
    });
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    let mut document = document_of(topic)?;
    let statements = statements_of(&mut document);
    if statements.iter().any(|statement| statement["Sid"] == label) {
        return Err(SnsError::parameter("Label", "Statement already exists"));
    }
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": { "AWS": one_or_all(principals) },
        "Action": one_or_all(actions),
        "Resource": topic.arn.to_string(),
    }));
    let text = document.to_string();
    check(&text)?;
    Ok(text)
}

/// The policy without the statement `label`; `None` when it has no such statement.
pub(crate) fn without_permission(topic: &Topic, label: &str) -> Result<Option<String>, SnsError> {
    let mut document = document_of(topic)?;
    let statements = statements_of(&mut document);
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != label);
    Ok((statements.len() < before).then(|| document.to_string()))
}

fn document_of(topic: &Topic) -> Result<Value, SnsError> {
    serde_json::from_str(&text_of(topic)).map_err(|error| SnsError::parameter("Policy", error))
}

/// The statements as a list, which a document with one may spell without.
fn statements_of(document: &mut Value) -> &mut Vec<Value> {
    let statements = &mut document["Statement"];
    if !statements.is_array() {
        *statements = Value::Array(vec![statements.take()]);
    }
    statements.as_array_mut().expect("it was made an array just now")
}

fn one_or_all(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

#[cfg(test)]
mod tests {
    use opentrail_identity::Context;
    use opentrail_model::Timestamp;

    use super::*;

    fn topic() -> Topic {
        Topic::new("arn:aws:sns:us-east-1:111122223333:alarms".parse().unwrap(), Timestamp::EPOCH)
    }

    fn allows(topic: &Topic, service: &str, context: &Context) -> bool {
        policy_of(topic).unwrap().allows_service(service, "sns:Publish", &topic.arn.to_string(), context)
    }

    #[test]
    fn the_default_policy_is_for_services_of_the_account() {
        let topic = topic();
        check(&text_of(&topic)).unwrap();
        let owner = |account: &str| Context::new().with("aws:SourceOwner", account);
        assert!(allows(&topic, "cloudwatch.amazonaws.com", &owner("111122223333")));
        assert!(!allows(&topic, "cloudwatch.amazonaws.com", &owner("444455556666")));
        assert!(!allows(&topic, "cloudtrail.amazonaws.com", &Context::new()));
    }

    #[test]
    fn permissions_are_added_and_removed() {
        let mut topic = topic();
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let accounts = strings(&["444455556666"]);
        let text = with_permission(&topic, "other", &accounts, &strings(&["Publish", "*"])).unwrap();
        let statement = serde_json::from_str::<Value>(&text).unwrap()["Statement"][1].clone();
        assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::444455556666:root");
        assert_eq!(statement["Action"], json!(["SNS:Publish", "SNS:*"]));
        topic.policy = Some(text);
        assert!(with_permission(&topic, "other", &accounts, &strings(&["Publish"])).is_err(), "the label is taken");
        assert!(with_permission(&topic, "b", &accounts, &strings(&["CreateTopic"])).is_err());
        assert!(with_permission(&topic, "b", &strings(&["me"]), &strings(&["Publish"])).is_err());
        assert_eq!(without_permission(&topic, "nothing").unwrap(), None);
        let text = without_permission(&topic, "other").unwrap().unwrap();
        assert_eq!(text, default_policy(&topic.arn));
    }
}
