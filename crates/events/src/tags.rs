//! Tags of buses and rules.

use opentrail_wire::events as wire;
use serde::{Deserialize, Serialize};

use crate::error::EventsError;

/// Tags of one resource. (EventBridge User Guide, "Tagging resources in Amazon EventBridge".)
const MOST: usize = 50;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its key, unique on the resource.
    pub key: String,
    /// Its value.
    pub value: String,
}

pub(crate) fn from_wire(tags: Option<Vec<wire::Tag>>) -> Vec<Tag> {
    tags.unwrap_or_default().into_iter().map(|tag| Tag { key: tag.key, value: tag.value }).collect()
}

pub(crate) fn to_wire(tags: &[Tag]) -> Vec<wire::Tag> {
    tags.iter().map(|tag| wire::Tag { key: tag.key.clone(), value: tag.value.clone() }).collect()
}

/// `tags` with `more`, which take the place of those with the same keys.
pub(crate) fn put(mut tags: Vec<Tag>, more: Vec<Tag>) -> Result<Vec<Tag>, EventsError> {
    for (index, tag) in more.iter().enumerate() {
        if more[..index].iter().any(|other| other.key == tag.key) {
            return Err(EventsError::Validation(format!("The tag key {:?} is given twice.", tag.key)));
        }
        if tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(EventsError::Validation("Tag keys that begin with aws: are reserved.".to_owned()));
        }
    }
    for tag in more {
        match tags.iter_mut().find(|old| old.key == tag.key) {
            Some(old) => *old = tag,
            None => tags.push(tag),
        }
    }
    if tags.len() > MOST {
        return Err(EventsError::LimitExceeded(format!("A resource has at most {MOST} tags.")));
    }
    Ok(tags)
}
