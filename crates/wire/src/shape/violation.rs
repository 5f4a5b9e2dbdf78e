use std::fmt::Write;

use serde_json::Value;

/// Values longer than this many characters are cut in messages, so that an answer stays small.
const SHOWN_CHARS: usize = 1024;

/// One value that breaks a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The member, in AWS's form: first letters in lower case, list positions from 1, e.g. `tagsList.1.member.key`.
    pub path: String,
    /// The value as AWS prints it; `None` where it is absent.
    pub value: Option<String>,
    /// What must hold, e.g. "Member must not be null".
    pub constraint: String,
}

impl Violation {
    /// The whole message for the client: "N validation error(s) detected: …".
    pub fn message(violations: &[Self]) -> String {
        let plural = if violations.len() == 1 { "" } else { "s" };
        let mut text = format!("{} validation error{plural} detected: ", violations.len());
        for (i, Self { path, value, constraint }) in violations.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let told = match value {
                Some(value) => {
                    write!(text, "{separator}Value '{value}' at '{path}' failed to satisfy constraint: {constraint}")
                }
                None => write!(text, "{separator}Value null at '{path}' failed to satisfy constraint: {constraint}"),
            };
            told.expect("writing to a String cannot fail");
        }
        text
    }
}

/// A JSON value in the form that AWS's messages have: `[a, b]`, `{k=v}`, text without quotes.
pub(super) fn shown(value: &Value) -> String {
    let mut text = String::new();
    show(value, &mut text);
    if let Some((cut, _)) = text.char_indices().nth(SHOWN_CHARS) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

fn show(value: &Value, out: &mut String) {
    if out.len() > 4 * SHOWN_CHARS {
        return;
    }
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                show(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                out.push_str(key);
                out.push('=');
                show(member, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}
