use super::MathError;
use super::lexer::{Kind, Token, tokens};

/// Brackets may lie within one another this deep.
const DEPTH: usize = 50;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Text(String),
    /// Of a metric or another expression: begins with a small letter.
    Id(String),
    /// A word that a function knows, e.g. `REPEAT`.
    Word(String),
    Negative(Box<Self>),
    Binary {
        operator: Operator,
        left: Box<Self>,
        right: Box<Self>,
    },
    Call {
        name: String,
        arguments: Vec<Self>,
    },
    List(Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

impl Operator {
    fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "^" => Self::Power,
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "&&" | "AND" => Self::And,
            "||" | "OR" => Self::Or,
            _ => return None,
        })
    }

    /// How tightly it binds, and whether to the right.
    fn binding(self) -> (u8, bool) {
        match self {
            Self::Or => (1, false),
            Self::And => (2, false),
            Self::Equal | Self::Unequal | Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => {
                (3, false)
            }
            Self::Add | Self::Subtract => (4, false),
            Self::Multiply | Self::Divide => (5, false),
            Self::Power => (7, true),
        }
    }
}

/// How tightly a sign before a value binds: tighter than a product, looser than a power.
const SIGN_BINDING: u8 = 6;

impl Expression {
    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, MathError> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.chars().count() + 1, depth: 0 };
        let expression = parser.expression(0)?;
        match parser.peek() {
            None => Ok(expression),
            Some(_) => Err(parser.expected("an operator or the end")),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn error(&self, problem: impl Into<String>) -> MathError {
        let at = self.tokens.get(self.next).map_or(self.end, |token| token.at);
        MathError::Syntax { at, problem: problem.into() }
    }

    fn expected(&self, what: &str) -> MathError {
        self.error(format!("{what} is expected here"))
    }

    /// Takes the sign if it is next.
    fn take(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Kind::Sign(next)) if *next == sign);
        self.next += usize::from(is_next);
        is_next
    }

    fn operator(&self) -> Option<Operator> {
        match self.peek()? {
            Kind::Sign(sign) => Operator::of(sign),
            Kind::Name(name) if name == "AND" || name == "OR" => Operator::of(name),
            _ => None,
        }
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Expression, MathError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(format!("expressions may lie within one another {DEPTH} deep")));
        }
        let mut left = self.operand()?;
        while let Some(operator) = self.operator() {
            let (binding, to_the_right) = operator.binding();
            if binding < least {
                break;
            }
            self.next += 1;
            let right = self.expression(if to_the_right { binding } else { binding + 1 })?;
            left = Expression::Binary { operator, left: Box::new(left), right: Box::new(right) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, MathError> {
        if self.take("-") {
            return Ok(Expression::Negative(Box::new(self.expression(SIGN_BINDING)?)));
        }
        if self.take("(") {
            let inner = self.expression(0)?;
            return if self.take(")") { Ok(inner) } else { Err(self.expected("a closing bracket")) };
        }
        if self.take("[") {
            return Ok(Expression::List(self.items("]")?));
        }
        let Some(kind) = self.peek().cloned() else { return Err(self.expected("a value")) };
        self.next += 1;
        Ok(match kind {
            Kind::Number(number) => Expression::Number(number),
            Kind::Text(text) => Expression::Text(text),
            Kind::Name(name) if self.take("(") => Expression::Call { name, arguments: self.items(")")? },
            Kind::Name(name) if name.starts_with(|c: char| c.is_ascii_lowercase()) => Expression::Id(name),
            Kind::Name(name) => Expression::Word(name),
            Kind::Sign(_) => {
                self.next -= 1;
                return Err(self.expected("a value"));
            }
        })
    }

    /// Expressions with commas between them, up to the closing sign.
    fn items(&mut self, close: &'static str) -> Result<Vec<Expression>, MathError> {
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            if self.take(close) {
                return Ok(items);
            }
            if !self.take(",") {
                return Err(self.expected(&format!("a comma or {close:?}")));
            }
        }
    }
}
