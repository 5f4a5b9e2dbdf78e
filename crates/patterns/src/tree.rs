//! The JSON of a pattern, as a tree with places. Patterns are short, and no deeper than the walk allows.

use std::ops::Range;

use opentrail_filters::unescape;
use opentrail_filters::walk::{Atom, Container, MAX_DEPTH, Spelling, Visitor, Walker};

use crate::error::{InvalidPattern, Place, Problem};

/// A value, and the byte that follows what says what it is: all of an atom but a string, the opening quote or bracket of
/// others. It is the place that errors about it name, as AWS's do.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    /// Where it is spelled.
    pub(crate) range: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Text(String),
    /// As it is spelled.
    Number(String),
    Bool(bool),
    Null,
}

impl Node {
    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as messages name it.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Object(_) => "{".to_owned(),
            Value::Array(_) => "[".to_owned(),
            Value::Text(text) | Value::Number(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => "null".to_owned(),
        }
    }
}

/// Reads the JSON of a pattern.
pub(crate) fn read(text: &str) -> Result<Node, InvalidPattern> {
    let error = |problem, at| InvalidPattern { problem, place: Some(Place::new(text, at)) };
    let blanks = text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let first = text[blanks..].chars().next();
    if let Some('[' | '"' | '-' | '0'..='9') = first {
        return Err(error(Problem::NotAnObject, blanks + 1));
    }
    if let Some(word) = ["true", "false", "null"].iter().find(|word| text[blanks..].starts_with(**word)) {
        return Err(error(Problem::NotAnObject, blanks + word.len()));
    }
    let mut builder = Builder { text, open: Vec::new(), names: Vec::new(), done: None };
    match Walker::default().walk(text, &mut builder) {
        Ok(()) => builder.done.ok_or_else(|| error(Problem::NotAnObject, blanks)),
        Err(at) => {
            let found = text[text.floor_char_boundary(at)..].chars().next();
            let deep = builder.open.len() == MAX_DEPTH && matches!(found, Some('{' | '['));
            Err(error(if deep { Problem::TooDeep } else { Problem::Syntax { found } }, at + 1))
        }
    }
}

struct Builder<'t> {
    text: &'t str,
    /// The objects and arrays that the walk is in, without the values that are still read.
    open: Vec<Node>,
    /// The names of the properties that are read.
    names: Vec<String>,
    /// The value that was read last.
    done: Option<Node>,
}

impl Visitor for Builder<'_> {
    fn property(&mut self, name: &str, spelling: Spelling) {
        self.names.push(spelled(name, spelling));
    }

    fn element(&mut self, _index: u32) {}

    fn atom(&mut self, atom: Atom, range: Range<usize>) {
        let spelling = &self.text[range.clone()];
        let (at, range, value) = match atom {
            Atom::Text(how) => (range.start, range.start - 1..range.end + 1, Value::Text(spelled(spelling, how))),
            Atom::Number => (range.end, range, Value::Number(spelling.to_owned())),
            Atom::True => (range.end, range, Value::Bool(true)),
            Atom::False => (range.end, range, Value::Bool(false)),
            Atom::Null => (range.end, range, Value::Null),
        };
        self.done = Some(Node { at, range, value });
    }

    fn open(&mut self, container: Container, at: usize) {
        let value = match container {
            Container::Object => Value::Object(Vec::new()),
            Container::Array => Value::Array(Vec::new()),
        };
        self.done = Some(Node { at: at + 1, range: at..at + 1, value });
    }

    fn enter(&mut self) {
        self.open.extend(self.done.take());
    }

    fn exit(&mut self) {
        self.done = self.open.pop();
    }

    fn leave(&mut self, _end: usize) {
        let Some(parent) = self.open.last_mut() else { return };
        let Some(node) = self.done.take() else { return };
        parent.range.end = node.range.end;
        match &mut parent.value {
            Value::Object(members) => members.extend(self.names.pop().map(|name| (name, node))),
            Value::Array(elements) => elements.push(node),
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }
}

fn spelled(raw: &str, spelling: Spelling) -> String {
    let mut said = String::with_capacity(raw.len());
    match spelling {
        Spelling::Plain => said.push_str(raw),
        Spelling::Escaped => unescape(raw, &mut said),
    }
    said
}
