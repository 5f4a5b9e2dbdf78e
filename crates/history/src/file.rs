//! How rows lie in a Parquet file: sorted by account, Region and category, newest first, so that a page of a lookup
//! is one stretch of rows. The footer tells where each group lies ([`FOOTER_KEY`]); filters that lie behind the rows
//! ([`crate::filter`]) and the page index let a lookup read only what it needs. Readers that know nothing of this read
//! an ordinary table.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use opentrail_lake::{DataFile, TableSpec, write_file};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::HistoryError;
use crate::layout::{BLOCK_ROWS, Survey};
use crate::row::Row;

/// The key of [`crate::layout::Layout`] in a file's metadata.
pub(crate) const FOOTER_KEY: &str = "opentrail.history.layout";
/// The partition column.
pub(crate) const DAY: &str = "event_date";
/// Raw records compressed together. Larger compresses better, smaller is read faster: a page of 50 scattered
/// events decompresses 50 of these.
const RAW_PAGE_BYTES: usize = 96 << 10;

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// The file will be merged soon.
    Quick,
    /// The file will stay.
    Thorough,
}

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let resource = Field::new_struct("element", vec![text("type"), text("name")], true);
    Arc::new(Schema::new(vec![
        Field::new("position", DataType::Int64, true),
        text("account"),
        text("region"),
        text("category"),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        text("event_id"),
        text("event_name"),
        text("event_source"),
        text("username"),
        text("access_key_id"),
        Field::new("read_only", DataType::Boolean, true),
        Field::new_list("resources", resource, true),
        Field::new("raw", DataType::Binary, true),
    ]))
});

/// The table: the columns of its files and the day.
pub(crate) fn table_spec() -> TableSpec {
    let mut fields: Vec<Arc<Field>> = COLUMNS.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DAY, DataType::Date32, true)));
    TableSpec {
        name: "event_history".into(),
        app_id: "opentrail-history".into(),
        schema: Arc::new(Schema::new(fields)),
        partition_columns: vec![DAY.into()],
        retyped_columns: Vec::new(),
    }
}

/// Writes rows of one day to `event_date=<day>/<name>.parquet` below `dir`, batch by batch, which must come in the
/// order of a file. Memory holds the file's compressed pages and one batch. Blocks.
pub(crate) fn write(
    dir: &Path,
    day: &str,
    name: &str,
    effort: Effort,
    batches: impl Iterator<Item = Result<RecordBatch, HistoryError>>,
) -> Result<DataFile, HistoryError> {
    let path = format!("{DAY}={day}/{name}.parquet");
    let partition = BTreeMap::from([(DAY.to_owned(), day.to_owned())]);
    write_file(dir, path.clone(), partition, Arc::clone(&COLUMNS), properties(effort), |file| {
        let mut survey = Survey::new();
        for batch in batches {
            let batch = batch?;
            survey.take(&batch).ok_or_else(|| HistoryError::Damaged {
                file: path.clone(),
                reason: "its rows come from one that holds what no writer put there".into(),
            })?;
            file.write(&batch)?;
        }
        let stats = survey.stats();
        let layout = survey.finish(|filter| file.append(filter))?;
        file.set_metadata(FOOTER_KEY, serde_json::to_string(&layout).expect("a layout is texts and numbers"));
        Ok(Some(stats))
    })
}

fn properties(effort: Effort) -> WriterProperties {
    let zstd = |level| Compression::ZSTD(ZstdLevel::try_new(level).expect("levels 1 to 22 exist"));
    let raw = match effort {
        Effort::Quick => zstd(1),
        Effort::Thorough => zstd(9),
    };
    WriterProperties::builder()
        .set_created_by(concat!("opentrail ", env!("CARGO_PKG_VERSION")).into())
        // Most columns are numbers of a dictionary, which hardly compress, and a reader's zstd takes long to set up.
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(BLOCK_ROWS)
        // Pages are cut between write batches, and raw pages hold few rows.
        .set_write_batch_size(32)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_dictionary_enabled("raw".into(), false)
        .set_column_data_page_size_limit("raw".into(), RAW_PAGE_BYTES)
        .set_column_statistics_enabled("raw".into(), EnabledStatistics::None)
        .set_column_compression("raw".into(), raw)
        // Lengths apart from the texts cost nearly nothing and leave only what differs.
        .set_column_encoding("raw".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .set_column_dictionary_enabled("event_id".into(), false)
        .set_column_encoding("event_id".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .set_column_statistics_enabled("event_id".into(), EnabledStatistics::None)
        .set_column_compression("event_id".into(), zstd(1))
        .set_column_dictionary_enabled("position".into(), false)
        .set_column_encoding("position".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled("event_time".into(), false)
        .set_column_encoding("event_time".into(), Encoding::DELTA_BINARY_PACKED)
        .build()
}

/// The rows, whatever their order, as a file has them, a block at a time.
pub(crate) fn batches(mut rows: Vec<Arc<Row>>) -> impl Iterator<Item = Result<RecordBatch, HistoryError>> {
    rows.sort_unstable_by(|a, b| a.file_order(b));
    (0..rows.len()).step_by(BLOCK_ROWS).map(move |first| Ok(batch(&rows[first..rows.len().min(first + BLOCK_ROWS)])))
}

fn batch(rows: &[Arc<Row>]) -> RecordBatch {
    let texts = |of: &dyn Fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row)).collect::<StringArray>())
    };
    let mut position = Int64Builder::with_capacity(rows.len());
    let mut account = StringBuilder::new();
    let mut time = TimestampMicrosecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
    let mut read_only = BooleanBuilder::with_capacity(rows.len());
    let mut raw = BinaryBuilder::with_capacity(rows.len(), rows.iter().map(|row| row.raw.len()).sum());
    let DataType::List(element) = COLUMNS.field(11).data_type() else { unreachable!("resources is a list") };
    let resource: Fields = ["type", "name"].into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let mut resources = ListBuilder::new(StructBuilder::from_fields(resource, rows.len())).with_field(element.clone());
    for row in rows {
        position.append_value(row.position.0.cast_signed());
        account.append_value(row.account.to_string());
        time.append_value(row.time.as_millis() * 1000);
        read_only.append_option(row.read_only);
        raw.append_value(&row.raw);
        for (kind, name) in &row.resources {
            for (index, text) in [kind, name].into_iter().enumerate() {
                let field = resources.values().field_builder::<StringBuilder>(index);
                field.expect("a resource is two texts").append_option(text.as_deref());
            }
            resources.values().append(true);
        }
        resources.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(position.finish()),
        Arc::new(account.finish()),
        texts(&|row| Some(&row.region)),
        texts(&|row| Some(row.category.as_str())),
        Arc::new(time.finish()),
        texts(&|row| row.event_id.as_deref()),
        texts(&|row| row.event_name.as_deref()),
        texts(&|row| row.event_source.as_deref()),
        texts(&|row| row.username.as_deref()),
        texts(&|row| row.access_key_id.as_deref()),
        Arc::new(read_only.finish()),
        Arc::new(resources.finish()),
        Arc::new(raw.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns).expect("the columns are built by the schema")
}
