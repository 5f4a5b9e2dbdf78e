use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Trail, TrailKey};

/// A change of a trail, as an entry of the journal ([`opentrail_model::Source::Control`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrailChange {
    /// The trail is as given from here on. One with a smaller or equal version than already seen changes nothing.
    PutTrail(Box<Trail>),
    /// The trail is gone from here on.
    DeleteTrail(TrailKey),
}

impl TrailChange {
    /// The entry's body.
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("a trail serializes to JSON").into()
    }

    /// Reads an entry's body; `None` when it is a change of something else.
    pub fn from_bytes(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Which trail changes.
    pub fn key(&self) -> &TrailKey {
        match self {
            Self::PutTrail(trail) => &trail.key,
            Self::DeleteTrail(key) => key,
        }
    }
}
