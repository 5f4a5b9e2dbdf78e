use opentrail_wire::cloudtrail::{AddTagsInput, AddTagsOutput};

use super::resource::From;
use super::{from_wire, validation};
use crate::context::{Context, Outcome};
use crate::trail::Changed;

/// Adds tags to a trail, an event data store, a channel or a dashboard; a key that it has gets the new value.
pub(crate) async fn add_tags(cx: Context<'_>, input: AddTagsInput) -> Outcome<Changed<AddTagsOutput>> {
    let added = from_wire(input.tags_list);
    let resource = cx.tagged("AddTags", &input.resource_id, &added, From::Home).await?;
    let tags = validation::put(resource.tags(), added)?;
    if tags == resource.tags() {
        return Ok(Changed::nothing(AddTagsOutput {}));
    }
    Ok(Changed { output: AddTagsOutput {}, change: resource.retag(cx, tags).await? })
}
