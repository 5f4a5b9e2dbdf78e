//! Rows: an event with what a query made of it, or what remains after `stats`.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::sync::Arc;

use opentrail_model::Timestamp;
use serde_json::Value as Json;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// The field is not there.
    Missing,
    Bool(bool),
    Number(f64),
    Text(String),
    /// In milliseconds.
    Time(i64),
}

impl Value {
    /// As a number, if it is one or reads as one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Time(millis) => Some(*millis as f64),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Self::Bool(_) | Self::Missing => None,
        }
    }

    /// As results show it; `None` when it is not there.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::Bool(truth) => Some(if *truth { "1" } else { "0" }.to_owned()),
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Time(millis) => Some(Timestamp::from_millis(*millis).format("%Y-%m-%d %H:%M:%S%.3f")),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Bool(truth) => *truth,
            Self::Missing => false,
            Self::Text(text) if text == "true" => true,
            other => other.number().is_some_and(|number| number != 0.0),
        }
    }

    /// Numbers by their value, others by their text; what is missing comes first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.text().cmp(&other.text()),
        }
    }

    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
        32 + if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// Where an event is: `@ptr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) group: i64,
    pub(crate) stream: i64,
    pub(crate) sequence: u64,
    pub(crate) index: u64,
}

/// An event under a query.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) time: i64,
    pub(super) ingested: i64,
    pub(super) message: String,
    pub(super) stream: Arc<str>,
    /// `account:group`.
    pub(super) log: Arc<str>,
    pub(super) pointer: Pointer,
    /// The message as JSON, once it was asked for.
    json: OnceCell<Option<Box<Json>>>,
}

impl Event {
    pub(super) fn new(
        (time, ingested): (i64, i64),
        message: String,
        (stream, log): (Arc<str>, Arc<str>),
        pointer: Pointer,
    ) -> Self {
        Self { time, ingested, message, stream, log, pointer, json: OnceCell::new() }
    }

    pub(super) fn json(&self) -> Option<&Json> {
        let parse = || serde_json::from_str(&self.message).ok().filter(Json::is_object).map(Box::new);
        self.json.get_or_init(parse).as_deref()
    }

    fn field(&self, name: &str) -> Value {
        match name {
            "@timestamp" => Value::Time(self.time),
            "@ingestionTime" => Value::Time(self.ingested),
            "@message" => Value::Text(self.message.clone()),
            "@logStream" => Value::Text(self.stream.to_string()),
            "@log" => Value::Text(self.log.to_string()),
            "@ptr" => Value::Text(self.pointer.to_string()),
            path => self.json().and_then(|json| walk(json, path)).map_or(Value::Missing, value),
        }
    }
}

/// A row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// The event; none after `stats`.
    pub(super) event: Option<Box<Event>>,
    /// What the query made; later ones hide earlier ones and the event's.
    pub(super) made: Vec<(Arc<str>, Value)>,
}

impl Row {
    pub(super) fn field(&self, name: &str) -> Value {
        if let Some((_, value)) = self.made.iter().rev().find(|(made, _)| **made == *name) {
            return value.clone();
        }
        self.event.as_ref().map_or(Value::Missing, |event| event.field(name))
    }

    pub(super) fn weight(&self) -> usize {
        let event = self.event.as_ref().map_or(0, |event| 200 + 4 * event.message.len());
        event + self.made.iter().map(|(_, value)| 32 + value.weight()).sum::<usize>()
    }
}

/// What lies in `json` under a path of names and indexes joined by dots; names may have dots themselves.
fn walk<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    match json {
        Json::Object(members) => {
            if let Some(found) = members.get(path) {
                return Some(found);
            }
            path.match_indices('.').find_map(|(at, _)| walk(members.get(&path[..at])?, &path[at + 1..]))
        }
        Json::Array(items) => {
            let (index, rest) = path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
            let item = items.get(index.parse::<usize>().ok()?)?;
            rest.map_or(Some(item), |rest| walk(item, rest))
        }
        _ => None,
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Missing,
        Json::Bool(truth) => Value::Text(truth.to_string()),
        Json::Number(number) => number.as_f64().map_or(Value::Missing, Value::Number),
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}

/// The names and values of all leaves of an event's JSON, at most `most`.
pub(super) fn leaves(json: &Json, most: usize) -> Vec<(String, String)> {
    let (mut found, mut open) = (Vec::new(), vec![(String::new(), json)]);
    while let Some((path, json)) = open.pop() {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match json {
            _ if found.len() + open.len() > most => break,
            Json::Object(members) => open.extend(members.iter().map(|(name, json)| (below(name), json))),
            Json::Array(items) => {
                open.extend((0..).zip(items).map(|(at, json): (usize, _)| (below(&at.to_string()), json)))
            }
            leaf => found.extend(value(leaf).text().map(|text| (path, text))),
        }
    }
    found
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{:x}-{:x}-{:x}", self.group, self.stream, self.sequence, self.index)
    }
}

impl std::str::FromStr for Pointer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split('-').collect();
        let [group, stream, sequence, index] = parts[..] else { return Err(()) };
        let signed = |text| i64::from_str_radix(text, 16).map_err(|_| ());
        let unsigned = |text| u64::from_str_radix(text, 16).map_err(|_| ());
        Ok(Self {
            group: signed(group)?,
            stream: signed(stream)?,
            sequence: unsigned(sequence)?,
            index: unsigned(index)?,
        })
    }
}
