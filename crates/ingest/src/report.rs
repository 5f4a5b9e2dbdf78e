use opentrail_model::Position;
use serde::{Deserialize, Serialize};

/// What became of the records of one body. As JSON:
/// `{"Accepted":n,"Duplicates":n,"Refused":[{"Index":i,"Reason":"…"}],"RefusedCount":n}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// Records that are durable now.
    pub accepted: u64,
    /// Records that were kept before, or that are in the body twice.
    pub duplicates: u64,
    /// The first refused records, at most [`MAX_REFUSED`](Self::MAX_REFUSED).
    pub refused: Vec<Refused>,
    /// How many records were refused in all.
    pub refused_count: u64,
    /// The position of the first accepted record. Others' records may stand between these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_position: Option<Position>,
    /// The position of the last accepted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_position: Option<Position>,
}

/// A record that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Refused {
    /// Which one of the body, counted from 0. Blank lines do not count.
    pub index: u64,
    /// What to change.
    pub reason: String,
}

impl Report {
    /// The most refused records that a report names.
    pub const MAX_REFUSED: usize = 1000;

    pub(crate) fn refuse(&mut self, index: u64, reason: String) {
        self.refused_count += 1;
        if self.refused.len() < Self::MAX_REFUSED {
            self.refused.push(Refused { index, reason });
        }
    }
}
