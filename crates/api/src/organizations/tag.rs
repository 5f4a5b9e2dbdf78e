use std::collections::{BTreeMap, HashSet};

use opentrail_organizations::Organization;
use opentrail_wire::organizations::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, UntagResourceInput,
};

use super::asked::{Asked, Circumstances};
use super::change::Committed;
use super::page::{Page, Wanted, page};
use super::{Outcome, error, quota};

type Tags = BTreeMap<String, String>;

/// The tags with new ones, which take the place of those with the same key.
pub(super) fn put(mut tags: Tags, new: Vec<Tag>) -> Outcome<Tags> {
    let mut seen = HashSet::new();
    for Tag { key, value } in new {
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            let message = "Keys that begin with aws: are system tags, which cannot be added or changed.";
            return Err(error::invalid("INVALID_SYSTEM_TAGS_PARAMETER", message));
        }
        if !seen.insert(key.to_lowercase()) {
            return Err(error::invalid("DUPLICATE_TAG_KEY", format!("The tag key {key:?} is given twice.")));
        }
        tags.insert(key, value);
    }
    if tags.len() > quota::TAGS {
        let message = format!("A resource has at most {} tags.", quota::TAGS);
        return Err(error::constraint("MAX_TAG_LIMIT_EXCEEDED", message));
    }
    Ok(tags)
}

/// Adds tags to the root, a unit or an account.
pub(super) async fn tag_resource(asked: Asked<'_>, input: TagResourceInput) -> Outcome<Committed> {
    let id = input.resource_id;
    authorize(&asked, &id, &input.tags, &[])?;
    let before = asked.managed()?;
    let tags = put(of(&before, &id)?, input.tags)?;
    let mut after = Organization::clone(&before);
    after.tags.insert(id, tags);
    asked.replace(before, after).await
}

/// Takes tags from the root, a unit or an account. A key that is not there is passed over, as in AWS.
pub(super) async fn untag_resource(asked: Asked<'_>, input: UntagResourceInput) -> Outcome<Committed> {
    let id = input.resource_id;
    authorize(&asked, &id, &[], &input.tag_keys)?;
    let before = asked.managed()?;
    let mut tags = of(&before, &id)?;
    input.tag_keys.iter().for_each(|key| {
        tags.remove(key);
    });
    let mut after = Organization::clone(&before);
    match tags.is_empty() {
        true => after.tags.remove(&id),
        false => after.tags.insert(id, tags),
    };
    asked.replace(before, after).await
}

/// The tags of the root, a unit or an account: all of them on one page.
pub(super) fn list_tags(asked: &Asked<'_>, input: &ListTagsForResourceInput) -> Outcome<ListTagsForResourceOutput> {
    authorize(asked, &input.resource_id, &[], &[])?;
    let organization = asked.administered()?;
    let tags = of(&organization, &input.resource_id)?;
    let items = tags.into_iter().map(|(key, value)| (key.clone(), Tag { key, value }));
    let wanted = Wanted { next_token: input.next_token.as_ref(), max_results: i32::try_from(quota::TAGS).ok() };
    let Page { items, next_token } = page(asked, items, &input.resource_id, &wanted)?;
    Ok(ListTagsForResourceOutput { tags: Some(items), next_token })
}

fn of(organization: &Organization, id: &str) -> Outcome<Tags> {
    let account = id.parse().ok().is_some_and(|account| organization.members.contains_key(&account));
    if !account && !organization.has_parent(id) {
        return Err(error::no_target());
    }
    Ok(organization.tags.get(id).cloned().unwrap_or_default())
}

fn authorize(asked: &Asked<'_>, id: &str, tags: &[Tag], tag_keys: &[String]) -> Outcome<()> {
    let organization = asked.view.of(asked.account()).cloned();
    let resource_tags = organization.as_ref().and_then(|organization| organization.tags.get(id));
    let circumstances = Circumstances { resource_tags, tags, tag_keys, ..Circumstances::default() };
    match id.starts_with(|c: char| c.is_ascii_digit()) {
        true => asked.authorize_on_account(id, &circumstances),
        false => asked.authorize_on_parent(id, &circumstances),
    }
}
