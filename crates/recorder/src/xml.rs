//! XML documents as JSON, the way S3's records show them: attributes and child elements are members, repeated elements
//! a list, `true`, `false` and plain integers lose their quotes.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// Elements inside elements, at most. Deeper documents are none of the services'.
const MAX_DEPTH: usize = 32;

/// One element.
#[derive(Default)]
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// The root element's name and content; `None` for what is no well-formed document or too deep.
pub(crate) fn parse(document: &[u8]) -> Option<(String, Value)> {
    let mut reader = Reader::from_reader(document);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH || (open.is_empty() && root.is_some()) {
                    return None;
                }
                open.push(begun(&start));
            }
            Event::Empty(start) => close(begun(&start), &mut open, &mut root)?,
            Event::End(_) => {
                let element = open.pop()?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => push_text(&mut open, &text.decode().ok()?),
            Event::CData(text) => push_text(&mut open, &text.decode().ok()?),
            Event::GeneralRef(reference) => {
                let text = match reference.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&reference.decode().ok()?)?.to_owned(),
                };
                push_text(&mut open, &text);
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
        }
    }
    if open.is_empty() { root } else { None }
}

/// The text of an element found by a path of names below the root.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, name| value.get(name))?.as_str()
}

fn begun(start: &BytesStart<'_>) -> Element {
    let name = String::from_utf8_lossy(start.name().local_name().as_ref()).into_owned();
    let mut members = Map::new();
    for attribute in start.attributes().flatten() {
        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        members.insert(key, Value::from(String::from_utf8_lossy(&attribute.value).into_owned()));
    }
    Element { name, members, text: String::new() }
}

fn push_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn close(element: Element, open: &mut [Element], root: &mut Option<(String, Value)>) -> Option<()> {
    let Element { name, mut members, text } = element;
    let text = text.trim();
    let value = if members.is_empty() {
        scalar(text)
    } else {
        if !text.is_empty() {
            members.insert("content".to_owned(), scalar(text));
        }
        Value::Object(members)
    };
    match open.last_mut() {
        Some(parent) => add(&mut parent.members, name, value),
        None if root.is_none() => *root = Some((name, value)),
        None => return None,
    }
    Some(())
}

fn add(members: &mut Map<String, Value>, name: String, value: Value) {
    match members.get_mut(&name) {
        None => {
            members.insert(name, value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn scalar(text: &str) -> Value {
    let plain_integer =
        |text: &str| text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        // An account id has twelve digits and stays text: nobody counts with it.
        number if (1..12).contains(&number.len()) && plain_integer(number) => {
            number.parse::<u64>().map_or_else(|_| Value::from(number), Value::from)
        }
        other => Value::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_configuration_reads_as_in_records() {
        let document =
            br#"<?xml version="1.0"?><A xmlns="urn:x"><B>true</B><C>30</C><D>a &amp; b</D><E>1</E><E>2</E></A>"#;
        let expected = json!({ "xmlns": "urn:x", "B": true, "C": 30, "D": "a & b", "E": [1, 2] });
        assert_eq!(parse(document), Some(("A".to_owned(), expected)));
    }

    #[test]
    fn what_is_no_document_is_none() {
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        for text in ["", "x", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a>&nope;</a>", &deep] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
