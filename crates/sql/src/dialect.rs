//! What the parser takes as Lake's dialect: Trino's spelling, on top of the parser's common grammar.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Value,
    ValueWithSpan,
};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token};

use crate::types::Type;

#[derive(Debug)]
pub(crate) struct LakeDialect;

impl Dialect for LakeDialect {
    /// `UNNEST` in `FROM` is parsed for some dialects only.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    /// `CAST(x AS type)` with Trino's types, as a function of the value and the type's text.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        let (name, span) = match word.keyword {
            Keyword::CAST => ("cast", parser.peek_token_ref().span),
            Keyword::TRY_CAST => ("try_cast", parser.peek_token_ref().span),
            _ => return None,
        };
        (parser.peek_nth_token_ref(1).token == Token::LParen).then(|| parse_cast(parser, name, span))
    }
}

fn parse_cast(parser: &mut Parser<'_>, name: &str, span: Span) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let value = parser.parse_expr()?;
    parser.expect_keyword(Keyword::AS)?;
    let target = Type::parse(parser)?;
    parser.expect_token(&Token::RParen)?;
    let mut cast = call(name, vec![value, text(target.to_string())]);
    if let Expr::Function(function) = &mut cast {
        function.name = ObjectName::from(vec![Ident::with_span(span, name)]);
    }
    Ok(cast)
}

/// `name(arguments…)`.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `'value'`.
pub(crate) fn text(value: impl Into<String>) -> Expr {
    literal(Value::SingleQuotedString(value.into()))
}

/// `value`.
pub(crate) fn number(value: impl ToString) -> Expr {
    literal(Value::Number(value.to_string(), false))
}

pub(crate) fn literal(value: Value) -> Expr {
    Expr::Value(ValueWithSpan { value, span: Span::empty() })
}
