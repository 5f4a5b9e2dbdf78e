use bytes::Bytes;
use opentrail_event::Event;
use opentrail_model::{AccountId, Position, Region, Timestamp};
use serde::{Deserialize, Serialize};

/// What an event must have, compared for equality and case-sensitively. (API Reference, `LookupAttribute`.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupAttribute {
    /// `eventID`.
    EventId(String),
    /// `eventName`.
    EventName(String),
    /// `readOnly`; an event without it has neither value.
    ReadOnly(bool),
    /// The derived user name.
    Username(String),
    /// The type of any of the derived resources.
    ResourceType(String),
    /// The name of any of the derived resources.
    ResourceName(String),
    /// `eventSource`.
    EventSource(String),
    /// `userIdentity.accessKeyId`.
    AccessKeyId(String),
}

/// Which events: CloudTrail's event categories that the history keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Category {
    /// Management events.
    Management,
    /// Insights events.
    Insight,
}

impl Category {
    /// As `eventCategory` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Insight => "Insight",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Management, Self::Insight].into_iter().find(|category| category.as_str() == text)
    }
}

/// A search of one account's events in one Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupQuery {
    /// Whose events.
    pub account: AccountId,
    /// Recorded in which Region.
    pub region: Region,
    /// Of which category.
    pub category: Category,
    /// With what; all when `None`.
    pub attribute: Option<LookupAttribute>,
    /// Not older, inclusive.
    pub start: Option<Timestamp>,
    /// Not newer, inclusive.
    pub end: Option<Timestamp>,
    /// The most events on the page.
    pub max_results: usize,
    /// Continue after the page that gave this cursor.
    pub before: Option<Cursor>,
}

/// A place between two events, newest first: after the last event of a page. It stays where it is while events
/// arrive: no event is seen twice. One whose time lies before pages already read is not seen by that walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// The time of the last event seen.
    pub event_time: Timestamp,
    /// Its position, which orders events of one millisecond.
    pub position: Position,
}

/// One page of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupPage {
    /// Newest first.
    pub events: Vec<LookupEvent>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Cursor>,
}

/// One event found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupEvent {
    /// `eventID`.
    pub event_id: Option<String>,
    /// `eventName`.
    pub event_name: Option<String>,
    /// `readOnly`.
    pub read_only: Option<bool>,
    /// `userIdentity.accessKeyId`.
    pub access_key_id: Option<String>,
    /// `eventTime`, or when the server received the record if that is no time or an implausible one.
    pub event_time: Timestamp,
    /// `eventSource`.
    pub event_source: Option<String>,
    /// The derived user name.
    pub username: Option<String>,
    /// The derived resources: type and name.
    pub resources: Vec<(Option<String>, Option<String>)>,
    /// The record, byte for byte.
    pub raw: Bytes,
}

impl LookupEvent {
    /// The event, whose record is `raw`, as it stands at `cursor`.
    pub(crate) fn of(event: Event<'_>, cursor: Cursor, raw: Bytes) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            event_id: owned(event.id()),
            event_name: owned(event.name()),
            read_only: event.read_only(),
            access_key_id: owned(event.access_key_id()),
            event_time: cursor.event_time,
            event_source: owned(event.event_source()),
            username: owned(event.username()),
            resources: event.lookup_resources().map(|(kind, name)| (owned(kind), owned(name))).collect(),
            raw,
        }
    }
}
