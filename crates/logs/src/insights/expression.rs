//! Expressions: read, and worked out for a row.

use regex::{Regex, RegexBuilder};

use super::functions::Function;
use super::row::{Row, Value};
use super::syntax::Cursor;
use crate::error::LogsError;

/// How deep expressions lie in one another.
const DEEPEST: usize = 40;
/// How large a compiled regular expression may be, in bytes.
const REGEX_BYTES: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Constant(Value),
    Field(String),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Contains(Box<Expression>, String),
    Matches(Box<Expression>, Regex),
    In(Box<Expression>, Vec<Expression>),
    Arithmetic(char, Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, LogsError> {
        any(cursor, DEEPEST)
    }

    /// The field, if it is nothing else.
    pub(super) fn plain_field(&self) -> Option<&str> {
        if let Self::Field(name) = self { Some(name) } else { None }
    }

    /// Its value in a row. A comparison with what is missing does not hold. (A choice of ours.)
    pub(super) fn value(&self, row: &Row) -> Value {
        match self {
            Self::Constant(value) => value.clone(),
            Self::Field(name) => row.field(name),
            Self::Not(inner) => Value::Bool(!inner.value(row).is_true()),
            Self::And(a, b) => Value::Bool(a.value(row).is_true() && b.value(row).is_true()),
            Self::Or(a, b) => Value::Bool(a.value(row).is_true() || b.value(row).is_true()),
            Self::Compare(comparison, a, b) => Value::Bool(compare(*comparison, &a.value(row), &b.value(row))),
            Self::Contains(inner, part) => {
                Value::Bool(inner.value(row).text().is_some_and(|text| text.contains(part.as_str())))
            }
            Self::Matches(inner, regex) => {
                Value::Bool(inner.value(row).text().is_some_and(|text| regex.is_match(&text)))
            }
            Self::In(inner, list) => {
                let value = inner.value(row);
                Value::Bool(list.iter().any(|one| compare(Comparison::Equal, &value, &one.value(row))))
            }
            Self::Arithmetic(operator, a, b) => arithmetic(*operator, &a.value(row), &b.value(row)),
            Self::Call(function, arguments) => {
                function.call(&arguments.iter().map(|argument| argument.value(row)).collect::<Vec<_>>())
            }
        }
    }
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    let mut left = all(cursor, depth)?;
    while cursor.eat_word("or") {
        left = Expression::Or(Box::new(left), Box::new(all(cursor, depth)?));
    }
    Ok(left)
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    let mut left = negation(cursor, depth)?;
    while cursor.eat_word("and") {
        left = Expression::And(Box::new(left), Box::new(negation(cursor, depth)?));
    }
    Ok(left)
}

fn negation(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    if cursor.eat_word("not") {
        let depth = deeper(cursor, depth)?;
        return Ok(Expression::Not(Box::new(negation(cursor, depth)?)));
    }
    comparison(cursor, depth)
}

fn deeper(cursor: &Cursor<'_>, depth: usize) -> Result<usize, LogsError> {
    depth.checked_sub(1).ok_or_else(|| cursor.error("the expression is nested too deeply; write it flatter"))
}

fn comparison(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    let left = Box::new(sum(cursor, depth)?);
    if cursor.eat("=~") {
        return Ok(Expression::Matches(left, require_regex(cursor)?));
    }
    for (mark, comparison) in [
        ("!=", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("==", Comparison::Equal),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ] {
        if cursor.eat(mark) {
            return Ok(Expression::Compare(comparison, left, Box::new(sum(cursor, depth)?)));
        }
    }
    let before = cursor.clone();
    let negated = cursor.eat_word("not");
    let found = if cursor.eat_word("like") {
        match cursor.text()? {
            Some(text) => Expression::Contains(left, text),
            None => Expression::Matches(left, require_regex(cursor)?),
        }
    } else if cursor.eat_word("in") {
        cursor.expect("[")?;
        let mut list = Vec::new();
        while !cursor.eat("]") {
            if !list.is_empty() {
                cursor.expect(",")?;
            }
            list.push(sum(cursor, depth)?);
        }
        Expression::In(left, list)
    } else {
        *cursor = before;
        return Ok(*left);
    };
    Ok(if negated { Expression::Not(Box::new(found)) } else { found })
}

fn sum(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    let mut left = product(cursor, depth)?;
    while let Some(operator @ ('+' | '-')) = cursor.peek() {
        cursor.eat(operator.encode_utf8(&mut [0; 4]));
        left = Expression::Arithmetic(operator, Box::new(left), Box::new(product(cursor, depth)?));
    }
    Ok(left)
}

fn product(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    let mut left = power(cursor, depth)?;
    while let Some(operator @ ('*' | '/' | '%')) = cursor.peek() {
        cursor.eat(operator.encode_utf8(&mut [0; 4]));
        left = Expression::Arithmetic(operator, Box::new(left), Box::new(power(cursor, depth)?));
    }
    Ok(left)
}

fn power(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    let left = operand(cursor, depth)?;
    if cursor.eat("^") {
        let depth = deeper(cursor, depth)?;
        return Ok(Expression::Arithmetic('^', Box::new(left), Box::new(power(cursor, depth)?)));
    }
    Ok(left)
}

fn operand(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, LogsError> {
    if cursor.eat("(") {
        let inner = any(cursor, deeper(cursor, depth)?)?;
        cursor.expect(")")?;
        return Ok(inner);
    }
    if cursor.eat("-") {
        let depth = deeper(cursor, depth)?;
        let zero = Box::new(Expression::Constant(Value::Number(0.0)));
        return Ok(Expression::Arithmetic('-', zero, Box::new(operand(cursor, depth)?)));
    }
    if let Some(text) = cursor.text()? {
        return Ok(Expression::Constant(Value::Text(text)));
    }
    if let Some(number) = cursor.number() {
        return Ok(Expression::Constant(Value::Number(number)));
    }
    let name = cursor.name()?.ok_or_else(|| cursor.error("a field, a value or a function is missing"))?;
    match name.as_str() {
        "true" => return Ok(Expression::Constant(Value::Bool(true))),
        "false" => return Ok(Expression::Constant(Value::Bool(false))),
        _ => {}
    }
    if !cursor.eat("(") {
        return Ok(Expression::Field(name));
    }
    let depth = deeper(cursor, depth)?;
    Function::parse(&name, cursor, |cursor| any(cursor, depth))
}

pub(super) fn require_regex(cursor: &mut Cursor<'_>) -> Result<Regex, LogsError> {
    let pattern = cursor.regex()?.ok_or_else(|| cursor.error("a regular expression between / and / is missing"))?;
    compile(cursor, &pattern)
}

pub(super) fn compile(cursor: &Cursor<'_>, pattern: &str) -> Result<Regex, LogsError> {
    let built = RegexBuilder::new(pattern).size_limit(REGEX_BYTES).nest_limit(50).build();
    built.map_err(|error| cursor.error(format_args!("the regular expression cannot be used: {error}")))
}

fn compare(comparison: Comparison, a: &Value, b: &Value) -> bool {
    if *a == Value::Missing || *b == Value::Missing {
        return false;
    }
    let order = a.order(b);
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::Unequal => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn arithmetic(operator: char, a: &Value, b: &Value) -> Value {
    let (Some(a), Some(b)) = (a.number(), b.number()) else { return Value::Missing };
    let result = match operator {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        '%' => a % b,
        _ => a.powf(b),
    };
    if result.is_finite() { Value::Number(result) } else { Value::Missing }
}
