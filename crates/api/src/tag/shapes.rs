//! Tags in the shapes of the API.

use opentrail_trails::Tag;
use opentrail_wire::cloudtrail as wire;

/// The tags that a request gives.
pub(crate) fn from_wire(tags: Vec<wire::Tag>) -> Vec<Tag> {
    tags.into_iter().map(|tag| Tag { key: tag.key, value: tag.value }).collect()
}

/// The tags as they are answered.
pub(crate) fn to_wire(tags: &[Tag]) -> Vec<wire::Tag> {
    tags.iter().map(|tag| wire::Tag { key: tag.key.clone(), value: tag.value.clone() }).collect()
}
