//! Tags of topics.

use std::collections::HashSet;

use opentrail_catalog::Expect;
use opentrail_identity::Context;
use opentrail_wire::sns::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag as WireTag, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};

use super::Cx;
use crate::error::SnsError;
use crate::repository::put_topic;
use crate::topic::{Tag, Topic};

/// Tags of a topic. (Developer Guide, "Amazon SNS topic tagging".)
const MOST_TAGS: usize = 50;

/// Checks tags of a request.
pub(super) fn from_wire(tags: Vec<WireTag>) -> Result<Vec<Tag>, SnsError> {
    let mut keys = HashSet::new();
    for tag in &tags {
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(SnsError::parameter("Tags", "a tag's key must not begin with aws:"));
        }
        if !keys.insert(tag.key.clone()) {
            return Err(SnsError::parameter("Tags", format!("the key {:?} is there twice", tag.key)));
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(SnsError::TagLimitExceeded);
    }
    Ok(tags.into_iter().map(|tag| Tag { key: tag.key, value: tag.value }).collect())
}

/// The condition keys that follow from tags of a request.
pub(super) fn in_request(mut conditions: Context, tags: &[Tag]) -> Context {
    for tag in tags {
        conditions.insert(&format!("aws:RequestTag/{}", tag.key), tag.value.as_str());
    }
    if !tags.is_empty() {
        conditions.insert_all("aws:TagKeys", tags.iter().map(|tag| tag.key.as_str()));
    }
    conditions
}

pub(super) async fn list(cx: &Cx<'_>, input: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, SnsError> {
    let topic = cx.topic(&input.resource_arn, "SNS:ListTagsForResource").await.map_err(no_resource)?;
    let tags = topic.tags.into_iter().map(|tag| WireTag { key: tag.key, value: tag.value });
    Ok(ListTagsForResourceOutput { tags: Some(tags.collect()) })
}

pub(super) async fn add(cx: &Cx<'_>, input: TagResourceInput) -> Result<TagResourceOutput, SnsError> {
    let tags = from_wire(input.tags)?;
    let conditions = in_request(cx.conditions(), &tags);
    change(cx, &input.resource_arn, "SNS:TagResource", conditions, |topic| {
        for tag in tags {
            match topic.tags.iter_mut().find(|one| one.key == tag.key) {
                Some(one) => one.value = tag.value,
                None => topic.tags.push(tag),
            }
        }
    })
    .await?;
    Ok(TagResourceOutput {})
}

pub(super) async fn remove(cx: &Cx<'_>, input: UntagResourceInput) -> Result<UntagResourceOutput, SnsError> {
    let mut conditions = cx.conditions();
    conditions.insert_all("aws:TagKeys", input.tag_keys.iter().map(String::as_str));
    let keys = input.tag_keys;
    let change_tags = |topic: &mut Topic| topic.tags.retain(|tag| !keys.contains(&tag.key));
    change(cx, &input.resource_arn, "SNS:UntagResource", conditions, change_tags).await?;
    Ok(UntagResourceOutput {})
}

async fn change(
    cx: &Cx<'_>,
    arn: &str,
    action: &str,
    conditions: Context,
    change: impl FnOnce(&mut Topic),
) -> Result<(), SnsError> {
    cx.topic_under(arn, action, conditions).await.map_err(no_resource)?;
    let _changing = cx.sns.changing.lock().await;
    let found = cx.sns.repository.topic(&cx.topic_arn(arn)?).await?.ok_or(SnsError::ResourceNotFound)?;
    let mut topic = found.value;
    change(&mut topic);
    if topic.tags.len() > MOST_TAGS {
        return Err(SnsError::TagLimitExceeded);
    }
    cx.sns.repository.commit(vec![put_topic(&topic, Expect::Revision(found.revision))]).await
}

/// These operations say `ResourceNotFound` for a topic that is not there.
fn no_resource(error: SnsError) -> SnsError {
    match error {
        SnsError::NotFound(_) => SnsError::ResourceNotFound,
        other => other,
    }
}
