//! Lake's schemas as tables of facts: which columns an event of each kind has, of which type, and where in the event each
//! is found. Nothing else in OpenTrail knows a column of Lake by its name but for the few that come from elsewhere.

mod facts;

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use opentrail_stores::Kind;

use crate::columns::{POSITION, RAW};

/// What of an event a column, or a part of one, holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A text.
    Text,
    /// A text, or a truth value as its text: records disagree about some of them.
    Word,
    /// Anything but null as text: a text without its quotes, everything else as compact JSON.
    Any,
    /// A truth value, or the text of one.
    Flag,
    /// The text of a time.
    Time,
    /// A whole number of 32 bits.
    Integer,
    /// A number.
    Double,
    /// An object as a map of texts, each value as [`Shape::Any`] has it; members that are null are missing.
    Map,
    /// An object of these parts.
    Struct(&'static [Part]),
    /// A list of such objects.
    List(&'static [Part]),
}

/// A column, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Its name, when that is not the member's in lower case.
    renamed: Option<&'static str>,
    /// The member of the event that it holds, e.g. `eventID`; several of which the first that is there counts, e.g.
    /// `eventID|eventId`; below another member, e.g. `insightDetails.state`. Empty when it is not found in the event.
    from: &'static str,
    pub(crate) shape: Shape,
}

impl Part {
    /// The column's name.
    pub(crate) fn name(&self) -> String {
        let first = self.from.split('|').next().unwrap_or_default();
        self.renamed.map_or_else(|| first.to_ascii_lowercase(), str::to_owned)
    }

    /// Where in the event it is looked for: paths, the first of them first.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Vec<&'static str>> {
        self.from.split('|').filter(|path| !path.is_empty()).map(|path| path.split('.').collect())
    }

    pub(crate) fn field(&self) -> Field {
        Field::new(self.name(), self.shape.data_type(), true)
    }
}

impl Shape {
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Text | Self::Word | Self::Any => DataType::Utf8,
            Self::Flag => DataType::Boolean,
            Self::Time => time_type(),
            Self::Integer => DataType::Int32,
            Self::Double => DataType::Float64,
            Self::Map => DataType::Map(map_entries(), false),
            Self::Struct(parts) => DataType::Struct(fields(parts)),
            Self::List(parts) => DataType::List(list_element(parts)),
        }
    }
}

/// Times are in UTC; Delta has microseconds.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(crate) fn fields(parts: &[Part]) -> Fields {
    parts.iter().map(|part| Arc::new(part.field())).collect()
}

pub(crate) fn list_element(parts: &[Part]) -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(fields(parts)), true))
}

/// The fields of a map's entries, called as Parquet calls them.
pub(crate) fn map_fields() -> Fields {
    [Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into_iter().collect()
}

pub(crate) fn map_entries() -> FieldRef {
    Arc::new(Field::new("key_value", DataType::Struct(map_fields()), false))
}

/// The columns of a kind of store.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Those that Lake has, in its order.
    pub(crate) parts: &'static [Part],
    /// Lake's columns.
    pub(crate) shown: SchemaRef,
    /// The columns of files: Lake's between OpenTrail's own.
    pub(crate) stored: SchemaRef,
}

impl Columns {
    fn of_parts(parts: &'static [Part]) -> Self {
        let shown = fields(parts);
        let own = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        let mut stored = vec![own(POSITION, DataType::Int64), own("received", time_type())];
        stored.extend(shown.iter().cloned());
        stored.extend(["username", "userarn", "accesskeyid"].map(|name| own(name, DataType::Utf8)));
        stored.push(own(RAW, DataType::Binary));
        Self { parts, shown: Arc::new(Schema::new(shown)), stored: Arc::new(Schema::new(stored)) }
    }

    /// The columns of stores of this kind.
    pub(crate) fn of(kind: Kind) -> &'static Self {
        static CLOUD_TRAIL: LazyLock<Columns> = LazyLock::new(|| Columns::of_parts(facts::CLOUD_TRAIL));
        static INSIGHT: LazyLock<Columns> = LazyLock::new(|| Columns::of_parts(facts::INSIGHT));
        static CONFIGURATION: LazyLock<Columns> = LazyLock::new(|| Columns::of_parts(facts::CONFIGURATION_ITEM));
        static EVIDENCE: LazyLock<Columns> = LazyLock::new(|| Columns::of_parts(facts::EVIDENCE));
        static ACTIVITY: LazyLock<Columns> = LazyLock::new(|| Columns::of_parts(facts::ACTIVITY_AUDIT_LOG));
        match kind {
            Kind::CloudTrail => &CLOUD_TRAIL,
            Kind::Insight => &INSIGHT,
            Kind::ConfigurationItem => &CONFIGURATION,
            Kind::Evidence => &EVIDENCE,
            Kind::ActivityAuditLog => &ACTIVITY,
        }
    }
}
