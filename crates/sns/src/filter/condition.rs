use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

/// What one value of a key may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// This text.
    Text(String),
    /// This number.
    Number(f64),
    /// `true`, `false` or `null`.
    Literal(Value),
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    /// Parts between `*`s.
    Wildcard(Vec<String>),
    /// `numeric`.
    Range {
        from: Option<Bound>,
        to: Option<Bound>,
    },
    Cidr(IpNet),
    /// `anything-but`: there is a value, and it meets none of these.
    AnythingBut(Vec<Condition>),
    /// `exists`.
    Exists(bool),
}

/// An end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) inclusive: bool,
}

impl Condition {
    /// Whether a value that is there meets the condition.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Literal(literal) => value == literal,
            Self::Number(number) => value.as_f64() == Some(*number),
            Self::Range { from, to } => value.as_f64().is_some_and(|number| within(number, *from, *to)),
            Self::AnythingBut(these) => !these.iter().any(|one| one.holds(value)),
            Self::Exists(wanted) => *wanted,
            Self::Text(_)
            | Self::Prefix(_)
            | Self::Suffix(_)
            | Self::EqualsIgnoreCase(_)
            | Self::Wildcard(_)
            | Self::Cidr(_) => value.as_str().is_some_and(|text| self.holds_of_text(text)),
        }
    }

    fn holds_of_text(&self, text: &str) -> bool {
        match self {
            Self::Text(wanted) => text == wanted,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::EqualsIgnoreCase(wanted) => text.to_lowercase() == wanted.to_lowercase(),
            Self::Wildcard(parts) => wildcard(parts, text),
            Self::Cidr(net) => text.parse::<IpAddr>().is_ok_and(|address| net.contains(&address)),
            _ => false,
        }
    }
}

fn within(number: f64, from: Option<Bound>, to: Option<Bound>) -> bool {
    let above = from.is_none_or(|bound| number > bound.value || (bound.inclusive && number == bound.value));
    above && to.is_none_or(|bound| number < bound.value || (bound.inclusive && number == bound.value))
}

/// Whether the text is the parts in their order with anything between them. Each part is taken where it comes first, so
/// that the time is that of a few searches.
fn wildcard(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_some_and(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}
