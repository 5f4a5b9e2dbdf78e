//! The array of a field is read: what the field is tested for.

use crate::address::{Block, address};
use crate::complexity::is_too_complex;
use crate::error::Problem;
use crate::fold::folded;
use crate::number::Number;
use crate::operators::{But, Test, Tests};
use crate::tree::{Node, Value};
use crate::wildcard::{NoWildcard, Token, Wildcard, tokens};

/// What is wrong, and where in the pattern; `None` where AWS names no place.
pub(crate) struct Wrong(pub(crate) Problem, pub(crate) Option<usize>);

type Outcome<T> = Result<T, Wrong>;

fn wrong<T>(problem: Problem, node: &Node) -> Outcome<T> {
    Err(Wrong(problem, Some(node.at)))
}

/// Where EventBridge has read a text before it finds that it will not do, the place is that after it.
fn wrong_after<T>(problem: Problem, node: &Node) -> Outcome<T> {
    Err(Wrong(problem, Some(node.range.end)))
}

/// Something is missing at the end of a list: the place is that after the closing bracket, but for blanks.
fn wrong_end<T>(problem: Problem, list: &Node) -> Outcome<T> {
    Err(Wrong(problem, Some(list.range.end + 1)))
}

/// Reads the array of a field.
pub(crate) fn tests(array: &Node, values: &[Node]) -> Outcome<Tests> {
    if values.is_empty() {
        return wrong_end(Problem::EmptyArray, array);
    }
    let mut reader = Reader::default();
    for value in values {
        reader.value(value)?;
    }
    if is_too_complex(&reader.wildcards) {
        return Err(Wrong(Problem::TooComplex, None));
    }
    reader.tests.texts.sort_unstable();
    reader.tests.texts.dedup();
    Ok(reader.tests)
}

#[derive(Default)]
struct Reader {
    tests: Tests,
    /// All of the field, for they are told apart at once.
    wildcards: Vec<Vec<Token>>,
}

impl Reader {
    fn value(&mut self, node: &Node) -> Outcome<()> {
        let test = match &node.value {
            Value::Object(members) => return self.expression(node, members),
            Value::Array(_) => return wrong(Problem::Value, node),
            // An address is equal to others that are spelled differently, as for Event Ruler.
            Value::Text(text) => match address(text) {
                Some(address) => Test::Block(Block::single(address)),
                None => {
                    self.tests.texts.push(text.as_str().into());
                    return Ok(());
                }
            },
            Value::Number(text) => Test::Number(Number::parse(text).filter(|n| n.is_exact()), text.as_str().into()),
            Value::Bool(flag) => Test::Bool(*flag),
            Value::Null => Test::Null,
        };
        self.tests.others.push(test);
        Ok(())
    }

    /// `{"operator": …}`
    fn expression(&mut self, node: &Node, members: &[(String, Node)]) -> Outcome<()> {
        let (name, operand) = single(node, members, Problem::NoOperator)?;
        let test = match name {
            "exactly" => {
                self.tests.texts.push(text(operand, "exact")?.into());
                return Ok(());
            }
            "prefix" => affix(operand, "prefix", Test::Prefix, Test::FoldedPrefix)?,
            "suffix" => affix(operand, "suffix", Test::Suffix, Test::FoldedSuffix)?,
            "equals-ignore-case" => Test::Folded(folded(text(operand, "equals-ignore-case")?)),
            "wildcard" => Test::Wildcard(self.wildcard(operand)?),
            "numeric" => numeric(operand)?,
            "cidr" => {
                // "prefix" is what AWS's message says.
                let text = text(operand, "prefix")?;
                Test::Block(Block::parse(text).map_err(|error| Wrong(error.into(), None))?)
            }
            "exists" => match operand.value {
                Value::Bool(true) => Test::Exists,
                Value::Bool(false) => {
                    self.tests.absent = true;
                    return Ok(());
                }
                _ => return wrong(Problem::Exists, operand),
            },
            "anything-but" => Test::AnythingBut(self.anything_but(operand)?),
            other => return wrong(Problem::Operator { name: other.to_owned() }, operand),
        };
        self.tests.others.push(test);
        Ok(())
    }

    fn wildcard(&mut self, operand: &Node) -> Outcome<Wildcard> {
        let tokens = tokens(text(operand, "wildcard")?).map_err(|error| {
            let problem = match error {
                NoWildcard::Consecutive(at) => Problem::ConsecutiveWildcards { at },
                NoWildcard::Escape(at) => Problem::Escape { at },
            };
            Wrong(problem, Some(operand.range.end))
        })?;
        let wildcard = Wildcard::new(&tokens);
        self.wildcards.push(tokens);
        Ok(wildcard)
    }

    fn anything_but(&mut self, operand: &Node) -> Outcome<But> {
        let Value::Object(members) = &operand.value else { return anything_but_values(operand) };
        let (name, operand) = single(operand, members, Problem::NoExpression { what: "Anything-But" })?;
        let texts = |problem: fn() -> Problem, reader: fn(&Node) -> Outcome<Box<str>>| -> Outcome<Vec<Box<str>>> {
            list(operand)?
                .iter()
                .map(|node| if node.text().is_some() { reader(node) } else { wrong(problem(), node) })
                .collect()
        };
        let affix = || Problem::NotAString { what: "prefix/suffix" };
        Ok(match name {
            "prefix" => But::Prefixes(texts(affix, filled)?),
            "suffix" => But::Suffixes(texts(affix, filled)?),
            "equals-ignore-case" => {
                But::Folded(texts(|| Problem::AnythingButCase, |node| Ok(folded(node.text().unwrap_or_default())))?)
            }
            "wildcard" => {
                But::Wildcards(list(operand)?.iter().map(|node| self.wildcard(node)).collect::<Outcome<_>>()?)
            }
            other => {
                return wrong(Problem::Unsupported { what: "anything-but", name: other.to_owned() }, operand);
            }
        })
    }
}

/// The only member of an operator's object.
fn single<'n>(node: &Node, members: &'n [(String, Node)], empty: Problem) -> Outcome<(&'n str, &'n Node)> {
    match members {
        [] => wrong(empty, node),
        [(name, operand)] => Ok((name, operand)),
        [_, (_, second), ..] => wrong(Problem::OneKey, second),
    }
}

fn text<'n>(node: &'n Node, what: &'static str) -> Outcome<&'n str> {
    node.text().map_or_else(|| wrong(Problem::NotAString { what }, node), Ok)
}

/// A text, or one without regard to case.
fn affix(
    operand: &Node,
    what: &'static str,
    exact: fn(Box<str>) -> Test,
    any_case: fn(Box<str>) -> Test,
) -> Outcome<Test> {
    let Value::Object(members) = &operand.value else { return Ok(exact(text(operand, what)?.into())) };
    let named = if what == "prefix" { "Prefix" } else { "Suffix" };
    let (name, operand) = single(operand, members, Problem::NoExpression { what: named })?;
    if name != "equals-ignore-case" {
        return wrong(Problem::Unsupported { what, name: name.to_owned() }, operand);
    }
    Ok(any_case(folded(text(operand, "equals-ignore-case")?)))
}

/// The elements of a list, or the only one.
fn list(operand: &Node) -> Outcome<&[Node]> {
    match &operand.value {
        Value::Array(elements) if elements.is_empty() => wrong_end(Problem::EmptyArray, operand),
        Value::Array(elements) => Ok(elements),
        Value::Text(_) | Value::Number(_) => Ok(std::slice::from_ref(operand)),
        Value::Object(_) | Value::Bool(_) | Value::Null => wrong(Problem::AnythingBut, operand),
    }
}

fn filled(node: &Node) -> Outcome<Box<str>> {
    match node.text() {
        Some(text) if !text.is_empty() => Ok(text.into()),
        _ => wrong_after(Problem::NullAffix, node),
    }
}

/// Texts or numbers.
fn anything_but_values(operand: &Node) -> Outcome<But> {
    if let Value::Array(elements) = &operand.value
        && elements.is_empty()
    {
        return wrong_end(Problem::AnythingButMixed, operand);
    }
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    for node in list(operand)? {
        match &node.value {
            Value::Text(text) => texts.push(text.as_str().into()),
            Value::Number(_) => numbers.push(number(node)?),
            _ => return wrong(Problem::AnythingButMember, node),
        }
    }
    match (texts.is_empty(), numbers.is_empty()) {
        (false, true) => Ok(But::Texts(texts)),
        (true, false) => Ok(But::Numbers(numbers)),
        _ => wrong_end(Problem::AnythingButMixed, operand),
    }
}

/// A number that is compared.
fn number(node: &Node) -> Outcome<Number> {
    match &node.value {
        Value::Number(text) => Number::parse(text)
            .filter(|number| number.is_exact())
            .map_or_else(|| wrong(Problem::Number { found: text.clone() }, node), Ok),
        _ => wrong(Problem::NumericMember { found: node.shown() }, node),
    }
}

/// `[">", 0, "<=", 5]` and shorter ones.
fn numeric(operand: &Node) -> Outcome<Test> {
    let Value::Array(elements) = &operand.value else { return wrong(Problem::Numeric, operand) };
    let mut elements = elements.iter();
    let Some(first) = elements.next() else {
        return wrong_end(Problem::NumericMember { found: "]".to_owned() }, operand);
    };
    let Some(operator) = first.text() else {
        return wrong(Problem::NumericMember { found: first.shown() }, first);
    };
    if !["=", "<", "<=", ">", ">="].contains(&operator) {
        return wrong_after(Problem::NumericOperator { found: operator.to_owned() }, first);
    }
    let value = limit(operator, operand, elements.next())?;
    let second = elements.next();
    let range = match (operator, second) {
        (">" | ">=", Some(second)) => {
            let from = if operator == ">" { value.next() } else { value };
            let Some(operator) = second.text() else {
                return wrong(Problem::RangeValue { found: second.shown() }, second);
            };
            if !["<", "<="].contains(&operator) {
                return wrong_after(Problem::RangeOperator { found: operator.to_owned() }, second);
            }
            let top = limit(operator, operand, elements.next())?;
            if let Some(more) = elements.next() {
                return wrong(Problem::RangeTerms, more);
            }
            if value >= top {
                return wrong_end(Problem::EmptyRange, operand);
            }
            (from, if operator == "<" { top.previous() } else { top })
        }
        (_, Some(second)) => return wrong(Problem::NumericElements, second),
        (">", None) => (value.next(), Number::MAX),
        (">=", None) => (value, Number::MAX),
        ("<", None) => (Number::MIN, value.previous()),
        ("<=", None) => (Number::MIN, value),
        (_, None) => (value, value),
    };
    Ok(Test::Range(range.0, range.1))
}

/// The number after an operator in a list.
fn limit(operator: &str, list: &Node, node: Option<&Node>) -> Outcome<Number> {
    let problem = Problem::NotNumeric { operator: operator.to_owned() };
    match node {
        Some(node) if matches!(node.value, Value::Number(_)) => number(node),
        Some(other) => wrong(problem, other),
        None => wrong_end(problem, list),
    }
}
