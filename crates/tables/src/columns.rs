//! What a store's table has of an event.
//!
//! Columns of Lake's schema have Lake's names, in lower case; the others (`position`, `received`, `username`,
//! `accesskeyid`, `userarn`, `eventjson`, `raw`) are OpenTrail's own. All but `raw` follow from `raw`, so that columns can be added
//! without rewriting what is there: a file says in its metadata which layout it has, and what an older one lacks is made of
//! its records. (ADR 19.)

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow_select::take::take;
use opentrail_event::EventBatch;
use opentrail_lake::TableSpec;
use opentrail_model::Timestamp;

/// The partition column: the day of `eventtime` in UTC, e.g. `2026-01-02`.
pub(crate) const DAY: &str = "event_date";
/// The column that every other follows from.
pub(crate) const RAW: &str = "raw";
/// What rows are sorted by, and what tells them apart.
pub(crate) const POSITION: &str = "position";
/// See [`POSITION`].
pub(crate) const TIME: &str = "eventtime";

pub(crate) static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
    Arc::new(Schema::new(vec![
        Field::new(POSITION, DataType::Int64, true),
        time("received"),
        time(TIME),
        text("recipientaccountid"),
        text("awsregion"),
        text("eventcategory"),
        text("eventtype"),
        text("eventid"),
        text("eventname"),
        text("eventsource"),
        Field::new("readonly", DataType::Boolean, true),
        Field::new("sessioncredentialfromconsole", DataType::Boolean, true),
        text("errorcode"),
        text("vpcendpointid"),
        text("userarn"),
        text("accesskeyid"),
        text("username"),
        Field::new_list("resources", resource(), true),
        Field::new("eventjson", DataType::Binary, true),
        Field::new(RAW, DataType::Binary, true),
    ]))
});

fn resource() -> Field {
    let fields: Fields = ["type", "arn"].into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    Field::new_struct("element", fields, true)
}

/// The table of the store `id`: the columns of its files and the day.
pub(crate) fn table_spec(id: &str) -> TableSpec {
    let mut fields: Vec<Arc<Field>> = COLUMNS.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DAY, DataType::Date32, true)));
    TableSpec {
        name: id.to_owned(),
        app_id: "opentrail-store".into(),
        schema: Arc::new(Schema::new(fields)),
        partition_columns: vec![DAY.into()],
    }
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

/// The rows as the table has them, in their order.
pub(crate) fn rows(batch: &EventBatch, kept: &[Kept]) -> Result<RecordBatch, ArrowError> {
    let indices: UInt32Array = kept.iter().map(|kept| u32::try_from(kept.row).ok()).collect();
    let taken = |column: &dyn Array| take(column, &indices, None);
    let mut position = Int64Builder::with_capacity(kept.len());
    let mut received = times(kept.len());
    let mut time = times(kept.len());
    let mut account = StringBuilder::new();
    let mut shown = BinaryBuilder::new();
    for kept in kept {
        let event = batch.event(kept.row);
        position.append_value(event.position().0.cast_signed());
        received.append_value(event.received().as_millis().saturating_mul(1000));
        time.append_value(kept.time.as_millis().saturating_mul(1000));
        account.append_value(event.account().to_string());
        shown.append_option(kept.shown.as_deref());
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(position.finish()),
        Arc::new(received.finish()),
        Arc::new(time.finish()),
        Arc::new(account.finish()),
        taken(&batch.region)?,
        taken(&batch.event_category)?,
        taken(&batch.event_type)?,
        taken(&batch.event_id)?,
        taken(&batch.event_name)?,
        taken(&batch.event_source)?,
        taken(&batch.read_only)?,
        taken(&batch.session_credential_from_console)?,
        taken(&batch.error_code)?,
        taken(&batch.vpc_endpoint_id)?,
        taken(&batch.user_arn)?,
        taken(&batch.access_key_id)?,
        taken(&batch.username)?,
        resources(&taken(&batch.resources)?)?,
        Arc::new(shown.finish()),
        taken(&batch.raw)?,
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns)
}

fn times(rows: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")
}

/// The list with the field that the table's schema has.
fn resources(list: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wrong = || ArrowError::SchemaError("resources is a list of structs".into());
    let list = list.as_any().downcast_ref::<ListArray>().ok_or_else(wrong)?;
    let values = list.values().as_any().downcast_ref::<StructArray>().ok_or_else(wrong)?;
    let DataType::Struct(fields) = resource().data_type().clone() else { return Err(wrong()) };
    let values = StructArray::try_new(fields, values.columns().to_vec(), values.nulls().cloned())?;
    let list =
        ListArray::try_new(Arc::new(resource()), list.offsets().clone(), Arc::new(values), list.nulls().cloned())?;
    Ok(Arc::new(list))
}
