use opentrail_wire::cloudtrail::{AddTagsInput, AddTagsOutput};

use super::resource::From;
use super::{from_wire, validation};
use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Changed;

/// Adds tags to a trail; a key that it has gets the new value.
pub(crate) async fn add_tags(cx: Context<'_>, input: AddTagsInput) -> Outcome<Changed<AddTagsOutput>> {
    let tags = from_wire(input.tags_list);
    let trail = cx.tagged_trail("AddTags", &input.resource_id, &tags, From::Home).await?;
    let mut changed = trail.value;
    let tags = validation::put(&changed.tags, tags)?;
    if tags == changed.tags {
        return Ok(Changed::nothing(AddTagsOutput {}));
    }
    changed.tags = tags;
    Ok(Changed::new(AddTagsOutput {}, cx.replace(changed, trail.revision, RecordOrder::RecordFirst).await?))
}
