//! What a file says of its rows in its footer: where each group lies, when each block begins, where the filters are.
//! [`Survey`] finds it out while the rows are written.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray};
use opentrail_model::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::filter::{FilterBuilder, FilterPlace};
use crate::row::Group;
use crate::{Category, Cursor};

/// The rows that a filter answers for, and at most that many in a page of any column.
pub(crate) const BLOCK_ROWS: usize = 1024;

/// Columns with filters, and the bits that a value takes in them. Nearly every file is asked for an id that it has
/// not, so those need the most.
pub(crate) const FILTERED: [(&str, u32); 7] = [
    ("event_id", 16),
    ("event_name", 12),
    ("event_source", 12),
    ("username", 12),
    ("access_key_id", 12),
    ("resources.list.element.type", 12),
    ("resources.list.element.name", 12),
];

/// Where the groups lie, in the order of the rows, and what helps to skip blocks of [`BLOCK_ROWS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) groups: Vec<GroupRows>,
    /// Bytes of raw records in the file.
    pub(crate) raw_bytes: u64,
    /// The time of the first row of each block.
    pub(crate) blocks: Vec<Timestamp>,
    /// The filters by column.
    pub(crate) filters: BTreeMap<String, FilterPlace>,
}

/// One account's events of one Region and category: a stretch of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRows {
    pub(crate) account: AccountId,
    pub(crate) region: String,
    pub(crate) category: Category,
    pub(crate) rows: usize,
    pub(crate) newest: Timestamp,
    pub(crate) oldest: Timestamp,
}

impl GroupRows {
    pub(crate) fn group(&self) -> Group<'_> {
        Group { account: self.account, region: &self.region, category: self.category }
    }
}

impl Layout {
    pub(crate) fn rows(&self) -> usize {
        self.groups.iter().map(|group| group.rows).sum()
    }

    /// The group's rows, without whole blocks that are older than `start` or newer than `end`.
    pub(crate) fn range(&self, wanted: Group<'_>, start: Cursor, end: Cursor) -> Option<Range<usize>> {
        let mut first = 0;
        for group in &self.groups {
            let rows = first..first + group.rows;
            first = rows.end;
            if group.group() == wanted {
                let overlaps = group.newest >= start.event_time && group.oldest <= end.event_time;
                return overlaps.then(|| self.narrow(rows, start, end));
            }
        }
        None
    }

    fn narrow(&self, rows: Range<usize>, start: Cursor, end: Cursor) -> Range<usize> {
        // Blocks that begin in the group: their times fall.
        let begins = rows.start.div_ceil(BLOCK_ROWS)..rows.end.div_ceil(BLOCK_ROWS).min(self.blocks.len());
        let Some(times) = self.blocks.get(begins.clone()) else { return rows };
        let too_new = times.partition_point(|time| *time > end.event_time);
        let not_too_old = times.partition_point(|time| *time >= start.event_time);
        // The last of those that begin too new may end with rows that are not.
        let from = if too_new > 0 { (begins.start + too_new - 1) * BLOCK_ROWS } else { rows.start };
        let to = if not_too_old < times.len() { (begins.start + not_too_old) * BLOCK_ROWS } else { rows.end };
        from..to.max(from)
    }
}

/// Looks at rows on their way to a file.
#[derive(Debug)]
pub(crate) struct Survey {
    layout: Layout,
    filters: Vec<FilterBuilder>,
    rows: usize,
    /// The lowest and the highest.
    positions: Option<(i64, i64)>,
}

impl Survey {
    pub(crate) fn new() -> Self {
        let filters = FILTERED.iter().map(|(_, bits)| FilterBuilder::new(*bits)).collect();
        Self { layout: Layout::default(), filters, rows: 0, positions: None }
    }

    /// Takes the next rows in; `None` when a column is missing or holds what no writer put there.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Option<()> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let position = batch.column_by_name("position")?.as_primitive_opt::<Int64Type>()?;
        let time = batch.column_by_name("event_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        let raw = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
        let resources = batch.column_by_name("resources")?.as_list_opt::<i32>()?;
        let resource = resources.values().as_struct_opt()?;
        let (account, region, category) = (text("account")?, text("region")?, text("category")?);
        for i in 0..batch.num_rows() {
            let time = Timestamp::from_millis(time.value(i) / 1000);
            if (self.rows + i).is_multiple_of(BLOCK_ROWS) {
                self.layout.blocks.push(time);
            }
            let (lowest, highest) = self.positions.unwrap_or((i64::MAX, i64::MIN));
            self.positions = Some((lowest.min(position.value(i)), highest.max(position.value(i))));
            self.layout.raw_bytes += raw.value(i).len() as u64;
            let same = |texts: &StringArray| i > 0 && texts.value(i) == texts.value(i - 1);
            if !(same(account) && same(region) && same(category)) {
                self.enter(account.value(i).parse().ok()?, region.value(i), Category::parse(category.value(i))?, time);
            }
            let group = self.layout.groups.last_mut()?;
            group.rows += 1;
            group.oldest = time;
        }
        for ((column, _), filter) in FILTERED.iter().zip(&mut self.filters) {
            let block = |i: usize| (self.rows + i) / BLOCK_ROWS;
            if let Some((_, field)) = column.rsplit_once('.') {
                let texts = resource.column_by_name(field)?.as_string_opt::<i32>()?;
                for (i, ends) in resources.value_offsets().windows(2).enumerate() {
                    let of_row = ends[0].cast_unsigned() as usize..ends[1].cast_unsigned() as usize;
                    of_row.filter(|j| texts.is_valid(*j)).for_each(|j| filter.add(block(i), texts.value(j)));
                }
            } else {
                let texts = text(column)?;
                (0..texts.len()).filter(|i| texts.is_valid(*i)).for_each(|i| filter.add(block(i), texts.value(i)));
            }
        }
        self.rows += batch.num_rows();
        Some(())
    }

    /// Makes the rows that follow belong to the group, whose newest is of `time`.
    fn enter(&mut self, account: AccountId, region: &str, category: Category, time: Timestamp) {
        let group = Group { account, region, category };
        if self.layout.groups.last().is_none_or(|last| last.group() != group) {
            let region = region.to_owned();
            self.layout.groups.push(GroupRows { account, region, category, rows: 0, newest: time, oldest: time });
        }
    }

    /// What Delta readers prune by.
    pub(crate) fn stats(&self) -> String {
        let bounds = |position: i64, time: Option<Timestamp>| {
            let time = time.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.3fZ");
            serde_json::json!({ "position": position, "event_time": time })
        };
        let (lowest, highest) = self.positions.unwrap_or_default();
        let groups = &self.layout.groups;
        let min = bounds(lowest, groups.iter().map(|group| group.oldest).min());
        let max = bounds(highest, groups.iter().map(|group| group.newest).max());
        let none = serde_json::json!({ "position": 0, "event_time": 0 });
        serde_json::json!({ "numRecords": self.rows, "minValues": min, "maxValues": max, "nullCount": none })
            .to_string()
    }

    /// The layout, once `append` has put the filters into the file and said where.
    pub(crate) fn finish<E>(mut self, mut append: impl FnMut(&[u8]) -> Result<u64, E>) -> Result<Layout, E> {
        for ((column, _), filter) in FILTERED.iter().zip(self.filters) {
            let (place, bytes) = filter.finish(self.layout.blocks.len());
            let place = FilterPlace { offset: append(&bytes)?, ..place };
            self.layout.filters.insert((*column).to_owned(), place);
        }
        Ok(self.layout)
    }
}
