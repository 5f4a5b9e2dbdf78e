use std::fmt;

use async_trait::async_trait;
use opentrail_model::Timestamp;
use uuid::Uuid;

use crate::{Refusal, generate};

/// What makes statements of questions. Whoever asks checks the statement: nothing here plans it.
#[async_trait]
pub trait Generator: fmt::Debug + Send + Sync + 'static {
    /// A statement that answers the question.
    async fn generate(&self, question: &Question<'_>) -> Result<String, GenerateError>;

    /// Whether it is worth asking again with what was wrong with the first statement.
    fn learns(&self) -> bool;
}

/// A question to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// As it was asked, in English.
    pub prompt: &'a str,
    /// The event data store that the statement is to read.
    pub store: Uuid,
    /// What the question takes for the current time.
    pub now: Timestamp,
    /// The statement before, when it was no good.
    pub rejected: Option<Rejected<'a>>,
}

/// A statement that cannot be run.
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    /// The statement.
    pub statement: &'a str,
    /// What is wrong with it.
    pub reason: &'a str,
}

/// Why there is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The question has no answer here, or is not understood.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What should have answered failed; trying again may help.
    #[error("the generator failed: {reason}")]
    Failed {
        /// What failed, for our log.
        reason: String,
    },
}

/// The generator of this crate: it needs nothing, and knows what it understands.
#[derive(Clone, Copy, Debug)]
pub struct Embedded;

#[async_trait]
impl Generator for Embedded {
    async fn generate(&self, question: &Question<'_>) -> Result<String, GenerateError> {
        Ok(generate(question.prompt, question.store, question.now)?.statement)
    }

    fn learns(&self) -> bool {
        false
    }
}
