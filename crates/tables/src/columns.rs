//! What a store's table has of an event.
//!
//! Lake's columns (`schema`) stand between OpenTrail's own: `position`, `received`, `username`, `userarn`, `accesskeyid`,
//! `raw`. All follow from `raw`, the journal's entry and the store's settings, so that columns can be added without
//! rewriting what is there: a file's name says which layout it has, and [`upgrade`] makes what an older one lacks of
//! its records. (ADR 19, ADR 21.)

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, UInt32Array, make_array, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use arrow_select::take::take;
use opentrail_event::EventBatch;
use opentrail_lake::{DataFile, TableSpec};
use opentrail_model::Timestamp;
use opentrail_stores::Kind;

use crate::decode::Decoder;
use crate::schema::Columns;

/// The partition column: the day of `eventtime` in UTC, e.g. `2026-01-02`.
pub(crate) const DAY: &str = "event_date";
/// The column that every other follows from.
pub(crate) const RAW: &str = "raw";
/// The event as the store shows it, where that is not the record itself.
pub(crate) const EVENT_JSON: &str = "eventjson";
/// What rows are sorted by, and what tells them apart.
pub(crate) const POSITION: &str = "position";
/// See [`POSITION`].
pub(crate) const TIME: &str = "eventtime";

/// The layout of the files that this server writes.
///
/// 1. A few of Lake's columns, the same for each kind of store.
/// 2. All of Lake's columns.
pub(crate) const LAYOUT: u32 = 2;
/// Columns that had other types once. In files of an older layout they are never looked at.
const RETYPED: [&str; 2] = ["sessioncredentialfromconsole", EVENT_JSON];
/// Columns that are not found in the event as it stands.
const GIVEN: [&str; 9] =
    [POSITION, "received", TIME, "recipientaccountid", "eventcategory", "username", "userarn", "accesskeyid", RAW];

/// The table of the store `id`: the columns of its files and the day.
pub(crate) fn table_spec(id: &str, kind: Kind) -> TableSpec {
    let mut fields: Vec<Arc<Field>> = Columns::of(kind).stored.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DAY, DataType::Date32, true)));
    TableSpec {
        name: id.to_owned(),
        app_id: "opentrail-store".into(),
        schema: Arc::new(Schema::new(fields)),
        partition_columns: vec![DAY.into()],
        retyped_columns: RETYPED.map(str::to_owned).to_vec(),
    }
}

/// What is put behind a file's name, so that nobody has to open it to know its layout: `.v2` of
/// `event_date=2026-01-02/flush-1-9.v2-<checksum>.parquet`, or of `…/flush-1-9.v2.sealed-<checksum>.parquet`.
pub(crate) fn layout_suffix() -> String {
    format!(".v{LAYOUT}")
}

/// The layout of a file.
pub(crate) fn layout_of(file: &DataFile) -> u32 {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let name = name.trim_end_matches(".parquet");
    let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
    let name = name.strip_suffix(".sealed").unwrap_or(name);
    name.rsplit_once(".v").and_then(|(_, layout)| layout.parse().ok()).unwrap_or(1)
}

/// Events as Lake's columns for stores of this kind, in Lake's order: what is found in the events themselves. Columns that
/// a store knows from elsewhere (`eventtime`, `recipientaccountid`, `eventcategory`) or makes are null.
pub fn lakes_columns<'a>(kind: Kind, events: impl ExactSizeIterator<Item = &'a [u8]>) -> RecordBatch {
    let columns = Columns::of(kind);
    let mut decoder = Decoder::new(columns.parts, events.len());
    events.for_each(|event| decoder.push(event));
    let (decoded, _) = decoder.finish();
    RecordBatch::try_new(Arc::clone(&columns.shown), decoded).expect("the decoder makes the columns of its schema")
}

/// A row of a batch that a store keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its number in the batch.
    pub(crate) row: usize,
    /// Its time as the store sees it.
    pub(crate) time: Timestamp,
    /// The event as the store shows it, where that is not the record itself.
    pub(crate) shown: Option<Vec<u8>>,
}

/// Rows as the table has them.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) batch: RecordBatch,
    /// How many members of the events had not the type that their column is for.
    pub(crate) odd: u64,
}

/// The rows as the table of a store of this kind has them, in their order.
pub(crate) fn rows(kind: Kind, batch: &EventBatch, kept: &[Kept]) -> Result<Rows, ArrowError> {
    let is_all = kept.len() == batch.len() && kept.iter().zip(0..).all(|(kept, row)| kept.row == row);
    let indices: UInt32Array = kept.iter().map(|kept| u32::try_from(kept.row).ok()).collect();
    let taken =
        |column: &dyn Array| if is_all { Ok(make_array(column.to_data())) } else { take(column, &indices, None) };
    let mut position = Int64Builder::with_capacity(kept.len());
    let mut received = times(kept.len());
    let mut time = times(kept.len());
    let mut account = StringBuilder::with_capacity(kept.len(), kept.len() * 12);
    for kept in kept {
        let event = batch.event(kept.row);
        position.append_value(event.position().0.cast_signed());
        received.append_value(event.received().as_millis().saturating_mul(1000));
        time.append_value(kept.time.as_millis().saturating_mul(1000));
        account.append_value(event.account().to_string());
    }
    let given: [ArrayRef; GIVEN.len()] = [
        Arc::new(position.finish()),
        Arc::new(received.finish()),
        Arc::new(time.finish()),
        Arc::new(account.finish()),
        taken(&batch.event_category)?,
        taken(&batch.username)?,
        taken(&batch.user_arn)?,
        taken(&batch.access_key_id)?,
        taken(&batch.raw)?,
    ];
    let events = kept.iter().map(|kept| match &kept.shown {
        Some(shown) => (&shown[..], true),
        None => (batch.raw.value(kept.row), false),
    });
    assemble(kind, GIVEN.into_iter().zip(given).collect(), events)
}

/// Rows of a file of an older layout as those of this one.
pub(crate) fn upgrade(kind: Kind, old: &RecordBatch) -> Result<Rows, ArrowError> {
    let missing = |name: &str| ArrowError::SchemaError(format!("there is no column {name} of its type"));
    let column = |name: &'static str| old.column_by_name(name).cloned().ok_or_else(|| missing(name));
    let given = GIVEN.map(|name| column(name).map(|column| (name, column)));
    let given: BTreeMap<&'static str, ArrayRef> = given.into_iter().collect::<Result<_, _>>()?;
    let binary = |name| -> Result<BinaryArray, ArrowError> {
        Ok(column(name)?.as_binary_opt::<i32>().ok_or_else(|| missing(name))?.clone())
    };
    let (raw, shown) = (binary(RAW)?, binary(EVENT_JSON)?);
    let event = |row| if shown.is_valid(row) { (shown.value(row), true) } else { (raw.value(row), false) };
    assemble(kind, given, (0..old.num_rows()).map(event))
}

/// Puts what is given beside what the events have; each comes with whether its text is to be kept as `eventjson`.
fn assemble<'a>(
    kind: Kind,
    mut given: BTreeMap<&str, ArrayRef>,
    events: impl ExactSizeIterator<Item = (&'a [u8], bool)>,
) -> Result<Rows, ArrowError> {
    let columns = Columns::of(kind);
    let rows = events.len();
    let mut decoder = Decoder::new(columns.parts, rows);
    let mut shown = StringBuilder::with_capacity(rows, 0);
    for (event, otherwise) in events {
        decoder.push(event);
        shown.append_option(otherwise.then(|| String::from_utf8_lossy(event)));
    }
    given.insert(EVENT_JSON, Arc::new(shown.finish()));
    let (decoded, odd) = decoder.finish();
    let names = columns.shown.fields().iter().map(|field| field.name().as_str());
    let mut decoded: BTreeMap<&str, ArrayRef> = names.zip(decoded).collect();
    let made = columns.stored.fields().iter().map(|field| {
        let column = given.remove(field.name().as_str()).or_else(|| decoded.remove(field.name().as_str()));
        column.unwrap_or_else(|| new_null_array(field.data_type(), rows))
    });
    let batch = RecordBatch::try_new(Arc::clone(&columns.stored), made.collect())?;
    Ok(Rows { batch, odd })
}

fn times(rows: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")
}
