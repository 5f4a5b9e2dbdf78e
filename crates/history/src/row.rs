use std::cmp::Ordering;
use std::time::Duration;

use bytes::Bytes;
use opentrail_event::Event;
use opentrail_model::{AccountId, Position, Timestamp};

use crate::{Category, Cursor, LookupAttribute, LookupEvent};

/// How far an `eventTime` may lie ahead of the record's arrival and be believed.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// Where events without `awsRegion` are found. A choice: it is where CloudTrail records global services.
const NO_REGION: &str = "us-east-1";

/// The type and the name of a resource.
type Resource = (Option<Box<str>>, Option<Box<str>>);

/// One event as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) position: Position,
    pub(crate) account: AccountId,
    pub(crate) region: Box<str>,
    pub(crate) category: Category,
    pub(crate) time: Timestamp,
    pub(crate) event_id: Option<Box<str>>,
    pub(crate) event_name: Option<Box<str>>,
    pub(crate) event_source: Option<Box<str>>,
    pub(crate) username: Option<Box<str>>,
    pub(crate) access_key_id: Option<Box<str>>,
    pub(crate) read_only: Option<bool>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) raw: Bytes,
}

/// Whose events lie together, in files and in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group<'a> {
    pub(crate) account: AccountId,
    pub(crate) region: &'a str,
    pub(crate) category: Category,
}

impl Row {
    /// The event as a row; `None` when the history does not keep it: another category, older than `oldest`, or an event of Insights that
    /// names its source, a trail for data events or an event data store. (API Reference, `ListInsightsData`.)
    ///
    /// An `eventTime` that is none, or more than a day ahead of the arrival, gives way to the arrival, so that a
    /// hostile record can neither sit at the top for ever nor open a partition of its own.
    pub(crate) fn of(event: Event<'_>, oldest: Timestamp) -> Option<Self> {
        let category = Category::parse(event.category())?;
        let time = event.time().filter(|time| *time <= event.received() + AHEAD).unwrap_or(event.received());
        if time < oldest || (category == Category::Insight && event.insight().source.is_some()) {
            return None;
        }
        let owned = |text: Option<&str>| text.map(Box::from);
        Some(Self {
            position: event.position(),
            account: event.account(),
            region: event.region().unwrap_or(NO_REGION).into(),
            category,
            time,
            event_id: owned(event.id()),
            event_name: owned(event.name()),
            event_source: owned(event.event_source()),
            username: owned(event.username()),
            access_key_id: owned(event.access_key_id()),
            read_only: event.read_only(),
            resources: event.lookup_resources().map(|(kind, name)| (owned(kind), owned(name))).collect(),
            raw: Bytes::copy_from_slice(event.raw()),
        })
    }

    pub(crate) fn group(&self) -> Group<'_> {
        Group { account: self.account, region: &self.region, category: self.category }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { event_time: self.time, position: self.position }
    }

    /// The order of rows in a file: by group, in it newest first.
    pub(crate) fn file_order(&self, other: &Self) -> Ordering {
        self.group().cmp(&other.group()).then_with(|| other.cursor().cmp(&self.cursor()))
    }

    /// The day of its time in UTC, e.g. `2026-01-02`: its partition.
    pub(crate) fn day(&self) -> String {
        day_of(self.time)
    }

    pub(crate) fn has(&self, attribute: &LookupAttribute) -> bool {
        let is = |field: &Option<Box<str>>, value: &str| field.as_deref() == Some(value);
        match attribute {
            LookupAttribute::EventId(value) => is(&self.event_id, value),
            LookupAttribute::EventName(value) => is(&self.event_name, value),
            LookupAttribute::ReadOnly(value) => self.read_only == Some(*value),
            LookupAttribute::Username(value) => is(&self.username, value),
            LookupAttribute::ResourceType(value) => self.resources.iter().any(|(kind, _)| is(kind, value)),
            LookupAttribute::ResourceName(value) => self.resources.iter().any(|(_, name)| is(name, value)),
            LookupAttribute::EventSource(value) => is(&self.event_source, value),
            LookupAttribute::AccessKeyId(value) => is(&self.access_key_id, value),
        }
    }

    pub(crate) fn to_event(&self) -> LookupEvent {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        LookupEvent {
            event_id: owned(&self.event_id),
            event_name: owned(&self.event_name),
            read_only: self.read_only,
            access_key_id: owned(&self.access_key_id),
            event_time: self.time,
            event_source: owned(&self.event_source),
            username: owned(&self.username),
            resources: self.resources.iter().map(|(kind, name)| (owned(kind), owned(name))).collect(),
            raw: self.raw.clone(),
        }
    }
}

/// The day of `time` in UTC, e.g. `2026-01-02`. Days compare as their times do.
pub(crate) fn day_of(time: Timestamp) -> String {
    time.format("%Y-%m-%d")
}
