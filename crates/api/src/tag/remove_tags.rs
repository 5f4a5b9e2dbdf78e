use opentrail_wire::cloudtrail::{RemoveTagsInput, RemoveTagsOutput};

use super::resource::From;
use super::{from_wire, validation};
use crate::context::{Context, Outcome};
use crate::trail::Changed;

/// Removes tags from a trail, an event data store, a channel or a dashboard by key; values are ignored, and so are keys that it does not have.
pub(crate) async fn remove_tags(cx: Context<'_>, input: RemoveTagsInput) -> Outcome<Changed<RemoveTagsOutput>> {
    let removed = from_wire(input.tags_list);
    let resource = cx.tagged("RemoveTags", &input.resource_id, &removed, From::Home).await?;
    let tags = validation::remove(resource.tags(), &removed);
    if tags == resource.tags() {
        return Ok(Changed::nothing(RemoveTagsOutput {}));
    }
    Ok(Changed { output: RemoveTagsOutput {}, change: resource.retag(cx, tags).await? })
}
