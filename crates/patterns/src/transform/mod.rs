//! What a target is sent of an event: all of it, a part, something else, or a text made of its parts.
//!
//! An [`Input`] is made of a target's `Input`, `InputPath` and `InputTransformer` when the target is put, and applied to
//! each event that the rule matches. (User Guide, "Amazon EventBridge input transformation"; API Reference, `Target`,
//! `InputTransformer`.) What these pages leave open is as EventBridge was observed to do it, in the recorded answers of
//! LocalStack's tests (March 2026), or a choice of ours and named so.

mod json;
mod path;
mod template;

pub use path::{JsonPath, NoPath};
pub use template::Template;

/// What a target is sent.
#[derive(Clone, Debug)]
pub enum Input {
    /// The event.
    Whole,
    /// A part of it (`InputPath`).
    Path(JsonPath),
    /// The same text for every event (`Input`): JSON.
    Constant(Box<str>),
    /// A text with parts of it (`InputTransformer`).
    Transformed(Template),
}

/// How many characters an `Input` or an `InputTemplate` has at most. (API Reference, `Target`, `InputTransformer`.)
pub(crate) const MAX_TEXT: usize = 8192;

/// How many characters a path has at most. (API Reference, `Target`, `InputTransformer`.)
pub(crate) const MAX_PATH: usize = 256;

/// A target's `InputTransformer`.
#[derive(Clone, Copy, Debug)]
pub struct InputTransformer<'t> {
    /// `InputPathsMap`: names and paths.
    pub paths: &'t [(&'t str, &'t str)],
    /// `InputTemplate`
    pub template: &'t str,
}

/// What a template may name of the rule and of the event's coming.
#[derive(Clone, Copy, Debug)]
pub struct RuleNames<'n> {
    /// `<aws.events.rule-arn>`
    pub arn: &'n str,
    /// `<aws.events.rule-name>`
    pub name: &'n str,
    /// `<aws.events.event.ingestion-time>`: when the event came, such as `2026-01-02T03:04:05Z`.
    pub ingestion_time: &'n str,
}

/// Why a target cannot have this input. [`InvalidInput::message`] is the text of EventBridge's `ValidationException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInput {
    /// More than one of the three.
    #[error("Only one of Input, InputPath, or InputTransformer must be provided")]
    Several,
    /// A constant that is not JSON.
    #[error("JSON syntax error in input")]
    Constant,
    /// A constant that is too long.
    #[error("Input has more than {MAX_TEXT} characters")]
    ConstantLength,
    /// An `InputPath` that is no path.
    #[error("Invalid InputPath: {0}")]
    Path(NoPath),
    /// A path of the `InputPathsMap` that is none. EventBridge takes them as they are, and finds nothing; that nobody is
    /// told is no help to anybody.
    #[error("Invalid path of {name} in InputPathsMap: {error}")]
    MapPath {
        /// The name.
        name: String,
        /// What is wrong.
        error: NoPath,
    },
    /// More than 100 paths.
    #[error("InputPathsMap has more than 100 entries")]
    MapLength,
    /// A name that is none, or that is kept for EventBridge's own.
    #[error(
        "Invalid name {name:?} in InputPathsMap: names have 1 to 256 letters, digits, - and _, and do not begin with AWS"
    )]
    MapName {
        /// The name.
        name: String,
    },
    /// A template that is empty or too long.
    #[error("InputTemplate has 1 to {MAX_TEXT} characters")]
    TemplateLength,
    /// A template with a name that stands for nothing.
    #[error("InputTemplate contains invalid placeholder {name}.")]
    Placeholder {
        /// The name.
        name: String,
    },
    /// A template that is no JSON, nor texts in quotes.
    #[error("Invalid InputTemplate: it is neither JSON nor strings in double quotes")]
    Template,
    /// A template in which the name of a property is a placeholder.
    #[error("Invalid InputTemplate: a placeholder cannot be used as an object key")]
    Key,
}

impl InvalidInput {
    /// What the client is told, given the target's `Id`. Where EventBridge's words are known they are these.
    pub fn message(&self, target: &str) -> String {
        match self {
            Self::Several => format!("{self} for target {target}."),
            Self::Constant => format!("{self} for target {target}"),
            Self::Placeholder { name } => {
                format!("InputTemplate for target {target} contains invalid placeholder {name}.")
            }
            _ => format!("{self} (target {target})."),
        }
    }
}

/// Why there is nothing to send of an event. EventBridge then sends nothing; whoever asked should count it, and hand the
/// event to the target's dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NothingToSend {
    /// The event has nothing at the path. (What EventBridge does is not documented; sending nothing is a choice of ours.)
    #[error("the event has nothing at the InputPath")]
    NothingThere,
    /// What the template became is no JSON: an object or array was put between quotes.
    #[error("what the InputTemplate became is no JSON")]
    NoJson,
    /// The event is no JSON object.
    #[error("the event is no JSON object")]
    NoEvent,
}

impl Input {
    /// Checks what a target is put with.
    ///
    /// # Errors
    /// For each thing that would keep events from the target, rather than later and without a word.
    pub fn of_target(
        input: Option<&str>,
        input_path: Option<&str>,
        transformer: Option<InputTransformer<'_>>,
    ) -> Result<Self, InvalidInput> {
        match (input, input_path, transformer) {
            (None, None, None) => Ok(Self::Whole),
            (Some(input), None, None) if input.chars().count() > MAX_TEXT => Err(InvalidInput::ConstantLength),
            (Some(input), None, None) if json::is_json(input) => Ok(Self::Constant(input.into())),
            (Some(_), None, None) => Err(InvalidInput::Constant),
            (None, Some(path), None) => JsonPath::parse(path).map(Self::Path).map_err(InvalidInput::Path),
            (None, None, Some(transformer)) => Template::new(transformer).map(Self::Transformed),
            _ => Err(InvalidInput::Several),
        }
    }

    /// What is sent of an event, given as its JSON: JSON without blanks, or, for templates of strings, the template with
    /// its quotes. Parts are sent as they are spelled: no number is rounded.
    ///
    /// # Errors
    /// If there is nothing to send.
    pub fn apply(&self, event: &str, rule: &RuleNames<'_>) -> Result<Vec<u8>, NothingToSend> {
        match self {
            Self::Whole => Ok(event.as_bytes().to_vec()),
            Self::Constant(text) => Ok(text.as_bytes().to_vec()),
            Self::Path(path) => {
                let found = path.find(event).ok_or(NothingToSend::NoEvent)?;
                found.map(String::into_bytes).ok_or(NothingToSend::NothingThere)
            }
            Self::Transformed(template) => template.apply(event, rule).map(String::into_bytes),
        }
    }
}

#[cfg(test)]
mod tests;
