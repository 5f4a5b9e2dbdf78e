//! Which row groups may have a value, by one block of each Bloom filter.
//!
//! A filter of a row group's IDs takes more than 100 KiB, and what it says of one value is in 32 bytes of them. DataFusion
//! reads filters whole, of one file after the other once it is open; here a file without the value is not opened for rows.

use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::object_store::ObjectStore;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use twox_hash::XxHash64;

/// For more values than these a filter is as well read whole.
const MOST_VALUES: usize = 16;
/// What a value's bits are in.
const BLOCK_BYTES: u64 = 32;
/// The longest header that a filter may have. Far less, as a number and three empty unions are all that is in it.
const MOST_HEADER_BYTES: u64 = 32;

/// A column that must have one of these texts.
#[derive(Debug)]
pub(super) struct Wanted {
    column: String,
    values: Vec<String>,
}

/// What must be so for a row to meet all the conditions.
pub(super) fn wanted<'a>(conditions: impl IntoIterator<Item = &'a Arc<dyn PhysicalExpr>>) -> Vec<Wanted> {
    conditions.into_iter().flat_map(LiteralGuarantee::analyze).filter_map(texts).collect()
}

fn texts(guarantee: LiteralGuarantee) -> Option<Wanted> {
    let values = guarantee.literals.iter().map(|value| Some(value.try_as_str()??.to_owned()));
    let values: Vec<String> = values.collect::<Option<_>>()?;
    let is_one_of = guarantee.guarantee == Guarantee::In && values.len() <= MOST_VALUES;
    is_one_of.then_some(Wanted { column: guarantee.column.name, values })
}

/// Asks files.
#[derive(Debug)]
pub(super) struct Blooms<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) cache: Arc<FileMetadataCache>,
    pub(super) wanted: &'a [Wanted],
}

impl Blooms<'_> {
    /// For each row group of the file, whether it may have rows with what is wanted. `None` when that cannot be found out: who
    /// reads the file finds out why.
    pub(super) async fn ask(&self, file: &PartitionedFile) -> Option<Vec<bool>> {
        let metadata = DFParquetMetadata::new(self.store, &file.object_meta);
        let metadata = metadata.with_file_metadata_cache(Some(Arc::clone(&self.cache))).fetch_metadata().await.ok()?;
        let mut may = vec![true; metadata.num_row_groups()];
        for wanted in self.wanted {
            let Some(leaf) = leaf_of(&metadata, &wanted.column) else { continue };
            for (may, group) in may.iter_mut().zip(metadata.row_groups()) {
                if let (true, Some(filter)) = (*may, Filter::of(group.column(leaf))) {
                    *may = self.may_have(file, &filter, &wanted.values).await?;
                }
            }
        }
        Some(may)
    }

    async fn may_have(&self, file: &PartitionedFile, filter: &Filter, values: &[String]) -> Option<bool> {
        let header = filter.start..filter.start + filter.header_bytes;
        let blocks = values.iter().map(|value| {
            let start = header.end + filter.block_of(value) * BLOCK_BYTES;
            start..start + BLOCK_BYTES
        });
        let ranges: Vec<_> = [header.clone()].into_iter().chain(blocks).collect();
        let read = self.store.get_ranges(&file.object_meta.location, &ranges).await.ok()?;
        let (header, blocks) = read.split_first()?;
        if !filter.is_told_by(header) || blocks.len() != values.len() {
            return None;
        }
        // Of a filter with one block a value's bits are in that one.
        Some(blocks.iter().zip(values).any(|(block, value)| Sbbf::new(block).check(value.as_str())))
    }
}

/// The number of a column that is neither within another nor has others within.
fn leaf_of(metadata: &ParquetMetaData, column: &str) -> Option<usize> {
    let columns = metadata.file_metadata().schema_descr().columns();
    columns.iter().position(|leaf| matches!(leaf.path().parts(), [name] if name == column))
}

/// Where a Bloom filter lies.
#[derive(Debug)]
struct Filter {
    start: u64,
    header_bytes: u64,
    blocks: u64,
}

impl Filter {
    /// That of a column's values in a row group, when it has one.
    fn of(column: &ColumnChunkMetaData) -> Option<Self> {
        let start = u64::try_from(column.bloom_filter_offset()?).ok()?;
        let length = u64::try_from(column.bloom_filter_length()?).ok().filter(|length| *length > BLOCK_BYTES)?;
        // Our writer's filters have a power of two of bytes, which no header comes near.
        let bytes = 1 << length.ilog2();
        let header_bytes = length - bytes;
        let is_known = (1..=MOST_HEADER_BYTES).contains(&header_bytes);
        is_known.then_some(Self { start, header_bytes, blocks: bytes / BLOCK_BYTES })
    }

    /// Whether the header says that the filter has these blocks: its first field, a 32-bit number, zigzag and in groups of
    /// seven bits.
    fn is_told_by(&self, header: &[u8]) -> bool {
        const FIRST_FIELD_IS_A_NUMBER: u8 = 0x15;
        let Some((&FIRST_FIELD_IS_A_NUMBER, number)) = header.split_first() else { return false };
        let mut told = 0;
        for (place, byte) in number.iter().take(5).enumerate() {
            told |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return told == 2 * self.blocks * BLOCK_BYTES;
            }
        }
        false
    }

    /// The number of the block that a value's bits are in.
    fn block_of(&self, value: &str) -> u64 {
        ((XxHash64::oneshot(0, value.as_bytes()) >> 32) * self.blocks) >> 32
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::execution::runtime_env::RuntimeEnv;
    use datafusion::object_store::ObjectStoreExt;
    use datafusion::object_store::memory::InMemory;
    use datafusion::object_store::path::Path;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;
    use datafusion::physical_expr::expressions::{col, in_list, lit};

    use super::*;

    const GROUP: usize = 1000;

    /// A file with three row groups, whose texts are the numbers of their rows.
    async fn file(store: &InMemory) -> (PartitionedFile, Vec<u8>) {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..3 * GROUP).map(|row| row.to_string())));
        let rows = RecordBatch::try_from_iter([("plain", Arc::clone(&texts)), ("id", texts)]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(GROUP))
            .set_column_bloom_filter_enabled("id".into(), true)
            .set_column_bloom_filter_fpp("id".into(), 0.01)
            .build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        store.put(&Path::from("file"), bytes.clone().into()).await.unwrap();
        (PartitionedFile::new("file", bytes.len() as u64), bytes)
    }

    fn is_one_of(column: &str, values: &[String]) -> Arc<dyn PhysicalExpr> {
        let schema = Schema::new(["plain", "id"].map(|name| Field::new(name, DataType::Utf8, false)).to_vec());
        let values = values.iter().map(|value| lit(value.as_str())).collect();
        in_list(col(column, &schema).unwrap(), values, &false, &schema).unwrap()
    }

    async fn ask(store: &InMemory, file: &PartitionedFile, conditions: &[Arc<dyn PhysicalExpr>]) -> Option<Vec<bool>> {
        let cache = RuntimeEnv::default().cache_manager.get_file_metadata_cache();
        let wanted = wanted(conditions);
        Blooms { store, cache, wanted: &wanted }.ask(file).await
    }

    #[tokio::test]
    async fn a_row_group_that_has_a_value_is_always_left_and_hardly_another() {
        let store = InMemory::new();
        let (file, _) = file(&store).await;
        let mut left = 0;
        for row in 0..3 * GROUP {
            let may = ask(&store, &file, &[is_one_of("id", &[row.to_string()])]).await.unwrap();
            assert!(may[row / GROUP], "row {row}");
            left += may.iter().filter(|may| **may).count();
        }
        assert!(left < 3 * GROUP * 105 / 100, "{left} row groups are left for {} values", 3 * GROUP);
    }

    #[tokio::test]
    async fn one_of_several_values_is_enough_and_all_conditions_must_hold() {
        let store = InMemory::new();
        let (file, _) = file(&store).await;
        let texts = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>();
        let either = is_one_of("id", &texts(&[5, 2 * GROUP]));
        assert_eq!(ask(&store, &file, &[Arc::clone(&either)]).await.unwrap(), [true, false, true]);
        let both = [either, is_one_of("id", &texts(&[5, GROUP]))];
        assert_eq!(ask(&store, &file, &both).await.unwrap(), [true, false, false]);
        let without_filter = is_one_of("plain", &texts(&[5]));
        assert_eq!(ask(&store, &file, &[without_filter]).await.unwrap(), [true; 3]);
        let many = is_one_of("id", &texts(&(0..=MOST_VALUES).collect::<Vec<_>>()));
        assert!(wanted(&[many]).is_empty(), "so many are left to others");
    }

    #[tokio::test]
    async fn what_a_filter_does_not_say_itself_is_not_believed() {
        let store = InMemory::new();
        let (file, mut bytes) = file(&store).await;
        let condition = [is_one_of("id", &["none".to_owned()])];
        assert_eq!(ask(&store, &file, &condition).await.unwrap(), [false; 3]);
        let metadata = DFParquetMetadata::new(&store, &file.object_meta).fetch_metadata().await.unwrap();
        let start = metadata.row_group(0).column(1).bloom_filter_offset().unwrap() as usize;
        // Of the number of bytes.
        bytes[start + 1] ^= 0x08;
        store.put(&Path::from("file"), bytes.into()).await.unwrap();
        assert_eq!(ask(&store, &file, &condition).await, None);
        store.delete(&Path::from("file")).await.unwrap();
        assert_eq!(ask(&store, &file, &condition).await, None);
    }
}
