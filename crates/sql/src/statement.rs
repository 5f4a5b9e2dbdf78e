//! A statement: text that is one query of the dialect, and the stores that it reads.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::ast::{Query, Statement as Parsed};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use uuid::Uuid;

use crate::dialect::LakeDialect;
use crate::error::{Location, StatementError};
use crate::{bounds, check};

/// `StartQuery`, `QueryStatement`: 1 to 10000 characters.
pub(crate) const MAX_LENGTH: usize = 10_000;

/// What stands for a store's id while the text is SQL; as long as an id, so that locations stay true.
const MARK: &str = "eds_";

/// One `SELECT` of Lake's dialect, checked without knowing tables.
///
/// It keeps the text, not the syntax tree: a tree that somebody made deep must not be dropped on a small stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    marked: String,
    stores: BTreeSet<Uuid>,
    named: BTreeMap<String, Uuid>,
}

impl Statement {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// When it is not exactly one query of the dialect; the error's text is for the client.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        Self::parse_with(text, &[])
    }

    /// As [`Self::parse`], with names, in lower case, that stand for tables as ids of stores do. A query of that name in
    /// `WITH` goes before.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_with(text: &str, named: &[(&str, Uuid)]) -> Result<Self, StatementError> {
        let length = text.chars().take(MAX_LENGTH + 1).count();
        if length == 0 || length > MAX_LENGTH {
            return Err(StatementError::Length { length: text.chars().count() });
        }
        let marked = mark_stores(text);
        let named = named.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
        let stores = bounds::on_deep_stack(|| check::stores(&parse(&marked)?, &named))?;
        Ok(Self { marked, stores, named })
    }

    /// The event data stores named in `FROM`, sub-queries included.
    pub fn stores(&self) -> &BTreeSet<Uuid> {
        &self.stores
    }

    /// What a name stands for.
    pub(crate) fn named(&self, name: &str) -> Option<Uuid> {
        self.named.get(&name.to_lowercase()).copied()
    }

    /// The syntax tree; to be made and dropped on a deep stack.
    pub(crate) fn query(&self) -> Result<Query, StatementError> {
        parse(&self.marked)
    }

    /// Where `name` first stands as a word.
    pub(crate) fn locate(&self, name: &str) -> Option<Location> {
        let tokens = Tokenizer::new(&LakeDialect, &self.marked).tokenize_with_location().ok()?;
        let is_it = |token: &Token| matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(name));
        tokens.iter().find(|token| is_it(&token.token)).and_then(|token| Location::of(token.span))
    }
}

fn parse(marked: &str) -> Result<Query, StatementError> {
    let parser = Parser::new(&LakeDialect).with_recursion_limit(bounds::PARSER_DEPTH);
    let mut statements = parser.try_with_sql(marked)?.parse_statements()?;
    let Some(last) = statements.pop() else {
        let message = "expected a SELECT query, found nothing".to_owned();
        return Err(StatementError::Syntax { message, location: None });
    };
    if !statements.is_empty() {
        return Err(StatementError::refused("more than one statement"));
    }
    match last {
        Parsed::Query(query) => Ok(*query),
        other => {
            let text = other.to_string();
            let verb = text.split_whitespace().next().unwrap_or_default().to_owned();
            Err(StatementError::refused(verb))
        }
    }
}

/// The identifier that stands for `store`.
pub(crate) fn mark(store: Uuid) -> String {
    format!("{MARK}{}", store.simple())
}

/// The store that `identifier` stands for.
pub(crate) fn marked_store(identifier: &str) -> Option<Uuid> {
    let (mark, id) = identifier.split_at_checked(MARK.len())?;
    let is_mark = mark.eq_ignore_ascii_case(MARK) && id.len() == 32;
    is_mark.then(|| Uuid::try_parse(id).ok()).flatten()
}

/// `text` with ids in place of the marks, for messages.
pub(crate) fn show_stores(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        shown.push_str(&rest[..at]);
        match rest.get(at..at + MARK.len() + 32).and_then(marked_store) {
            Some(store) => {
                shown.push_str(&store.to_string());
                rest = &rest[at + MARK.len() + 32..];
            }
            None => {
                shown.push_str(MARK);
                rest = &rest[at + MARK.len()..];
            }
        }
    }
    shown.push_str(rest);
    shown
}

/// Puts an identifier in place of each bare id: `FROM 3f2a…` is no SQL. Strings and comments stay; an id in double
/// quotes is taken, too (a choice: whether Lake takes one is not documented).
fn mark_stores(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut marked = String::with_capacity(text.len());
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        at = match bytes[at] {
            b'\'' => skip_to(text, at + 1, "'"),
            b'-' if bytes[at..].starts_with(b"--") => skip_to(text, at, "\n"),
            b'/' if bytes[at..].starts_with(b"/*") => skip_to(text, at + 2, "*/"),
            byte if byte.is_ascii_hexdigit() && starts_word(bytes, at) => match id_at(text, at) {
                Some(store) => {
                    marked.push_str(&text[copied..at]);
                    marked.push_str(&mark(store));
                    copied = at + 36;
                    copied
                }
                None => at + 1,
            },
            _ => at + 1,
        };
    }
    marked.push_str(&text[copied..]);
    marked
}

/// Behind the next `end`, or the text's end.
fn skip_to(text: &str, from: usize, end: &str) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let found = rest.windows(end.len()).position(|window| window == end.as_bytes());
    found.map_or(text.len(), |at| from + at + end.len())
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || matches!(bytes[at - 1], b'_' | b'-' | 0x80..))
}

fn id_at(text: &str, at: usize) -> Option<Uuid> {
    let id = text.get(at..at + 36)?;
    let next = text.as_bytes().get(at + 36);
    let ends = next.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | 0x80..)));
    ends.then(|| Uuid::try_parse(id).ok()).flatten()
}
