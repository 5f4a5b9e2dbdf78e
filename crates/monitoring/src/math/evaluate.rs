use std::collections::BTreeMap;

use super::functions::{self, call};
use super::parser::{Expression, Operator};
use super::value::Value;
use super::{MathError, Points};
use crate::store::Span;

/// What an expression is evaluated among.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// What is asked for: `FILL` fills these periods.
    pub(crate) span: Span,
    /// The values of metrics and expressions that are known by now.
    pub(crate) values: BTreeMap<String, Value>,
    /// The ids of metrics, in the order of the request: what `METRICS()` means.
    pub(crate) metrics: Vec<String>,
}

impl Environment {
    pub(super) fn metrics(&self, part: &str) -> Vec<Points> {
        let chosen = self.metrics.iter().filter(|id| id.contains(part)).filter_map(|id| self.values.get(id));
        chosen.filter_map(|value| value.clone().into_list()).flatten().collect()
    }
}

impl Expression {
    /// Its value.
    pub(crate) fn evaluate(&self, environment: &Environment) -> Result<Value, MathError> {
        Ok(match self {
            Self::Number(number) => Value::Scalar(*number),
            Self::Id(id) => {
                let value = environment.values.get(id);
                value.cloned().ok_or_else(|| MathError::UnknownId { id: id.clone() })?
            }
            Self::Negative(inner) => inner.evaluate(environment)?.map(|value| -value),
            Self::Binary { operator, left, right } => {
                let (left, right) = (left.evaluate(environment)?, right.evaluate(environment)?);
                left.combine(right, |a, b| apply(*operator, a, b))?
            }
            Self::Call { name, arguments } => call(name, arguments, environment)?,
            Self::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    let series = item.evaluate(environment)?.into_list();
                    let what = "an array holds metrics and expressions, not numbers".to_owned();
                    list.extend(series.ok_or(MathError::Type { what })?);
                }
                Value::List(list)
            }
            Self::Text(text) => {
                return Err(MathError::Type { what: format!("the text {text:?} is no value by itself") });
            }
            Self::Word(word) => {
                let what =
                    format!("{word} is no Id, which begins with a small letter, and no function, which has brackets");
                return Err(MathError::Type { what });
            }
        })
    }

    /// Checks what can be known without values: that each function is there and gets as many arguments as it takes.
    pub(crate) fn check(&self) -> Result<(), MathError> {
        let mut found = Ok(());
        self.walk(&mut |expression| {
            if let (Ok(()), Self::Call { name, arguments }) = (&found, expression) {
                found = functions::check(name, arguments.len());
            }
        });
        found
    }
}

fn apply(operator: Operator, a: f64, b: f64) -> f64 {
    let truth = |truth: bool| f64::from(u8::from(truth));
    match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Power => a.powf(b),
        Operator::Equal => truth(a == b),
        Operator::Unequal => truth(a != b),
        Operator::Less => truth(a < b),
        Operator::LessOrEqual => truth(a <= b),
        Operator::Greater => truth(a > b),
        Operator::GreaterOrEqual => truth(a >= b),
        Operator::And => truth(a != 0.0 && b != 0.0),
        Operator::Or => truth(a != 0.0 || b != 0.0),
    }
}
