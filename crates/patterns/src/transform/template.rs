//! Templates: a text in which `<name>` stands for a part of the event.
//!
//! A template that begins with a quote is a string, or several, each in quotes, one a line; any other is JSON once values
//! stand for the placeholders. Where a placeholder stands for a value, a part of the event is put as JSON, and `""` if the
//! event has none. Between quotes strings are put as they are, others as their JSON, and nothing if the event has none; in
//! templates of strings the quotes are taken out of that JSON, in templates of JSON they are left, so that nothing is sent.
//! (All observed.) Quotes, backslashes and the like in strings of the event stay escaped: EventBridge leaves that to
//! chance, and we rather send what was meant.

use std::ops::Range;

use opentrail_filters::walk::{Atom, Container, Spelling, Visitor};

use super::json::{is_json, minified, string_length, walk_value, without_quotes};
use super::{InputTransformer, InvalidInput, JsonPath, MAX_TEXT, NothingToSend, RuleNames};

/// How many paths there are at most. (API Reference, `InputTransformer`.)
const MAX_PATHS: usize = 100;

/// Stands for a placeholder between quotes while a template is checked.
const MARK: char = '\u{f8ff}';

/// A template, and the paths of its placeholders.
#[derive(Clone, Debug)]
pub struct Template {
    kind: Kind,
    parts: Vec<Part>,
    paths: Vec<JsonPath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Strings,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Placeholder(Source, Position),
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// What is at a path, by its number.
    Path(usize),
    RuleArn,
    RuleName,
    IngestionTime,
    /// The event without `detail`.
    Event,
    /// All of it.
    EventJson,
}

/// Where a placeholder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Value,
    Quoted,
}

impl Template {
    /// Checks and reads a transformer.
    pub(crate) fn new(transformer: InputTransformer<'_>) -> Result<Self, InvalidInput> {
        let InputTransformer { paths: named, template } = transformer;
        if template.is_empty() || template.chars().count() > MAX_TEXT {
            return Err(InvalidInput::TemplateLength);
        }
        if named.len() > MAX_PATHS {
            return Err(InvalidInput::MapLength);
        }
        let paths = named.iter().map(|(name, path)| named_path(name, path)).collect::<Result<_, _>>()?;
        let kind = if template.trim_start().starts_with('"') { Kind::Strings } else { Kind::Json };
        let template = Self { kind, parts: parts(template, named)?, paths };
        template.check()?;
        Ok(template)
    }

    pub(crate) fn apply(&self, event: &str, rule: &RuleNames<'_>) -> Result<String, NothingToSend> {
        let values: Option<Vec<Option<String>>> = self.paths.iter().map(|path| path.find(event)).collect();
        let values = values.ok_or(NothingToSend::NoEvent)?;
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Placeholder(source, position) => {
                    let json = match source {
                        Source::Path(number) => values[*number].clone(),
                        Source::RuleArn => Some(quoted(rule.arn)),
                        Source::RuleName => Some(quoted(rule.name)),
                        Source::IngestionTime => Some(quoted(rule.ingestion_time)),
                        Source::Event => Some(without_detail(event).ok_or(NothingToSend::NoEvent)?),
                        Source::EventJson => Some(minified(event)),
                    };
                    text.push_str(&self.put(json, *position));
                }
            }
        }
        match self.kind {
            Kind::Strings => Ok(text),
            Kind::Json if is_json(&text) => Ok(minified(&text)),
            Kind::Json => Err(NothingToSend::NoJson),
        }
    }

    /// What a placeholder becomes.
    fn put(&self, json: Option<String>, position: Position) -> String {
        match (json, position) {
            (Some(json), Position::Value) => json,
            (None, Position::Value) => "\"\"".to_owned(),
            (None, Position::Quoted) => String::new(),
            (Some(json), Position::Quoted) if json.starts_with('"') || self.kind == Kind::Strings => {
                without_quotes(&json)
            }
            (Some(json), Position::Quoted) => json,
        }
    }

    /// Whether there will be JSON, or strings, whatever strings stand for the placeholders.
    fn check(&self) -> Result<(), InvalidInput> {
        let with = |mark: &str| -> String {
            let text = |part: &Part| match part {
                Part::Text(text) => text.to_string(),
                Part::Placeholder(_, Position::Quoted) => mark.to_owned(),
                // What stands beside it must not make one value of the two, as digits would.
                Part::Placeholder(_, Position::Value) => "{}".to_owned(),
            };
            self.parts.iter().map(text).collect()
        };
        let text = with("");
        match self.kind {
            Kind::Strings => are_strings(&text).then_some(()).ok_or(InvalidInput::Template),
            Kind::Json => {
                let (mut plain, mut marked) = (Marks::default(), Marks::default());
                if !walk_value(&text, &mut plain) || !walk_value(&with(&MARK.to_string()), &mut marked) {
                    return Err(InvalidInput::Template);
                }
                if plain.0 == marked.0 { Ok(()) } else { Err(InvalidInput::Key) }
            }
        }
    }
}

/// Counts the marks in the names of properties.
#[derive(Default)]
struct Marks(usize);

impl Visitor for Marks {
    fn property(&mut self, name: &str, _spelling: Spelling) {
        self.0 += name.matches(MARK).count();
    }
    fn element(&mut self, _index: u32) {}
    fn atom(&mut self, _atom: Atom, _range: Range<usize>) {}
    fn open(&mut self, _container: Container, _at: usize) {}
}

fn named_path(name: &str, path: &str) -> Result<JsonPath, InvalidInput> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let valid = (1..=256).contains(&name.len()) && name.bytes().all(is_part) && !name.starts_with("AWS");
    if !valid {
        return Err(InvalidInput::MapName { name: name.to_owned() });
    }
    JsonPath::parse(path).map_err(|error| InvalidInput::MapPath { name: name.to_owned(), error })
}

/// Takes a template apart.
fn parts(template: &str, named: &[(&str, &str)]) -> Result<Vec<Part>, InvalidInput> {
    let (mut parts, mut rest, mut position) = (Vec::new(), template, Position::Value);
    while let Some((before, name, after)) = placeholder(rest) {
        let source = match name {
            "aws.events.rule-arn" => Source::RuleArn,
            "aws.events.rule-name" => Source::RuleName,
            "aws.events.event.ingestion-time" => Source::IngestionTime,
            "aws.events.event" => Source::Event,
            "aws.events.event.json" => Source::EventJson,
            name => match named.iter().position(|(other, _)| *other == name) {
                Some(number) => Source::Path(number),
                None => return Err(InvalidInput::Placeholder { name: name.to_owned() }),
            },
        };
        position = position_after(before, position);
        parts.push(Part::Text(before.into()));
        parts.push(Part::Placeholder(source, position));
        rest = after;
    }
    parts.push(Part::Text(rest.into()));
    Ok(parts)
}

/// What lies before the first placeholder of a text, its name, and what lies after it. `<` and `>` with anything but a name
/// between them are what they are.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('<').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let length = rest.bytes().take_while(|byte| is_part(*byte)).count();
        (length > 0 && rest[length..].starts_with('>')).then(|| (&text[..at], &rest[..length], &rest[length + 1..]))
    })
}

/// Whether one is between quotes after a text.
fn position_after(text: &str, mut position: Position) -> Position {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        position = match (byte, position) {
            (b'"', Position::Value) => Position::Quoted,
            (b'"', Position::Quoted) => Position::Value,
            (b'\\', Position::Quoted) => {
                bytes.next();
                Position::Quoted
            }
            _ => position,
        };
    }
    position
}

/// Whether a text has nothing but strings, with blanks between them.
fn are_strings(text: &str) -> bool {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if !rest.starts_with('"') {
            return false;
        }
        let (string, after) = rest.split_at(string_length(rest));
        if !is_json(string) {
            return false;
        }
        rest = after.trim_start();
    }
    true
}

/// A text as a string of JSON.
fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control @ '\0'..' ' => json.push_str(&format!("\\u{:04x}", control as u32)),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

/// The event without `detail`. `detail-type` is called `detailType` there. (Observed.)
fn without_detail(event: &str) -> Option<String> {
    let named = [
        ("id", "id"),
        ("account", "account"),
        ("detailType", "detail-type"),
        ("time", "time"),
        ("source", "source"),
        ("region", "region"),
        ("resources", "resources"),
        ("version", "version"),
    ];
    let mut members = Vec::new();
    for (name, of) in named {
        if let Some(json) = JsonPath::property(of).find(event)? {
            members.push(format!("\"{name}\":{json}"));
        }
    }
    Some(format!("{{{}}}", members.join(",")))
}
