//! JSON as text: whether it is any, without its blanks, without its quotes.

use std::ops::Range;

use opentrail_filters::walk::{Atom, Container, Spelling, Visitor, Walker};

/// Whether a text is JSON: any value.
pub(crate) fn is_json(text: &str) -> bool {
    walk_value(text, &mut Nothing)
}

/// Walks any value. False if the text is none.
pub(crate) fn walk_value(text: &str, visitor: &mut impl Visitor) -> bool {
    Walker::default().walk_value(text, visitor).is_ok()
}

struct Nothing;

impl Visitor for Nothing {
    fn property(&mut self, _name: &str, _spelling: Spelling) {}
    fn element(&mut self, _index: u32) {}
    fn atom(&mut self, _atom: Atom, _range: Range<usize>) {}
    fn open(&mut self, _container: Container, _at: usize) {}
}

/// JSON without the blanks between its values.
pub(crate) fn minified(json: &str) -> String {
    outside_and_inside(json, |text, outside, inside| {
        text.extend(outside.chars().filter(|character| !character.is_ascii_whitespace()));
        text.push_str(inside);
    })
}

/// JSON as it is put into strings: without blanks between its values, and without its quotes. (Observed.)
pub(crate) fn without_quotes(json: &str) -> String {
    outside_and_inside(json, |text, outside, inside| {
        text.extend(outside.chars().filter(|character| !character.is_ascii_whitespace()));
        let content = inside.strip_prefix('"').and_then(|inside| inside.strip_suffix('"'));
        text.push_str(content.unwrap_or(inside));
    })
}

/// Goes through JSON, by what lies before a string and the string with its quotes.
fn outside_and_inside(json: &str, mut add: impl FnMut(&mut String, &str, &str)) -> String {
    let (mut text, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(open) = rest.find('"') {
        let length = string_length(&rest[open..]);
        add(&mut text, &rest[..open], &rest[open..open + length]);
        rest = &rest[open + length..];
    }
    add(&mut text, rest, "");
    text
}

/// How many bytes a string has that a text begins with, quotes included; all, if nothing closes it.
pub(crate) fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
