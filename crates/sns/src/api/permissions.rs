//! Permissions: statements of a topic's policy.

use opentrail_catalog::Expect;
use opentrail_wire::sns::{AddPermissionInput, RemovePermissionInput};

use super::Cx;
use crate::error::SnsError;
use crate::permissions::{with_permission, without_permission};
use crate::repository::put_topic;

pub(super) async fn add(cx: &Cx<'_>, input: AddPermissionInput) -> Result<(), SnsError> {
    cx.topic(&input.topic_arn, "SNS:AddPermission").await?;
    let _changing = cx.sns.changing.lock().await;
    let arn = cx.topic_arn(&input.topic_arn)?;
    let found = cx.sns.repository.topic(&arn).await?.ok_or_else(SnsError::no_topic)?;
    let mut topic = found.value;
    topic.policy = Some(with_permission(&topic, &input.label, &input.aws_account_id, &input.action_name)?);
    cx.sns.repository.commit(vec![put_topic(&topic, Expect::Revision(found.revision))]).await
}

/// A label that no statement has changes nothing.
pub(super) async fn remove(cx: &Cx<'_>, input: RemovePermissionInput) -> Result<(), SnsError> {
    cx.topic(&input.topic_arn, "SNS:RemovePermission").await?;
    let _changing = cx.sns.changing.lock().await;
    let arn = cx.topic_arn(&input.topic_arn)?;
    let found = cx.sns.repository.topic(&arn).await?.ok_or_else(SnsError::no_topic)?;
    let mut topic = found.value;
    let Some(policy) = without_permission(&topic, &input.label)? else { return Ok(()) };
    topic.policy = Some(policy);
    cx.sns.repository.commit(vec![put_topic(&topic, Expect::Revision(found.revision))]).await
}
