//! Operations on tags: those of groups by name, which are the old ones, and those of resources by ARN.

use std::collections::BTreeMap;

use opentrail_wire::logs::{
    ListTagsForResourceInput, ListTagsForResourceOutput, ListTagsLogGroupInput, ListTagsLogGroupOutput,
    TagLogGroupInput, TagResourceInput, UntagLogGroupInput, UntagResourceInput,
};

use super::Cx;
use crate::error::{LogsError, invalid};
use crate::place::GroupPlace;
use crate::store::GroupRow;

/// (API Reference, TagResource.)
const MOST: usize = 50;

pub(super) async fn add(cx: &Cx<'_>, input: TagResourceInput) -> Result<(), LogsError> {
    let place = of_arn(&input.resource_arn)?;
    change(cx, &place, "logs:TagResource", input.tags).await
}

pub(super) async fn add_to_group(cx: &Cx<'_>, input: TagLogGroupInput) -> Result<(), LogsError> {
    change(cx, &cx.own_group(&input.log_group_name), "logs:TagLogGroup", input.tags).await
}

pub(super) async fn remove(cx: &Cx<'_>, input: UntagResourceInput) -> Result<(), LogsError> {
    let place = of_arn(&input.resource_arn)?;
    take(cx, &place, "logs:UntagResource", input.tag_keys).await
}

pub(super) async fn remove_from_group(cx: &Cx<'_>, input: UntagLogGroupInput) -> Result<(), LogsError> {
    take(cx, &cx.own_group(&input.log_group_name), "logs:UntagLogGroup", input.tags).await
}

pub(super) async fn list(cx: &Cx<'_>, input: ListTagsForResourceInput) -> Result<ListTagsForResourceOutput, LogsError> {
    let place = of_arn(&input.resource_arn)?;
    let group = cx.group_at(&place, "logs:ListTagsForResource", None).await?;
    Ok(ListTagsForResourceOutput { tags: Some(group.tags) })
}

pub(super) async fn list_of_group(
    cx: &Cx<'_>,
    input: ListTagsLogGroupInput,
) -> Result<ListTagsLogGroupOutput, LogsError> {
    let group = cx.group(&input.log_group_name, "logs:ListTagsLogGroup").await?;
    Ok(ListTagsLogGroupOutput { tags: Some(group.tags) })
}

async fn change(
    cx: &Cx<'_>,
    place: &GroupPlace,
    action: &str,
    tags: BTreeMap<String, String>,
) -> Result<(), LogsError> {
    let group = allowed(cx, place, action, tags.iter().map(|(key, value)| (key, Some(value)))).await?;
    cx.logs.shared.store.change_tags(group.id, |all| put(all, tags)).await
}

async fn take(cx: &Cx<'_>, place: &GroupPlace, action: &str, keys: Vec<String>) -> Result<(), LogsError> {
    let group = allowed(cx, place, action, keys.iter().map(|key| (key, None))).await?;
    let retain = |all: &mut BTreeMap<String, String>| {
        all.retain(|key, _| !keys.contains(key));
        Ok(())
    };
    cx.logs.shared.store.change_tags(group.id, retain).await
}

/// The group, whose tags the policies must allow to be changed so.
async fn allowed<'t>(
    cx: &Cx<'_>,
    place: &GroupPlace,
    action: &str,
    tags: impl IntoIterator<Item = (&'t String, Option<&'t String>)>,
) -> Result<GroupRow, LogsError> {
    cx.group_under(place, action, None, cx.conditions_with_tags(tags)).await
}

fn of_arn(arn: &str) -> Result<GroupPlace, LogsError> {
    GroupPlace::from_arn(arn).map_err(|error| invalid(format!("{error}.")))
}

/// Adds tags, which take the place of those with the same keys.
pub(super) fn put(all: &mut BTreeMap<String, String>, more: BTreeMap<String, String>) -> Result<(), LogsError> {
    if more.keys().any(|key| key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))) {
        return Err(invalid("Tag keys that begin with aws: are reserved."));
    }
    all.extend(more);
    if all.len() > MOST {
        return Err(LogsError::TooManyTags(format!("A log group has at most {MOST} tags.")));
    }
    Ok(())
}
