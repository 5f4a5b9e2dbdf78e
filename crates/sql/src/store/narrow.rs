//! Files as if they had no other columns than those that a query reads.
//!
//! What a reader does before the first row (types, statistics, indexes) costs as much for each column that a file has, asked
//! for or not. Lake's events have some 170; a query reads a few of them, of a file for each day.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use datafusion::parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::schema::types::{SchemaDescriptor, Type};

use super::provider::TIME;

/// The columns that a query reads, in the order of the files.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    pub(super) schema: SchemaRef,
    /// Where those are that are shown, in `schema`.
    pub(super) shown: Vec<usize>,
    /// What a file says of its columns' types.
    types: KeyValue,
}

impl Narrow {
    /// Of the columns `stored` those with the numbers `shown`, and what `conditions` are upon.
    pub(super) fn new(stored: &Schema, shown: &[usize], conditions: &[Expr]) -> Result<Self> {
        let mut all = shown.to_vec();
        for column in conditions.iter().flat_map(Expr::column_refs) {
            all.push(stored.index_of(&column.name)?);
        }
        all.sort_unstable();
        all.dedup();
        let place = |number: &usize| all.iter().position(|column| column == number);
        let schema = stored.project(&all)?;
        let types = encode_arrow_schema(&Schema::new(schema.fields().iter().map(in_files).collect::<Vec<_>>()));
        Ok(Self {
            schema: Arc::new(schema),
            shown: shown.iter().filter_map(place).collect(),
            types: KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), types),
        })
    }

    /// What `file` says of these columns; of all that it has, when these are not all there, or in another order.
    pub(super) fn of(&self, file: Arc<ParquetMetaData>) -> Result<Arc<ParquetMetaData>, ParquetError> {
        let facts = file.file_metadata();
        let fields = self.schema.fields();
        let is_wanted = |root: &&Arc<Type>| fields.find(root.name()).is_some();
        let roots: Vec<Arc<Type>> = facts.schema().get_fields().iter().filter(is_wanted).cloned().collect();
        if !roots.iter().map(|root| root.name()).eq(fields.iter().map(|field| field.name())) {
            return Ok(file);
        }
        let whole = facts.schema_descr();
        let is_wanted = |leaf: &usize| fields.find(whole.get_column_root(*leaf).name()).is_some();
        let leaves: Vec<usize> = (0..whole.num_columns()).filter(is_wanted).collect();
        let root = Type::group_type_builder(facts.schema().name()).with_fields(roots).build()?;
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
        let group = |group: &RowGroupMetaData| {
            let columns = leaves.iter().map(|leaf| group.column(*leaf).clone()).collect();
            let mut narrow = RowGroupMetaData::builder(Arc::clone(&schema))
                .set_num_rows(group.num_rows())
                .set_total_byte_size(group.total_byte_size())
                .set_column_metadata(columns);
            if let Some(ordinal) = group.ordinal() {
                narrow = narrow.set_ordinal(ordinal);
            }
            narrow.build()
        };
        let groups = file.row_groups().iter().map(group).collect::<Result<_, _>>()?;
        let orders = facts.column_orders().map(|orders| leaves.iter().map(|leaf| orders[*leaf]).collect());
        let (rows, types) = (facts.num_rows(), Some(vec![self.types.clone()]));
        let writer = facts.created_by().map(str::to_owned);
        let facts = FileMetaData::new(facts.version(), rows, writer, types, schema, orders);
        Ok(Arc::new(ParquetMetaData::new(facts, groups)))
    }
}

/// The column as it is read, before its type is that of the table.
fn in_files(field: &Arc<Field>) -> Arc<Field> {
    if field.name() != TIME {
        return Arc::clone(field);
    }
    Arc::new(field.as_ref().clone().with_data_type(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
    use datafusion::common::Column;
    use datafusion::logical_expr::lit;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    };

    use super::*;

    fn file() -> (Bytes, Schema) {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let parts = ["p", "q"].map(|name| (Arc::new(Field::new(name, DataType::Utf8, true)), Arc::clone(&text)));
        let record: ArrayRef = Arc::new(StructArray::from(parts.to_vec()));
        let rows = [("a", Arc::clone(&number)), ("record", record), ("b", text), ("c", number)];
        let rows = RecordBatch::try_from_iter_with_nullable(rows.map(|(name, column)| (name, column, true))).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        (file.into(), rows.schema().as_ref().clone())
    }

    fn metadata(file: &Bytes) -> Arc<ParquetMetaData> {
        Arc::clone(ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).unwrap().metadata())
    }

    #[test]
    fn a_file_has_the_columns_that_are_read_and_no_others() {
        let (file, stored) = file();
        let condition = Expr::Column(Column::new_unqualified("a")).gt(lit(0_i64));
        let narrow = Narrow::new(&stored, &[3, 1], &[condition]).unwrap();
        assert_eq!(narrow.schema.fields().iter().map(|field| field.name()).collect::<Vec<_>>(), ["a", "record", "c"]);
        assert_eq!(narrow.shown, [2, 1]);
        let found = narrow.of(metadata(&file)).unwrap();
        let paths = found.row_group(0).columns().iter().map(|column| column.column_path().string());
        assert_eq!(paths.collect::<Vec<_>>(), ["a", "record.p", "record.q", "c"]);
        let found = ArrowReaderMetadata::try_new(found, ArrowReaderOptions::new()).unwrap();
        assert_eq!(found.schema(), &narrow.schema);
        let mut rows = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), found).build().unwrap();
        let whole = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
        assert_eq!(rows.next().unwrap().unwrap(), whole.project(&[0, 1, 3]).unwrap());
    }

    #[test]
    fn a_file_that_has_other_columns_is_left_as_it_is() {
        let (file, stored) = file();
        let whole = metadata(&file);
        let more: Vec<_> =
            stored.fields().iter().cloned().chain([Arc::new(Field::new("d", DataType::Int64, true))]).collect();
        let missing = Narrow::new(&Schema::new(more.clone()), &[0, 4], &[]).unwrap();
        let reversed = Narrow::new(&Schema::new(more.into_iter().rev().collect::<Vec<_>>()), &[1, 4], &[]).unwrap();
        for narrow in [missing, reversed] {
            assert!(Arc::ptr_eq(&narrow.of(Arc::clone(&whole)).unwrap(), &whole));
        }
        let none = Narrow::new(&stored, &[], &[]).unwrap().of(whole).unwrap();
        assert_eq!((none.row_group(0).num_columns(), none.row_group(0).num_rows()), (0, 2));
    }
}
