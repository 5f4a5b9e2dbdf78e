//! A question in English becomes a statement of CloudTrail Lake's SQL, or is refused.
//!
//! [`generate`] takes a question apart (`words`), lets one recogniser after the other claim the words that it accounts
//! for (`time`, `literals`, `phrases`, `effects`, `callers`, `shape`), each adding to a plan (`plan`), and writes the plan
//! as SQL (`sql`). Whatever nothing accounts for makes the question one that is not understood: there is no guess.
//!
//! The statement says in its first line, a comment, what was understood. `questions/` has the questions by which the
//! generator was developed, and those by which it is measured.

mod callers;
mod dimensions;
mod effects;
mod fillers;
mod generator;
mod literals;
mod names;
mod operations;
mod phrases;
mod plan;
mod shape;
mod sql;
#[cfg(test)]
mod tests;
mod time;
mod topics;
mod vocabulary;
mod words;

use opentrail_model::Timestamp;
use uuid::Uuid;

pub use generator::{Embedded, GenerateError, Generator, Question, Rejected};

use plan::Plan;
use words::Words;

/// A statement, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// One `SELECT` of Lake's dialect, with a comment before it.
    pub statement: String,
    /// What was understood.
    pub understood: String,
}

/// A question that has no statement. The text is for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// The statement over `store` that answers `question` at the time `now`.
///
/// # Errors
/// When the question has a word, or a combination, that is not understood.
pub fn generate(question: &str, store: Uuid, now: Timestamp) -> Result<Generated, Refusal> {
    let mut words = Words::of(question);
    if words.len() < 2 {
        return Err(Refusal("The question is too short to be understood: say what is looked for.".to_owned()));
    }
    let not_understood = |reason| Refusal(format!("The question is not understood: {reason}."));
    let span = time::take(&mut words, now).map_err(not_understood)?;
    let mut plan = Plan { span, ..Plan::default() };
    literals::take(&mut words, &mut plan);
    phrases::take(&mut words, &mut plan);
    effects::take(&mut words, &mut plan);
    callers::take_named(&mut words, &mut plan);
    shape::take(&mut words, &mut plan);
    phrases::take_services(&mut words, &mut plan);
    callers::take_bare(&mut words, &mut plan);
    understood(&words, &plan)?;
    let understood = sql::said(&plan);
    Ok(Generated { statement: sql::statement(&plan, store), understood })
}

/// Checks that all of the question is accounted for.
fn understood(words: &Words, plan: &Plan) -> Result<(), Refusal> {
    if let Some(reason) = &plan.contradiction {
        return Err(Refusal(format!("The question is not understood: {reason}.")));
    }
    if plan.who && plan.filters.is_empty() {
        return Err(Refusal("The question is not understood: it asks who, and does not say who did what.".to_owned()));
    }
    let left: Vec<&str> = words.unused();
    let open: Vec<&str> = left.iter().copied().filter(|word| !fillers::is_filler(&word.to_lowercase())).collect();
    if open.is_empty() {
        return Ok(());
    }
    let said = sql::said(plan);
    Err(Refusal(format!(
        "The question is not understood: nothing accounts for \"{}\". What was understood: {said} Ask for events by \
         time, operation, service, caller, address, account, Region, error or resource.",
        open.join("\", \"")
    )))
}
