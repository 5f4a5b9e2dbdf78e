//! TagResource, UntagResource, ListTagsForResource: tags of alarms.

use std::sync::Arc;

use opentrail_identity::Context;
use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput, UntagResourceInput,
    UntagResourceOutput, errors,
};

use super::check::{self, MAX_TAGS, invalid};
use super::{Cx, failed};
use crate::alarm::{AlarmKey, Change, Loaded};

pub(super) async fn tag_resource(cx: &Cx<'_>, input: TagResourceInput) -> Result<TagResourceOutput, CodedError> {
    let key = key(cx, &input.resource_arn)?;
    let mut context: Context = cx.conditions.clone();
    context.insert_all("aws:TagKeys", input.tags.iter().map(|tag| tag.key.clone()));
    input.tags.iter().for_each(|tag| context.insert(&format!("aws:RequestTag/{}", tag.key), tag.value.as_str()));
    cx.authorize_alarm("TagResource", &key.name, context)?;
    let tags = check::tags(&input.tags)?;
    let changing = cx.monitoring.alarms.changing().await.map_err(failed)?;
    let mut alarm = require(cx, &key)?.alarm.clone();
    alarm.tags.extend(tags);
    if alarm.tags.len() > MAX_TAGS {
        return Err(invalid(format!("{} would have more than {MAX_TAGS} tags", alarm.arn())));
    }
    changing.commit(vec![Change::silent(alarm)]).await.map_err(failed)?;
    Ok(TagResourceOutput {})
}

pub(super) async fn untag_resource(cx: &Cx<'_>, input: UntagResourceInput) -> Result<UntagResourceOutput, CodedError> {
    let key = key(cx, &input.resource_arn)?;
    let mut context: Context = cx.conditions.clone();
    context.insert_all("aws:TagKeys", input.tag_keys.iter().cloned());
    cx.authorize_alarm("UntagResource", &key.name, context)?;
    let changing = cx.monitoring.alarms.changing().await.map_err(failed)?;
    let mut alarm = require(cx, &key)?.alarm.clone();
    alarm.tags.retain(|key, _| !input.tag_keys.contains(key));
    changing.commit(vec![Change::silent(alarm)]).await.map_err(failed)?;
    Ok(UntagResourceOutput {})
}

pub(super) fn list_tags_for_resource(
    cx: &Cx<'_>,
    input: ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput, CodedError> {
    let key = key(cx, &input.resource_arn)?;
    cx.authorize_alarm("ListTagsForResource", &key.name, cx.conditions.clone())?;
    let loaded = require(cx, &key)?;
    let tags = loaded.alarm.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() });
    Ok(ListTagsForResourceOutput { tags: Some(tags.collect()) })
}

/// The alarm that an ARN names: of the caller's account and Region.
fn key(cx: &Cx<'_>, arn: &str) -> Result<AlarmKey, CodedError> {
    let prefix = cx.alarms_arn("");
    match arn.strip_prefix(&prefix).filter(|name| !name.is_empty()) {
        Some(name) => Ok(cx.key(name)),
        None => {
            Err(invalid(format!("The value {arn} for parameter ResourceARN must be the ARN of an alarm: {prefix}…")))
        }
    }
}

fn require(cx: &Cx<'_>, key: &AlarmKey) -> Result<Arc<Loaded>, CodedError> {
    let found = cx.monitoring.alarms.find(key);
    found.ok_or_else(|| errors::resource_not_found_exception(format!("There is no alarm {}", key.arn())))
}
