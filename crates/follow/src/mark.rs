use bytes::Bytes;
use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};

/// An entry of the journal ([`opentrail_model::Source::Control`]) that closes a batch of records: which files they are
/// of. It is there if and only if the records are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// [`Source::name`](crate::Source).
    pub(crate) source: String,
    pub(crate) files: Vec<TakenFile>,
    pub(crate) counts: Counts,
}

/// A file that records were taken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenFile {
    pub(crate) key: String,
    /// When the bucket says that it was put.
    pub(crate) modified: Timestamp,
    /// How many of its records have been taken, from the first on.
    pub(crate) records: u64,
    /// Whether these are all.
    pub(crate) done: bool,
    /// The minute in its name.
    pub(crate) minute: Timestamp,
}

/// What became of the records of a batch, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Counts {
    /// Files of which the last record was taken.
    pub files: u64,
    /// Records that are in the journal.
    pub records: u64,
    /// Records that were there already.
    pub duplicates: u64,
    /// Records of accounts of this server that the source may not bring.
    pub refused: u64,
    /// Bytes of the records that are in the journal or were there already.
    pub bytes: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: Self) {
        self.files += more.files;
        self.records += more.records;
        self.duplicates += more.duplicates;
        self.refused += more.refused;
        self.bytes += more.bytes;
    }
}

/// With a name of its own, since other changes are entries of the journal, too.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Change {
    TakeLogFiles(Mark),
}

impl Mark {
    /// The entry's body.
    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(&Change::TakeLogFiles(self.clone())).expect("a mark serializes to JSON").into()
    }

    /// Reads an entry's body; `None` when it is a change of something else.
    pub fn from_bytes(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(|Change::TakeLogFiles(mark)| mark)
    }
}
