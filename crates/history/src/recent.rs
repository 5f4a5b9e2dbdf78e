use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use opentrail_model::{AccountId, Position};

use crate::row::{Group, Row};
use crate::{Category, Cursor};

/// A [`Group`] that owns its Region.
type GroupKey = (AccountId, Box<str>, Category);

/// The rows that the table does not hold yet.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    groups: HashMap<GroupKey, BTreeMap<Cursor, Arc<Row>>>,
    rows: usize,
    raw_bytes: usize,
}

impl Recent {
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.rows += 1;
            self.raw_bytes += row.raw.len();
            let group = (row.account, row.region.clone(), row.category);
            self.groups.entry(group).or_default().insert(row.cursor(), Arc::new(row));
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    /// All rows, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Row>> {
        self.groups.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The group's rows before `end` and not before `start`, newest first.
    pub(crate) fn newest_first(&self, group: Group<'_>, start: Cursor, end: Cursor) -> impl Iterator<Item = &Arc<Row>> {
        let rows = self.groups.get(&(group.account, Box::from(group.region), group.category));
        let range = (start < end).then_some(start..end);
        rows.zip(range).into_iter().flat_map(|(rows, range)| rows.range(range).rev().map(|(_, row)| row))
    }

    /// Forgets what the table holds.
    pub(crate) fn prune(&mut self, through: Position) {
        let (mut rows, mut raw_bytes) = (0, 0);
        self.groups.retain(|_, group| {
            group.retain(|_, row| row.position > through);
            rows += group.len();
            raw_bytes += group.values().map(|row| row.raw.len()).sum::<usize>();
            !group.is_empty()
        });
        (self.rows, self.raw_bytes) = (rows, raw_bytes);
    }
}
