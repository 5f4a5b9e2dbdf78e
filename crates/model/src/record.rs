use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::AccountId;

/// The largest record that the journal takes, in bytes of its JSON. (An event data store with
/// `MaxEventSize: Large` takes 1 MB; nothing in CloudTrail is larger.)
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// How a record came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Source {
    /// A call to OpenTrail's own API.
    Api = 1,
    /// A call that crossed a recording gateway.
    Gateway = 2,
    /// `POST /v1/records`.
    Records = 3,
    /// `opentrail import`: goes to history, not to trails.
    Import = 4,
    /// No record: a change of configuration that takes effect at this position.
    Control = 5,
    /// An event of an application, put to a channel: goes to the event data stores that have the channel, to no other.
    Channel = 6,
    /// A record of CloudTrail Insights, made here of the events before it.
    Insights = 7,
    /// The same for the event data store that it names: goes to that store's destination, to no other.
    StoreInsights = 8,
}

impl Source {
    /// The source whose stored number is `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Api,
            Self::Gateway,
            Self::Records,
            Self::Import,
            Self::Control,
            Self::Channel,
            Self::Insights,
            Self::StoreInsights,
        ]
        .into_iter()
        .find(|source| *source as u8 == byte)
    }

    /// Whether what came so is for trails, rules and whoever looks at what happens now: neither history that was imported nor what
    /// event data stores alone take.
    pub fn is_news(self) -> bool {
        matches!(self, Self::Api | Self::Gateway | Self::Records | Self::Insights)
    }
}

/// One CloudTrail event: the bytes of its JSON object exactly as they came, and whom it is for.
///
/// The bytes are never reshaped. They are one JSON object in UTF-8 of at most [`MAX_RECORD_BYTES`]; that is all a
/// record promises, since real ones lack fields, repeat keys and change types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How it came in.
    pub source: Source,
    /// The recipient: whose history and trails it belongs to.
    pub account: AccountId,
    /// The JSON object.
    pub raw: Bytes,
}

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not UTF-8, or not one JSON value.
    #[error("not valid JSON: {reason} at byte {offset}")]
    Json {
        /// The parser's word.
        reason: String,
        /// Where it stopped.
        offset: usize,
    },
    /// Valid JSON, but no object.
    #[error("a record must be a JSON object")]
    NotAnObject,
    /// Larger than [`MAX_RECORD_BYTES`].
    #[error("the record has {size_bytes} bytes, more than the {MAX_RECORD_BYTES} allowed")]
    TooLarge {
        /// Bytes given.
        size_bytes: usize,
    },
    /// Objects or arrays inside one another too deep.
    #[error("the record nests deeper than {limit} levels")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
}
