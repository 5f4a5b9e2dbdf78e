//! Who may do what to a topic.

use opentrail_identity::{AccessRequest, Context, Directory, Principal};

use crate::arn::TopicArn;
use crate::error::SnsError;
use crate::permissions::policy_of;
use crate::topic::Topic;

/// A service of this server that publishes, e.g. `cloudtrail.amazonaws.com`.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Its principal.
    pub name: &'a str,
    /// `aws:SourceArn`: the resource for which it publishes, e.g. a trail's ARN.
    pub source_arn: &'a str,
    /// `aws:SourceAccount`: whose that is.
    pub source_account: opentrail_model::AccountId,
}

/// Services whose requests have `AWS:SourceOwner`, by which a topic's default policy lets its own account's alarms
/// publish. CloudTrail's have not: its topics need a statement. (CloudWatch User Guide, "Amazon SNS topics and alarms";
/// CloudTrail User Guide, "Amazon SNS topic policy for CloudTrail".)
const WITH_SOURCE_OWNER: &[&str] = &["cloudwatch.amazonaws.com"];

/// Checks that the policies let `principal` do `action` (`SNS:…`) to the topic.
pub(crate) fn authorize(
    directory: &Directory,
    principal: &Principal,
    action: &str,
    arn: &TopicArn,
    topic: Option<&Topic>,
    mut context: Context,
) -> Result<(), SnsError> {
    for tag in topic.iter().flat_map(|topic| &topic.tags) {
        context.insert(&format!("aws:ResourceTag/{}", tag.key), tag.value.as_str());
    }
    let policy = topic.and_then(policy_of);
    let resource = arn.to_string();
    let request = AccessRequest {
        action,
        resource: &resource,
        context: &context,
        resource_policy: policy.as_ref(),
        resource_account: Some(arn.account),
    };
    let decision = directory.authorize(principal, &request);
    if decision.is_allowed() {
        return Ok(());
    }
    Err(SnsError::AuthorizationError(decision.message(principal, action, &resource, true)))
}

/// Checks that the caller's own policies allow `action`, which has no resource.
pub(crate) fn authorize_plainly(
    directory: &Directory,
    principal: &Principal,
    action: &str,
    context: &Context,
) -> Result<(), SnsError> {
    let request = AccessRequest { action, resource: "*", context, resource_policy: None, resource_account: None };
    let decision = directory.authorize(principal, &request);
    if decision.is_allowed() {
        return Ok(());
    }
    Err(SnsError::AuthorizationError(decision.message(principal, action, "*", false)))
}

/// Whether the topic's policy lets the service publish.
pub(crate) fn service_may_publish(topic: &Topic, service: &Service<'_>, now: opentrail_model::Timestamp) -> bool {
    let account = service.source_account.to_string();
    let mut context = Context::new()
        .with("aws:SourceArn", service.source_arn)
        .with("aws:SourceAccount", account.as_str())
        .with("aws:CurrentTime", now.to_iso())
        .with("aws:EpochTime", now.as_secs().to_string())
        .with("aws:SecureTransport", "true");
    if WITH_SOURCE_OWNER.contains(&service.name) {
        context.insert("aws:SourceOwner", account);
    }
    let resource = topic.arn.to_string();
    policy_of(topic).is_some_and(|policy| policy.allows_service(service.name, "sns:Publish", &resource, &context))
}
