use std::ops::Range;

use arrow_array::{
    Array, BinaryArray, BooleanArray, ListArray, StringArray, StructArray, TimestampMillisecondArray, UInt8Array,
    UInt64Array,
};
use bytes::Bytes;
use opentrail_journal::Entry;
use opentrail_model::{AccountId, Position, Source, Timestamp};

/// A change of configuration that takes effect at its position: it concerns the events after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where it takes effect.
    pub position: Position,
    /// When the server made the change.
    pub received: Timestamp,
    /// The account whose configuration changes.
    pub account: AccountId,
    /// The change, in JSON.
    pub body: Bytes,
}

/// The entries in (`after`, `through`]: records as columns of equal length, changes of configuration beside them.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The position before the first entry.
    pub after: Position,
    /// The position of the last entry.
    pub through: Position,
    /// Changes of configuration, in order.
    pub controls: Vec<Control>,
    /// Positions of the records, growing.
    pub position: UInt64Array,
    /// [`Source`] as its stored number.
    pub source: UInt8Array,
    /// The recipient account, as a number.
    pub account: UInt64Array,
    /// When the server received the record.
    pub received: TimestampMillisecondArray,
    /// The record's JSON, untouched.
    pub raw: BinaryArray,
    /// `eventTime`; null when it is no time.
    pub event_time: TimestampMillisecondArray,
    /// `awsRegion`.
    pub region: StringArray,
    /// `eventID` (`eventId` in aggregated events).
    pub event_id: StringArray,
    /// `eventName`.
    pub event_name: StringArray,
    /// `eventSource`.
    pub event_source: StringArray,
    /// `eventType`.
    pub event_type: StringArray,
    /// `eventCategory`; derived for records older than the field: `Data` if `managementEvent` is false, an Insight by
    /// its `eventType`, otherwise `Management`. Never null.
    pub event_category: StringArray,
    /// `readOnly`, also from the texts `"true"` and `"false"`.
    pub read_only: BooleanArray,
    /// `sessionCredentialFromConsole`, a text in real records, read as `read_only` is.
    pub session_credential_from_console: BooleanArray,
    /// `errorCode`.
    pub error_code: StringArray,
    /// `vpcEndpointId`.
    pub vpc_endpoint_id: StringArray,
    /// `userIdentity.arn`.
    pub user_arn: StringArray,
    /// `userIdentity.accessKeyId`; null when empty.
    pub access_key_id: StringArray,
    /// `userIdentity.invokedBy`.
    pub invoked_by: StringArray,
    /// `userAgent`.
    pub user_agent: StringArray,
    /// The name that LookupEvents answers as `Username`.
    pub username: StringArray,
    /// `resources`: a list of structs `type`, `arn` (`ARN` or `ARNPrefix`), either of which may be null.
    pub resources: ListArray,
    /// What LookupEvents answers as `Resources`: a list of structs `type`, `name`.
    pub lookup_resources: ListArray,
}

impl EventBatch {
    /// Decodes entries, which must be in order; `after` is the position before the first.
    pub fn decode(after: Position, entries: &[Entry]) -> Self {
        crate::decode::decode(after, entries, true)
    }

    /// As [`Self::decode`], for whom resources are not of interest: `resources` and `lookup_resources` are empty lists.
    pub fn decode_without_resources(after: Position, entries: &[Entry]) -> Self {
        crate::decode::decode(after, entries, false)
    }

    /// How many records there are, changes of configuration not counted.
    pub fn len(&self) -> usize {
        self.position.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record in row `row`.
    ///
    /// # Panics
    /// Accessors of the event panic when `row` is not less than [`Self::len`].
    pub fn event(&self, row: usize) -> Event<'_> {
        Event { batch: self, row }
    }

    /// The rows of the records in (`after`, `through`].
    pub fn rows(&self, after: Position, through: Position) -> Range<usize> {
        let up_to = |end: Position| self.position.values().partition_point(|position| *position <= end.0);
        let start = up_to(after);
        start..up_to(through).max(start)
    }

    /// The records, in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        (0..self.len()).map(|row| self.event(row))
    }

    /// The part of this batch after `after`, sharing its columns.
    #[must_use]
    pub fn since(&self, after: Position) -> Self {
        if after <= self.after {
            return self.clone();
        }
        let from = self.position.values().partition_point(|position| *position <= after.0);
        let n = self.len() - from;
        Self {
            after,
            through: self.through.max(after),
            controls: self.controls.iter().filter(|control| control.position > after).cloned().collect(),
            position: self.position.slice(from, n),
            source: self.source.slice(from, n),
            account: self.account.slice(from, n),
            received: self.received.slice(from, n),
            raw: self.raw.slice(from, n),
            event_time: self.event_time.slice(from, n),
            region: self.region.slice(from, n),
            event_id: self.event_id.slice(from, n),
            event_name: self.event_name.slice(from, n),
            event_source: self.event_source.slice(from, n),
            event_type: self.event_type.slice(from, n),
            event_category: self.event_category.slice(from, n),
            read_only: self.read_only.slice(from, n),
            session_credential_from_console: self.session_credential_from_console.slice(from, n),
            error_code: self.error_code.slice(from, n),
            vpc_endpoint_id: self.vpc_endpoint_id.slice(from, n),
            user_arn: self.user_arn.slice(from, n),
            access_key_id: self.access_key_id.slice(from, n),
            invoked_by: self.invoked_by.slice(from, n),
            user_agent: self.user_agent.slice(from, n),
            username: self.username.slice(from, n),
            resources: self.resources.slice(from, n),
            lookup_resources: self.lookup_resources.slice(from, n),
        }
    }

    /// How much memory the batch's columns and changes hold, in bytes. A part of a batch holds all of it.
    pub fn size_bytes(&self) -> usize {
        let columns: [&dyn Array; 23] = [
            &self.position,
            &self.source,
            &self.account,
            &self.received,
            &self.raw,
            &self.event_time,
            &self.region,
            &self.event_id,
            &self.event_name,
            &self.event_source,
            &self.event_type,
            &self.event_category,
            &self.read_only,
            &self.session_credential_from_console,
            &self.error_code,
            &self.vpc_endpoint_id,
            &self.user_arn,
            &self.access_key_id,
            &self.invoked_by,
            &self.user_agent,
            &self.username,
            &self.resources,
            &self.lookup_resources,
        ];
        let controls = self.controls.iter().map(|control| size_of::<Control>() + control.body.len());
        columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>() + controls.sum::<usize>()
    }
}

/// One record of a batch, by its row.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    batch: &'a EventBatch,
    row: usize,
}

impl<'a> Event<'a> {
    /// Its row in the batch.
    pub fn row(self) -> usize {
        self.row
    }

    /// Where it stands in the journal.
    pub fn position(self) -> Position {
        Position(self.batch.position.value(self.row))
    }

    /// How it came in.
    pub fn source(self) -> Source {
        Source::from_byte(self.batch.source.value(self.row)).expect("the decoder writes known sources only")
    }

    /// The recipient account.
    pub fn account(self) -> AccountId {
        AccountId::from_u64(self.batch.account.value(self.row)).expect("the decoder writes account ids only")
    }

    /// When the server received it.
    pub fn received(self) -> Timestamp {
        Timestamp::from_millis(self.batch.received.value(self.row))
    }

    /// Its JSON, untouched.
    pub fn raw(self) -> &'a [u8] {
        self.batch.raw.value(self.row)
    }

    /// `eventTime`.
    pub fn time(self) -> Option<Timestamp> {
        let times = &self.batch.event_time;
        times.is_valid(self.row).then(|| Timestamp::from_millis(times.value(self.row)))
    }

    /// `awsRegion`.
    pub fn region(self) -> Option<&'a str> {
        text(&self.batch.region, self.row)
    }

    /// `eventID`.
    pub fn id(self) -> Option<&'a str> {
        text(&self.batch.event_id, self.row)
    }

    /// `eventName`.
    pub fn name(self) -> Option<&'a str> {
        text(&self.batch.event_name, self.row)
    }

    /// `eventSource`.
    pub fn event_source(self) -> Option<&'a str> {
        text(&self.batch.event_source, self.row)
    }

    /// `eventType`.
    pub fn event_type(self) -> Option<&'a str> {
        text(&self.batch.event_type, self.row)
    }

    /// `eventCategory`, derived where the record has none.
    pub fn category(self) -> &'a str {
        self.batch.event_category.value(self.row)
    }

    /// `readOnly`.
    pub fn read_only(self) -> Option<bool> {
        flag(&self.batch.read_only, self.row)
    }

    /// `sessionCredentialFromConsole`.
    pub fn session_credential_from_console(self) -> Option<bool> {
        flag(&self.batch.session_credential_from_console, self.row)
    }

    /// `errorCode`.
    pub fn error_code(self) -> Option<&'a str> {
        text(&self.batch.error_code, self.row)
    }

    /// `vpcEndpointId`.
    pub fn vpc_endpoint_id(self) -> Option<&'a str> {
        text(&self.batch.vpc_endpoint_id, self.row)
    }

    /// `userIdentity.arn`.
    pub fn user_arn(self) -> Option<&'a str> {
        text(&self.batch.user_arn, self.row)
    }

    /// `userIdentity.accessKeyId`.
    pub fn access_key_id(self) -> Option<&'a str> {
        text(&self.batch.access_key_id, self.row)
    }

    /// `userIdentity.invokedBy`.
    pub fn invoked_by(self) -> Option<&'a str> {
        text(&self.batch.invoked_by, self.row)
    }

    /// `userAgent`.
    pub fn user_agent(self) -> Option<&'a str> {
        text(&self.batch.user_agent, self.row)
    }

    /// LookupEvents' `Username`.
    pub fn username(self) -> Option<&'a str> {
        text(&self.batch.username, self.row)
    }

    /// The record's `resources` as pairs of type and ARN.
    pub fn resources(self) -> impl Iterator<Item = (Option<&'a str>, Option<&'a str>)> {
        pairs(&self.batch.resources, self.row)
    }

    /// LookupEvents' `Resources` as pairs of type and name.
    pub fn lookup_resources(self) -> impl Iterator<Item = (Option<&'a str>, Option<&'a str>)> {
        pairs(&self.batch.lookup_resources, self.row)
    }
}

fn flag(column: &BooleanArray, row: usize) -> Option<bool> {
    column.is_valid(row).then(|| column.value(row))
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn pairs(column: &ListArray, row: usize) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    let offsets = column.value_offsets();
    let range =
        usize::try_from(offsets[row]).unwrap_or_default()..usize::try_from(offsets[row + 1]).unwrap_or_default();
    let structs = column.values().as_any().downcast_ref::<StructArray>();
    let fields = structs.map(|s| (s.column(0).as_any(), s.column(1).as_any()));
    let strings = fields.and_then(|(a, b)| Some((a.downcast_ref::<StringArray>()?, b.downcast_ref::<StringArray>()?)));
    strings.into_iter().flat_map(move |(a, b)| range.clone().map(move |i| (text(a, i), text(b, i))))
}
