use std::hash::{BuildHasher, RandomState};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{ArrowNativeType, DataType};
use hashbrown::HashTable;

/// What stands for a value in a column: rows with the same key have the same value, rows with others may.
pub(super) type Key = u128;

/// No text is so long, and no other value so large.
const NULL: Key = Key::MAX;

/// So many rows of a batch tell how its values come.
const SEEN_ROWS: usize = 128;
/// So many groups are found without asking the table.
const LATELY: usize = 1 << 8;

/// Texts so long stand in their views.
const INLINE_BYTES: u32 = 12;

/// Whether columns of this type have keys.
pub(super) fn has_keys(of: &DataType) -> bool {
    matches!(
        of,
        DataType::Utf8View
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Date32
            | DataType::Timestamp(..)
    )
}

/// The keys of a column's rows, in the place of what `keys` has. Those of texts hold for as long as the column's memory is not
/// given back.
///
/// # Panics
/// For a column that [has none](has_keys).
fn put_keys(column: &ArrayRef, keys: &mut Vec<Key>) {
    keys.clear();
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            let starts = texts.data_buffers().iter().map(|buffer| buffer.as_ptr().addr() as u64);
            // Texts that stand in their views look at the first one.
            let starts: Vec<u64> = starts.chain([0]).collect();
            keys.extend(texts.views().iter().map(|view| key_of(*view, &starts)));
        }
        DataType::Boolean => keys.extend(column.as_boolean().values().iter().map(Key::from)),
        of => {
            let data = column.to_data();
            match of.primitive_width() {
                Some(1) => put_bits(data.buffer::<u8>(0), data.len(), keys),
                Some(2) => put_bits(data.buffer::<u16>(0), data.len(), keys),
                Some(4) => put_bits(data.buffer::<u32>(0), data.len(), keys),
                Some(8) => put_bits(data.buffer::<u64>(0), data.len(), keys),
                _ => unreachable!("a column of {of} has no keys"),
            }
        }
    }
    if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
        keys.iter_mut().zip(nulls.iter()).filter(|(_, valid)| !valid).for_each(|(key, _)| *key = NULL);
    }
}

/// A long text's view names a buffer of its array and where the text begins there; the key has the address instead, so that
/// arrays that share a buffer agree. Without a branch, as nobody foresees how long texts are.
fn key_of(view: u128, starts: &[u64]) -> Key {
    let (low, high) = (view as u64, (view >> 64) as u64);
    let long = u64::from(low as u32 > INLINE_BYTES).wrapping_neg();
    let address = starts[(high & long) as u32 as usize] + ((high & long) >> 32);
    Key::from(low) | (Key::from((high & !long) | (address & long)) << 64)
}

fn put_bits<T: ArrowNativeType + Into<Key>>(values: &[T], rows: usize, keys: &mut Vec<Key>) {
    keys.extend(values[..rows].iter().map(|value| -> Key { (*value).into() }));
}

/// The most columns whose keys are looked at together.
pub(super) const MOST_COLUMNS: usize = 8;

/// Rows by their keys: those of the same keys are of the same group.
pub(super) enum Sames {
    One(Table<1>),
    Two(Table<2>),
    Four(Table<4>),
    Eight(Table<MOST_COLUMNS>),
}

impl Sames {
    /// Knows no group of rows with so many columns, at most [`MOST_COLUMNS`].
    pub(super) fn new(columns: usize) -> Self {
        match columns {
            0 | 1 => Self::One(Table::new()),
            2 => Self::Two(Table::new()),
            3 | 4 => Self::Four(Table::new()),
            _ => Self::Eight(Table::new()),
        }
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self) {
        match self {
            Self::One(table) => table.clear(),
            Self::Two(table) => table.clear(),
            Self::Four(table) => table.clear(),
            Self::Eight(table) => table.clear(),
        }
    }

    /// Puts into `numbers` which group each of the rows is of; `first` is called with each that begins one. Groups are numbered
    /// from 0 in the order of their first rows.
    pub(super) fn number(&mut self, columns: &[ArrayRef], numbers: &mut Vec<usize>, first: impl FnMut(usize)) {
        match self {
            Self::One(table) => table.number(columns, numbers, first),
            Self::Two(table) => table.number(columns, numbers, first),
            Self::Four(table) => table.number(columns, numbers, first),
            Self::Eight(table) => table.number(columns, numbers, first),
        }
    }
}

/// Groups of rows by `W` keys, of which the last may mean nothing.
pub(super) struct Table<const W: usize> {
    groups: HashTable<u32>,
    /// Those of the groups.
    keys: Vec<[Key; W]>,
    /// Those found last, each where some bits of its keys say: most columns have few values.
    lately: Vec<Option<([Key; W], usize)>>,
    seeds: [u64; 2],
    /// The keys of the rows in hand, of one column after the other.
    columns: [Vec<Key>; W],
}

impl<const W: usize> Table<W> {
    fn new() -> Self {
        // Whoever writes events does not know which keys meet.
        let random = RandomState::new();
        let seeds = [random.hash_one(0), random.hash_one(1)];
        let columns = std::array::from_fn(|_| Vec::new());
        Self { groups: HashTable::new(), keys: Vec::new(), lately: vec![None; LATELY], seeds, columns }
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.keys.clear();
        self.lately.fill(None);
    }

    fn number(&mut self, columns: &[ArrayRef], numbers: &mut Vec<usize>, mut first: impl FnMut(usize)) {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut of_rows = std::mem::replace(&mut self.columns, std::array::from_fn(|_| Vec::new()));
        for (number, keys) in of_rows.iter_mut().enumerate() {
            match columns.get(number) {
                Some(column) => put_keys(column, keys),
                None => {
                    keys.clear();
                    keys.resize(rows, 0);
                }
            }
        }
        numbers.clear();
        numbers.reserve(rows);
        let keys: [&[Key]; W] = std::array::from_fn(|number| &of_rows[number][..rows]);
        let key = |row: usize| std::array::from_fn(|number| keys[number][row]);
        let is_as_before = |row: usize| keys.iter().all(|keys| keys[row] == keys[row - 1]);
        // Times and what goes with them come one after the other. To ask costs more than it saves where values come as they like.
        let seen = rows.min(SEEN_ROWS);
        let in_runs = (1..seen).filter(|row| is_as_before(*row)).count() * 8 > seen * 7;
        let mut group = 0;
        for row in 0..rows {
            if !(in_runs && row > 0 && is_as_before(row)) {
                let (known, key) = (self.keys.len(), key(row));
                group = self.group(key);
                if group == known {
                    first(row);
                }
            }
            numbers.push(group);
        }
        self.columns = of_rows;
    }

    #[inline]
    fn group(&mut self, key: [Key; W]) -> usize {
        let place = place_of(&key);
        match &self.lately[place] {
            Some((known, group)) if are_same(known, &key) => *group,
            _ => {
                let group = self.find(key);
                self.lately[place] = Some((key, group));
                group
            }
        }
    }

    fn find(&mut self, key: [Key; W]) -> usize {
        let Self { groups, keys, seeds, .. } = self;
        let hash = hash(&key, *seeds);
        if let Some(group) = groups.find(hash, |group| are_same(&keys[*group as usize], &key)) {
            return *group as usize;
        }
        let group = u32::try_from(keys.len()).expect("groups are taken before there are many");
        keys.push(key);
        groups.insert_unique(hash, group, |group| self::hash(&keys[*group as usize], *seeds));
        group as usize
    }
}

/// Where a group is among the latest.
fn place_of<const W: usize>(keys: &[Key; W]) -> usize {
    let bits = keys.iter().fold(0, |bits: u64, key| bits.rotate_left(5) ^ *key as u64 ^ (key >> 64) as u64);
    (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - LATELY.ilog2())) as usize
}

/// Word by word: keys that were just put together are not yet where a comparison of memory would look for them.
fn are_same<const W: usize>(one: &[Key; W], other: &[Key; W]) -> bool {
    one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

fn hash<const W: usize>(keys: &[Key; W], seeds: [u64; 2]) -> u64 {
    // Both halves of a product of 64 bits by 64, which every bit of the key has a part in.
    keys.iter().fold(seeds[0], |hash, key| {
        let product = u128::from(*key as u64 ^ hash) * u128::from((key >> 64) as u64 ^ seeds[1]);
        product as u64 ^ (product >> 64) as u64
    })
}
