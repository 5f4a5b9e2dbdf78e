//! Operations on tags of rules and buses.

use opentrail_catalog::Expect;
use opentrail_wire::events::{
    ListTagsForResourceInput, ListTagsForResourceOutput, TagResourceInput, TagResourceOutput, UntagResourceInput,
    UntagResourceOutput,
};

use super::Cx;
use crate::bus::EventBus;
use crate::error::EventsError;
use crate::place::{BusPlace, RulePlace};
use crate::rule::Rule;
use crate::tags::{self, Tag};

/// What has tags.
enum Tagged {
    Bus(EventBus, Expect),
    Rule(Rule, Expect),
}

impl Tagged {
    fn tags(&mut self) -> &mut Vec<Tag> {
        match self {
            Self::Bus(bus, _) => &mut bus.tags,
            Self::Rule(rule, _) => &mut rule.tags,
        }
    }
}

pub(super) async fn add(cx: &Cx<'_>, input: TagResourceInput) -> Result<TagResourceOutput, EventsError> {
    let _changing = cx.events.changing().await;
    let mut tagged = require(cx, "events:TagResource", &input.resource_arn).await?;
    let new = tags::from_wire(Some(input.tags));
    let all = tags::put(std::mem::take(tagged.tags()), new)?;
    *tagged.tags() = all;
    store(cx, &tagged).await?;
    Ok(TagResourceOutput {})
}

pub(super) async fn remove(cx: &Cx<'_>, input: UntagResourceInput) -> Result<UntagResourceOutput, EventsError> {
    let _changing = cx.events.changing().await;
    let mut tagged = require(cx, "events:UntagResource", &input.resource_arn).await?;
    tagged.tags().retain(|tag| !input.tag_keys.contains(&tag.key));
    store(cx, &tagged).await?;
    Ok(UntagResourceOutput {})
}

pub(super) async fn list(
    cx: &Cx<'_>,
    input: ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput, EventsError> {
    let mut tagged = require(cx, "events:ListTagsForResource", &input.resource_arn).await?;
    Ok(ListTagsForResourceOutput { tags: Some(tags::to_wire(tagged.tags())) })
}

async fn require(cx: &Cx<'_>, action: &str, arn: &str) -> Result<Tagged, EventsError> {
    cx.authorize(action, arn)?;
    let is_ours = |bus: &BusPlace| bus.account == cx.account() && bus.region == *cx.region();
    if let Some(place) = RulePlace::parse(arn).filter(|place| is_ours(&place.bus)) {
        let found = cx.events.documents.rule(&place).await?;
        return Ok(Tagged::Rule(found.value, Expect::Revision(found.revision)));
    }
    if let Some(place) =
        BusPlace::parse(arn, cx.account(), cx.region()).filter(|place| arn == place.arn() && is_ours(place))
    {
        let (bus, expect) = cx.events.documents.bus(&place).await?;
        return Ok(Tagged::Bus(bus, expect));
    }
    Err(EventsError::NotFound(format!("{arn} is no rule and no event bus of this account and Region.")))
}

async fn store(cx: &Cx<'_>, tagged: &Tagged) -> Result<(), EventsError> {
    match tagged {
        Tagged::Bus(bus, expect) => cx.events.documents.put(bus, *expect).await,
        Tagged::Rule(rule, expect) => cx.events.documents.put(rule, *expect).await,
    }
}
