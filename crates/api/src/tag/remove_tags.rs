use opentrail_wire::cloudtrail::{RemoveTagsInput, RemoveTagsOutput};

use super::resource::From;
use super::{from_wire, validation};
use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Changed;

/// Removes tags from a trail by key; values are ignored, and so are keys that it does not have.
pub(crate) async fn remove_tags(cx: Context<'_>, input: RemoveTagsInput) -> Outcome<Changed<RemoveTagsOutput>> {
    let removed = from_wire(input.tags_list);
    let trail = cx.tagged_trail("RemoveTags", &input.resource_id, &removed, From::Home).await?;
    let mut changed = trail.value;
    let tags = validation::remove(&changed.tags, &removed);
    if tags == changed.tags {
        return Ok(Changed::nothing(RemoveTagsOutput {}));
    }
    changed.tags = tags;
    Ok(Changed::new(RemoveTagsOutput {}, cx.replace(changed, trail.revision, RecordOrder::RecordFirst).await?))
}
