//! Operations on tags.

use opentrail_wire::kms as wire;
use opentrail_wire::kms::{ListResourceTagsInput, ListResourceTagsOutput, TagResourceInput, UntagResourceInput};

use super::keys::{refuse_alias, require_not_pending};
use super::paging::{Asked, page};
use super::{Cx, Reach, require_customers};
use crate::error::KmsError;
use crate::key::Tag;

/// Tags of one key. (KMS Developer Guide, "Resource quotas".)
const MOST: usize = 50;

pub(super) async fn add(cx: &Cx<'_>, input: TagResourceInput) -> Result<(), KmsError> {
    refuse_alias(&input.key_id)?;
    let mut found = cx.key(&input.key_id, "kms:TagResource", Reach::OwnAccount).await?;
    require_customers(&found.key)?;
    require_not_pending(&found.key)?;
    found.key.tags = put(std::mem::take(&mut found.key.tags), from_wire(input.tags))?;
    cx.kms.keys.replace(&found.key, found.revision).await
}

pub(super) async fn remove(cx: &Cx<'_>, input: UntagResourceInput) -> Result<(), KmsError> {
    refuse_alias(&input.key_id)?;
    let mut found = cx.key(&input.key_id, "kms:UntagResource", Reach::OwnAccount).await?;
    require_customers(&found.key)?;
    require_not_pending(&found.key)?;
    found.key.tags.retain(|tag| !input.tag_keys.contains(&tag.key));
    cx.kms.keys.replace(&found.key, found.revision).await
}

pub(super) async fn list(cx: &Cx<'_>, input: ListResourceTagsInput) -> Result<ListResourceTagsOutput, KmsError> {
    refuse_alias(&input.key_id)?;
    let found = cx.key(&input.key_id, "kms:ListResourceTags", Reach::OwnAccount).await?;
    let mut tags = found.key.tags;
    tags.sort_by(|a, b| a.key.cmp(&b.key));
    let asked = Asked { limit: input.limit, marker: input.marker };
    let list = format!("tags/{}", found.key.id);
    let after = asked.after(cx, &list)?;
    let page = page(cx, &list, &after, asked.limit(50, 50), tags, |tag| tag.key.clone());
    let shown = |tag: Tag| wire::Tag { tag_key: tag.key, tag_value: tag.value };
    Ok(ListResourceTagsOutput {
        tags: Some(page.items.into_iter().map(shown).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}

pub(super) fn from_wire(tags: Vec<wire::Tag>) -> Vec<Tag> {
    tags.into_iter().map(|tag| Tag { key: tag.tag_key, value: tag.tag_value }).collect()
}

/// `tags` with `more`, which take the place of those with the same keys. (API Reference, TagResource; KMS Developer
/// Guide, "Tags in AWS KMS".)
pub(super) fn put(mut tags: Vec<Tag>, more: Vec<Tag>) -> Result<Vec<Tag>, KmsError> {
    for (index, tag) in more.iter().enumerate() {
        if more[..index].iter().any(|other| other.key == tag.key) {
            return Err(KmsError::Tag(format!("The tag {:?} is given twice.", tag.key)));
        }
        if tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(KmsError::Tag("Tag keys that begin with aws: are reserved.".to_owned()));
        }
    }
    for tag in more {
        match tags.iter_mut().find(|old| old.key == tag.key) {
            Some(old) => *old = tag,
            None => tags.push(tag),
        }
    }
    if tags.len() > MOST {
        return Err(KmsError::LimitExceeded(format!("A key has at most {MOST} tags.")));
    }
    Ok(tags)
}
