//! Metric math: expressions over metrics. (CloudWatch User Guide, "Using math expressions with CloudWatch metrics".)
//!
//! [`Expression::parse`] reads one; [`Expression::evaluate`] gives it values. Arithmetic, comparison, logic and the common
//! functions are there; functions that are CloudWatch's and are not here are refused by name.

mod evaluate;
mod functions;
mod lexer;
mod parser;
mod value;

use std::collections::BTreeSet;

pub(crate) use evaluate::Environment;
pub(crate) use parser::Expression;
pub(crate) use value::{Points, Value};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MathError {
    /// It cannot be read.
    #[error("at character {at}: {problem}")]
    Syntax {
        /// Counted from 1.
        at: usize,
        /// What is wrong there.
        problem: String,
    },
    /// It calls a function that there is not, here or anywhere.
    #[error("{name} is not a function that is available here")]
    UnknownFunction {
        /// Its name.
        name: String,
    },
    /// It names a metric or expression that the request does not have.
    #[error("{id} is the Id of no metric or expression of the request")]
    UnknownId {
        /// The name.
        id: String,
    },
    /// A function or operator does not take what it is given.
    #[error("{what}")]
    Type {
        /// What it takes.
        what: String,
    },
}

impl Expression {
    /// The ids that it names, but for those that [`Self::takes_all`] means.
    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        let mut ids = BTreeSet::new();
        self.walk(&mut |expression| {
            if let Self::Id(id) = expression {
                ids.insert(id.as_str());
            }
        });
        ids
    }

    /// Whether it calls `METRICS()`.
    pub(crate) fn takes_all(&self) -> bool {
        let mut found = false;
        self.walk(&mut |expression| {
            found |= matches!(expression, Self::Call { name, .. } if name == "METRICS");
        });
        found
    }

    fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Number(_) | Self::Text(_) | Self::Id(_) | Self::Word(_) => {}
            Self::Negative(inner) => inner.walk(visit),
            Self::Binary { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
            Self::Call { arguments, .. } => arguments.iter().for_each(|argument| argument.walk(visit)),
            Self::List(items) => items.iter().for_each(|item| item.walk(visit)),
        }
    }
}

#[cfg(test)]
mod tests;
