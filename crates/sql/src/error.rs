//! What is wrong with a statement, and what ends a running query.

use std::fmt;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::statement;

/// Where in a statement: both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl Location {
    /// The start of `span`, unless nothing is known of it.
    pub(crate) fn of(span: Span) -> Option<Self> {
        (span.start.line > 0).then_some(Self { line: span.start.line, column: span.start.column })
    }
}

/// `line 1:8: `, or nothing.
struct At(Option<Location>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Location { line, column }) => write!(f, "line {line}:{column}: "),
            None => Ok(()),
        }
    }
}

/// The statement is not one that can run; the text says what to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Empty, or beyond what the API takes.
    #[error("the statement has {length} characters; it must have 1 to {}", statement::MAX_LENGTH)]
    Length {
        /// Its characters.
        length: usize,
    },
    /// Not the grammar of a `SELECT`.
    #[error("{}{message}", At(*.location))]
    Syntax {
        /// What was expected and what was found.
        message: String,
        /// Where.
        location: Option<Location>,
    },
    /// SQL, but not of this dialect.
    #[error("{}{what} is not supported; a statement is one SELECT query over event data stores", At(*.location))]
    Refused {
        /// The construct.
        what: String,
        /// Where.
        location: Option<Location>,
    },
    /// `FROM` names something that is no event data store.
    #[error("{}table '{name}' does not exist; FROM takes the ID of an event data store", At(*.location))]
    UnknownTable {
        /// As in the statement.
        name: String,
        /// Where.
        location: Option<Location>,
    },
    /// No such column, or field of one.
    #[error("{}column '{name}' cannot be resolved", At(*.location))]
    UnknownColumn {
        /// As in the statement.
        name: String,
        /// Where.
        location: Option<Location>,
    },
    /// No such function.
    #[error("{}function '{name}' is not known", At(*.location))]
    UnknownFunction {
        /// As in the statement.
        name: String,
        /// Where.
        location: Option<Location>,
    },
    /// Too deep or too much for one query.
    #[error("the statement {0}")]
    TooComplex(String),
    /// Types or names that do not go together.
    #[error("{0}")]
    Invalid(String),
}

impl StatementError {
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), location: None }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}

impl From<ParserError> for StatementError {
    fn from(error: ParserError) -> Self {
        match error {
            ParserError::RecursionLimitExceeded => Self::TooComplex("is nested too deeply".to_owned()),
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
                let (message, location) = split_location(&text);
                Self::Syntax { message: statement::show_stores(message), location }
            }
        }
    }
}

/// The parser writes ` at Line: 1, Column: 8` behind its messages.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let found = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Location { line: line.parse().ok()?, column: column.trim().parse().ok()? }))
    });
    found.map_or((text, None), |(message, location)| (message, Some(location)))
}

impl From<DataFusionError> for StatementError {
    fn from(error: DataFusionError) -> Self {
        let plain = |text: &str| Self::Invalid(statement::show_stores(tidy(text)));
        match error.find_root() {
            DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
                SchemaError::FieldNotFound { field, .. } => {
                    Self::UnknownColumn { name: statement::show_stores(&field.flat_name()), location: None }
                }
                SchemaError::AmbiguousReference { field } => {
                    Self::Invalid(format!("column '{}' is ambiguous", statement::show_stores(&field.name)))
                }
                other => Self::Invalid(statement::show_stores(&other.to_string())),
            },
            DataFusionError::External(inner) => match inner.downcast_ref::<Self>() {
                Some(own) => own.clone(),
                None => Self::Invalid(inner.to_string()),
            },
            DataFusionError::Plan(text) | DataFusionError::NotImplemented(text) | DataFusionError::Execution(text) => {
                plain(text)
            }
            other => plain(&other.strip_backtrace()),
        }
    }
}

/// The planner's text without what it wraps around the message of one of our functions.
fn tidy(text: &str) -> &str {
    let inner = text.split_once("coercion failed with \"").map_or(text, |(_, inner)| inner);
    let inner = inner.split_once('"').filter(|_| inner.len() < text.len()).map_or(inner, |(inner, _)| inner);
    let prefixes =
        ["Error during planning: ", "Execution error: ", "External error: ", "This feature is not implemented: "];
    prefixes.iter().find_map(|prefix| inner.strip_prefix(prefix)).unwrap_or(inner)
}

impl From<StatementError> for DataFusionError {
    fn from(error: StatementError) -> Self {
        Self::External(Box::new(error))
    }
}

/// A query that ran and failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Beyond the engine's memory and room on disk; CloudTrail Lake's words.
    #[error("Query exhausted resources at this scale factor")]
    Exhausted,
    /// A value that a function or cast cannot take, a division by zero …
    #[error("{0}")]
    Failed(String),
    /// A fault of the engine or of the storage under it.
    #[error("the query failed for an internal reason")]
    Internal(String),
}

impl From<DataFusionError> for RunError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Exhausted,
            DataFusionError::ArrowError(inner, _) => Self::Failed(inner.to_string()),
            DataFusionError::Execution(text) | DataFusionError::Plan(text) | DataFusionError::NotImplemented(text) => {
                Self::Failed(statement::show_stores(text))
            }
            DataFusionError::External(inner) if inner.is::<StatementError>() => Self::Failed(inner.to_string()),
            other => Self::Internal(other.strip_backtrace()),
        }
    }
}
