//! Events as the columns of Lake's schema: one decoder for all kinds, made of a schema's facts.
//!
//! Each event is walked once; what it has of a column goes straight to the column's buffers. A member that has not the type
//! that its column is for is null there, and counted; one that is null or missing is null and nothing more.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int32Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use opentrail_event::json;
use opentrail_model::Timestamp;
use sonic_rs::{JsonValueTrait, LazyValue};

use crate::schema::{Part, Shape, fields, list_element, map_entries, map_fields};

/// From so many members on, repeated keys of a map are found by hashing.
const HASHED_FROM: usize = 16;

/// Makes columns of events.
pub(crate) struct Decoder {
    root: StructColumn,
    odd: u64,
}

impl Decoder {
    /// A decoder of these columns, with room for `rows` events.
    pub(crate) fn new(parts: &'static [Part], rows: usize) -> Self {
        Self { root: StructColumn::new(parts, rows), odd: 0 }
    }

    /// Takes the next event. Bytes that are not one JSON object have no columns.
    pub(crate) fn push(&mut self, event: &[u8]) {
        let known = str::from_utf8(event).is_ok_and(|event| self.root.push_object(event, &mut self.odd));
        if !known {
            self.odd += 1;
            self.root.push_null();
        }
    }

    /// The columns, in the order of the parts, and how many members had not the type that their column is for.
    pub(crate) fn finish(self) -> (Vec<ArrayRef>, u64) {
        (self.root.slots.into_iter().map(|slot| slot.column.finish()).collect(), self.odd)
    }
}

/// A column while it is made.
enum Column {
    Text(StringBuilder),
    Word(StringBuilder),
    Any(StringBuilder),
    Flag(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Integer(Int32Builder),
    Double(Float64Builder),
    Map(MapColumn),
    Struct(StructColumn),
    List(ListColumn),
}

impl Column {
    fn new(shape: Shape, rows: usize) -> Self {
        let texts = || StringBuilder::with_capacity(rows, rows * 16);
        match shape {
            Shape::Text => Self::Text(texts()),
            Shape::Word => Self::Word(texts()),
            Shape::Any => Self::Any(texts()),
            Shape::Flag => Self::Flag(BooleanBuilder::with_capacity(rows)),
            Shape::Time => Self::Time(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")),
            Shape::Integer => Self::Integer(Int32Builder::with_capacity(rows)),
            Shape::Double => Self::Double(Float64Builder::with_capacity(rows)),
            Shape::Map => Self::Map(MapColumn::new(rows)),
            Shape::Struct(parts) => Self::Struct(StructColumn::new(parts, rows)),
            Shape::List(parts) => Self::List(ListColumn::new(parts, rows)),
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Text(column) | Self::Word(column) | Self::Any(column) => column.append_null(),
            Self::Flag(column) => column.append_null(),
            Self::Time(column) => column.append_null(),
            Self::Integer(column) => column.append_null(),
            Self::Double(column) => column.append_null(),
            Self::Map(column) => column.end(false),
            Self::Struct(column) => column.push_null(),
            Self::List(column) => column.end(false),
        }
    }

    /// Takes the next row's value. What does not fit is null, and one more that is odd.
    fn push(&mut self, value: &LazyValue<'_>, odd: &mut u64) {
        let fits = match self {
            Self::Text(column) => value.as_str().map(|text| column.append_value(text)).is_some(),
            Self::Word(column) => word(value).map(|word| column.append_value(word)).is_some(),
            Self::Any(column) => {
                column.append_value(any_text(value));
                true
            }
            Self::Flag(column) => flag(value).map(|flag| column.append_value(flag)).is_some(),
            Self::Time(column) => time(value).map(|time| column.append_value(time)).is_some(),
            Self::Integer(column) => integer(value).map(|number| column.append_value(number)).is_some(),
            Self::Double(column) => value.as_f64().map(|number| column.append_value(number)).is_some(),
            Self::Map(column) => value.is_object().then(|| column.push(value.as_raw_str())).is_some(),
            Self::Struct(column) => value.is_object() && column.push_object(value.as_raw_str(), odd),
            Self::List(column) => value.is_array().then(|| column.push(value.as_raw_str(), odd)).is_some(),
        };
        if !fits {
            *odd += 1;
            self.push_null();
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut column) | Self::Word(mut column) | Self::Any(mut column) => {
                ArrayBuilder::finish(&mut column)
            }
            Self::Flag(mut column) => ArrayBuilder::finish(&mut column),
            Self::Time(mut column) => ArrayBuilder::finish(&mut column),
            Self::Integer(mut column) => ArrayBuilder::finish(&mut column),
            Self::Double(mut column) => ArrayBuilder::finish(&mut column),
            Self::Map(column) => column.finish(),
            Self::Struct(column) => Arc::new(column.finish()),
            Self::List(column) => column.finish(),
        }
    }
}

/// A part of a [`StructColumn`].
struct Slot {
    column: Column,
    /// Where its value is looked for: which of the struct's keys, and the path below it.
    paths: Vec<(usize, Vec<&'static str>)>,
}

struct StructColumn {
    parts: &'static [Part],
    /// The members that are looked at.
    keys: Vec<&'static str>,
    slots: Vec<Slot>,
    valid: NullBufferBuilder,
}

impl StructColumn {
    fn new(parts: &'static [Part], rows: usize) -> Self {
        let mut keys: Vec<&'static str> = Vec::new();
        let mut slots = Vec::new();
        for part in parts {
            let mut paths = Vec::new();
            for path in part.paths() {
                let number = keys.iter().position(|key| *key == path[0]).unwrap_or_else(|| {
                    keys.push(path[0]);
                    keys.len() - 1
                });
                paths.push((number, path[1..].to_vec()));
            }
            slots.push(Slot { column: Column::new(part.shape, rows), paths });
        }
        Self { parts, keys, slots, valid: NullBufferBuilder::new(rows) }
    }

    fn push_null(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.column.push_null());
        self.valid.append_null();
    }

    /// False, and nothing taken, when the text is not one object.
    fn push_object(&mut self, object: &str, odd: &mut u64) -> bool {
        // Each the last of its name.
        let mut found: Vec<Option<LazyValue<'_>>> = vec![None; self.keys.len()];
        // Records have their members in much the same order as the columns.
        let mut next = 0;
        let whole = json::members(object, |key, value| {
            let expected = self.keys.get(next).filter(|known| **known == key).map(|_| next);
            if let Some(number) = expected.or_else(|| self.keys.iter().position(|known| *known == key)) {
                found[number] = Some(value.clone());
                next = number + 1;
            }
        });
        if !whole {
            return false;
        }
        for Slot { column, paths } in &mut self.slots {
            let at = |(number, below): &(usize, Vec<&'static str>)| {
                let value = found[*number].as_ref()?;
                (!value.is_null()).then(|| below_of(value, below)).flatten()
            };
            match paths.iter().find_map(at) {
                Some(value) => column.push(&value, odd),
                None => column.push_null(),
            }
        }
        self.valid.append_non_null();
        true
    }

    fn finish(mut self) -> StructArray {
        let nulls = self.valid.finish();
        let columns = self.slots.into_iter().map(|slot| slot.column.finish()).collect();
        StructArray::new(fields(self.parts), columns, nulls)
    }
}

/// What lies below `value` at `path`, unless that is null.
fn below_of<'v>(value: &'v LazyValue<'_>, path: &[&str]) -> Option<Cow<'v, LazyValue<'v>>> {
    let Some((first, rest)) = path.split_first() else { return Some(Cow::Borrowed(value)) };
    let mut found = value.is_object().then(|| json::member(value.as_raw_str(), first)).flatten()?;
    for name in rest {
        let raw = found.as_raw_cow();
        let Cow::Borrowed(raw) = raw else { return None };
        found = json::member(raw, name)?;
    }
    (!found.is_null()).then_some(Cow::Owned(found))
}

struct ListColumn {
    parts: &'static [Part],
    items: StructColumn,
    len: usize,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

impl ListColumn {
    fn new(parts: &'static [Part], rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { parts, items: StructColumn::new(parts, rows), len: 0, ends, valid: NullBufferBuilder::new(rows) }
    }

    fn push(&mut self, array: &str, odd: &mut u64) {
        json::elements(array, |item| {
            if !(item.is_object() && self.items.push_object(item.as_raw_str(), odd)) {
                *odd += u64::from(!item.is_null());
                self.items.push_null();
            }
            self.len += 1;
        });
        self.end(true);
    }

    fn end(&mut self, valid: bool) {
        self.ends.push(offset(self.len));
        self.valid.append(valid);
    }

    fn finish(mut self) -> ArrayRef {
        let (offsets, nulls) = (OffsetBuffer::new(self.ends.into()), self.valid.finish());
        Arc::new(ListArray::new(list_element(self.parts), offsets, Arc::new(self.items.finish()), nulls))
    }
}

struct MapColumn {
    /// The names of the members in hand, one behind the other.
    names: String,
    keys: StringBuilder,
    values: StringBuilder,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

impl MapColumn {
    fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        let texts = || StringBuilder::with_capacity(rows, rows * 16);
        Self { names: String::new(), keys: texts(), values: texts(), ends, valid: NullBufferBuilder::new(rows) }
    }

    fn push(&mut self, object: &str) {
        self.names.clear();
        let (names, mut members) = (&mut self.names, Vec::new());
        json::members(object, |key, value| {
            let start = names.len();
            names.push_str(key);
            members.push((start..names.len(), value.clone()));
        });
        let name = |place: &Range<usize>| &self.names[place.clone()];
        let mut last: HashMap<&str, usize> = HashMap::new();
        if members.len() >= HASHED_FROM {
            last.extend(members.iter().enumerate().map(|(number, (place, _))| (name(place), number)));
        }
        for (number, (place, value)) in members.iter().enumerate() {
            let key = name(place);
            let repeated = match last.get(key) {
                Some(last) => *last > number,
                None => members[number + 1..].iter().any(|(later, _)| name(later) == key),
            };
            if !repeated && !value.is_null() {
                self.keys.append_value(key);
                self.values.append_value(any_text(value));
            }
        }
        self.end(true);
    }

    fn end(&mut self, valid: bool) {
        self.ends.push(offset(self.keys.len()));
        self.valid.append(valid);
    }

    fn finish(mut self) -> ArrayRef {
        let (offsets, nulls) = (OffsetBuffer::new(self.ends.into()), self.valid.finish());
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let entries = StructArray::new(map_fields(), columns, None);
        Arc::new(MapArray::new(map_entries(), offsets, entries, nulls, false))
    }
}

fn offset(len: usize) -> i32 {
    i32::try_from(len).expect("events decoded together have less than 2 GiB")
}

fn word<'v>(value: &'v LazyValue<'_>) -> Option<&'v str> {
    value.as_bool().map(|flag| if flag { "true" } else { "false" }).or_else(|| value.as_str())
}

fn flag(value: &LazyValue<'_>) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()? {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

fn time(value: &LazyValue<'_>) -> Option<i64> {
    Some(value.as_str()?.parse::<Timestamp>().ok()?.as_millis().saturating_mul(1000))
}

fn integer(value: &LazyValue<'_>) -> Option<i32> {
    let whole = || value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
    i32::try_from(value.as_i64().or_else(whole)?).ok()
}

/// A text without its quotes; everything else as compact JSON.
fn any_text<'v>(value: &'v LazyValue<'_>) -> Cow<'v, str> {
    let raw = value.as_raw_str();
    match raw.as_bytes().first() {
        // A text that has half a character stays as it is spelled.
        Some(b'"') => value.as_str().map_or_else(|| raw[1..raw.len() - 1].into(), Cow::Borrowed),
        Some(b'{' | b'[') => compact(raw),
        _ => raw.into(),
    }
}

/// The JSON without the white space between its tokens.
fn compact(json: &str) -> Cow<'_, str> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if !json.bytes().any(is_space) {
        return json.into();
    }
    let mut text = Vec::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        if quoted || !is_space(byte) {
            text.push(byte);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    String::from_utf8(text).expect("only ASCII was left out").into()
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
