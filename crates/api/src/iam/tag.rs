use std::collections::{BTreeMap, HashSet};

use opentrail_identity::Edit;
use opentrail_wire::iam::{
    ListPolicyTagsInput, ListPolicyTagsOutput, ListRoleTagsInput, ListRoleTagsOutput, ListUserTagsInput,
    ListUserTagsOutput, Tag, TagPolicyInput, TagPolicyOutput, TagRoleInput, TagRoleOutput, TagUserInput, TagUserOutput,
    UntagPolicyInput, UntagPolicyOutput, UntagRoleInput, UntagRoleOutput, UntagUserInput, UntagUserOutput,
};

use super::asked::{Asked, Circumstances};
use super::page::{Page, page};
use super::{Outcome, error, quota};

type Tags = BTreeMap<String, String>;

/// The tags of something new.
pub(super) fn new_tags(tags: &[Tag]) -> Outcome<Tags> {
    let mut made = Tags::new();
    add(&mut made, tags)?;
    Ok(made)
}

/// Adds tags. A key that is there in another case is replaced: tag keys of IAM have no case.
/// (IAM User Guide, "Tags for AWS IAM resources".)
fn add(tags: &mut Tags, new: &[Tag]) -> Outcome<()> {
    let mut seen = HashSet::new();
    for tag in new {
        let lower = tag.key.to_lowercase();
        if lower.starts_with("aws:") {
            return Err(error::invalid("System tags, whose keys begin with aws:, cannot be added or changed."));
        }
        if !seen.insert(lower) {
            return Err(error::invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
        remove(tags, &tag.key);
        tags.insert(tag.key.clone(), tag.value.clone());
    }
    if tags.len() > quota::TAGS {
        return Err(error::quota("TagsPerResource", quota::TAGS));
    }
    Ok(())
}

fn remove(tags: &mut Tags, key: &str) {
    let lower = key.to_lowercase();
    tags.retain(|key, _| key.to_lowercase() != lower);
}

fn listed(asked: &Asked<'_>, tags: &Tags, marker: Option<&str>, max_items: Option<i32>) -> Outcome<Page<Tag>> {
    let items = tags.iter().map(|(key, value)| (key.clone(), Tag { key: key.clone(), value: value.clone() }));
    page(asked, items, marker, max_items)
}

/// Adds tags to a user.
pub(super) async fn tag_user(asked: Asked<'_>, input: TagUserInput) -> Outcome<TagUserOutput> {
    let circumstances = Circumstances { tags: &input.tags, ..Circumstances::default() };
    let mut user = asked.changeable_user(&input.user_name, &circumstances)?;
    add(&mut user.tags, &input.tags)?;
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(TagUserOutput {})
}

/// Takes tags from a user.
pub(super) async fn untag_user(asked: Asked<'_>, input: UntagUserInput) -> Outcome<UntagUserOutput> {
    let circumstances = Circumstances { tag_keys: &input.tag_keys, ..Circumstances::default() };
    let mut user = asked.changeable_user(&input.user_name, &circumstances)?;
    input.tag_keys.iter().for_each(|key| remove(&mut user.tags, key));
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(UntagUserOutput {})
}

/// The tags of a user.
pub(super) fn list_user_tags(asked: &Asked<'_>, input: &ListUserTagsInput) -> Outcome<ListUserTagsOutput> {
    let user = asked.user(&input.user_name)?;
    let Page { items, is_truncated, marker } = listed(asked, &user.tags, input.marker.as_deref(), input.max_items)?;
    Ok(ListUserTagsOutput { tags: items, is_truncated, marker })
}

/// Adds tags to a role.
pub(super) async fn tag_role(asked: Asked<'_>, input: TagRoleInput) -> Outcome<TagRoleOutput> {
    let circumstances = Circumstances { tags: &input.tags, ..Circumstances::default() };
    let mut role = asked.changeable_role(&input.role_name, &circumstances)?;
    add(&mut role.tags, &input.tags)?;
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(TagRoleOutput {})
}

/// Takes tags from a role.
pub(super) async fn untag_role(asked: Asked<'_>, input: UntagRoleInput) -> Outcome<UntagRoleOutput> {
    let circumstances = Circumstances { tag_keys: &input.tag_keys, ..Circumstances::default() };
    let mut role = asked.changeable_role(&input.role_name, &circumstances)?;
    input.tag_keys.iter().for_each(|key| remove(&mut role.tags, key));
    asked.commit(&[Edit::PutRole(role)]).await?;
    Ok(UntagRoleOutput {})
}

/// The tags of a role.
pub(super) fn list_role_tags(asked: &Asked<'_>, input: &ListRoleTagsInput) -> Outcome<ListRoleTagsOutput> {
    let role = asked.role(&input.role_name)?;
    let Page { items, is_truncated, marker } = listed(asked, &role.tags, input.marker.as_deref(), input.max_items)?;
    Ok(ListRoleTagsOutput { tags: items, is_truncated, marker })
}

/// Adds tags to a managed policy.
pub(super) async fn tag_policy(asked: Asked<'_>, input: TagPolicyInput) -> Outcome<TagPolicyOutput> {
    let circumstances = Circumstances { tags: &input.tags, ..Circumstances::default() };
    let mut policy = asked.own_policy(&input.policy_arn, &circumstances)?;
    add(&mut policy.tags, &input.tags)?;
    let account = asked.account_id();
    asked.commit(&[Edit::PutPolicy(account, Box::new(policy))]).await?;
    Ok(TagPolicyOutput {})
}

/// Takes tags from a managed policy.
pub(super) async fn untag_policy(asked: Asked<'_>, input: UntagPolicyInput) -> Outcome<UntagPolicyOutput> {
    let circumstances = Circumstances { tag_keys: &input.tag_keys, ..Circumstances::default() };
    let mut policy = asked.own_policy(&input.policy_arn, &circumstances)?;
    input.tag_keys.iter().for_each(|key| remove(&mut policy.tags, key));
    let account = asked.account_id();
    asked.commit(&[Edit::PutPolicy(account, Box::new(policy))]).await?;
    Ok(UntagPolicyOutput {})
}

/// The tags of a managed policy.
pub(super) fn list_policy_tags(asked: &Asked<'_>, input: &ListPolicyTagsInput) -> Outcome<ListPolicyTagsOutput> {
    let policy = asked.policy(&input.policy_arn)?;
    let Page { items, is_truncated, marker } = listed(asked, &policy.tags, input.marker.as_deref(), input.max_items)?;
    Ok(ListPolicyTagsOutput { tags: items, is_truncated, marker })
}
