//! Trino's types: their spelling and what they are in Arrow.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::dialect::LakeDialect;

/// Types within types.
const DEPTH: usize = 16;

/// A type that a cast can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    Decimal(u8, i8),
    /// With a bound, longer text is cut.
    Varchar(Option<u32>),
    Varbinary,
    Json,
    Date,
    Time,
    Timestamp,
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Row(Vec<(Option<String>, Type)>),
}

impl Type {
    /// The type that `parser` is at.
    pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Self, ParserError> {
        Self::parse_within(parser, DEPTH)
    }

    /// What [`fmt::Display`] wrote.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        Self::parse(&mut Parser::new(&LakeDialect).try_with_sql(text).ok()?).ok()
    }

    fn parse_within(parser: &mut Parser<'_>, depth: usize) -> Result<Self, ParserError> {
        let depth = depth.checked_sub(1).ok_or(ParserError::RecursionLimitExceeded)?;
        let token = parser.next_token();
        let Token::Word(word) = &token.token else { return parser.expected("a type", token) };
        let plain = match word.value.to_ascii_lowercase().as_str() {
            "boolean" => Self::Boolean,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Integer,
            "bigint" => Self::BigInt,
            "real" => Self::Real,
            "double" => {
                let next = &parser.peek_token_ref().token;
                if matches!(next, Token::Word(next) if next.value.eq_ignore_ascii_case("precision")) {
                    parser.next_token();
                }
                Self::Double
            }
            "decimal" | "numeric" => Self::parse_decimal(parser)?,
            "varchar" | "char" | "string" => Self::Varchar(parse_bound(parser)?),
            "varbinary" => Self::Varbinary,
            "json" => Self::Json,
            "date" => Self::Date,
            "time" => {
                parse_bound(parser)?;
                Self::Time
            }
            "timestamp" => {
                parse_bound(parser)?;
                parse_zone(parser)?;
                Self::Timestamp
            }
            "array" => Self::Array(Box::new(parse_in_brackets(parser, |parser| Self::parse_within(parser, depth))?)),
            "map" => parse_in_brackets(parser, |parser| {
                let key = Self::parse_within(parser, depth)?;
                parser.expect_token(&Token::Comma)?;
                Ok(Self::Map(Box::new(key), Box::new(Self::parse_within(parser, depth)?)))
            })?,
            "row" => {
                parser.expect_token(&Token::LParen)?;
                let fields = parser.parse_comma_separated(|parser| parse_field(parser, depth))?;
                parser.expect_token(&Token::RParen)?;
                Self::Row(fields)
            }
            _ => return parser.expected("a type", token),
        };
        Ok(plain)
    }

    fn parse_decimal(parser: &mut Parser<'_>) -> Result<Self, ParserError> {
        let (mut precision, mut scale) = (38, 0);
        if parser.consume_token(&Token::LParen) {
            precision = parser.parse_literal_uint()?;
            if parser.consume_token(&Token::Comma) {
                scale = parser.parse_literal_uint()?;
            }
            parser.expect_token(&Token::RParen)?;
        }
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(precision @ 1..=38), Ok(scale)) if u64::from(precision) >= scale.unsigned_abs().into() => {
                Ok(Self::Decimal(precision, scale))
            }
            _ => Err(ParserError::ParserError(format!("decimal({precision}, {scale}) is no type"))),
        }
    }

    pub(crate) fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Varchar(_) => DataType::Utf8,
            Self::Varbinary => DataType::Binary,
            Self::Json => DataType::LargeUtf8,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => TIMESTAMP,
            Self::Array(item) => DataType::List(Arc::new(Field::new_list_field(item.arrow(), true))),
            Self::Map(key, value) => map_of(key.arrow(), value.arrow()),
            Self::Row(fields) => {
                let field = |(index, (name, of)): (usize, &(Option<String>, Self))| {
                    let name = name.clone().unwrap_or_else(|| format!("field{index}"));
                    Field::new(name, of.arrow(), true)
                };
                DataType::Struct(fields.iter().enumerate().map(field).collect::<Fields>())
            }
        }
    }
}

/// A time without zone.
pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// A map as our functions make them.
pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    let entry = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

/// Trino's name of an Arrow type, for messages.
pub(crate) fn name(of: &DataType) -> String {
    match of {
        DataType::Null => "unknown".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            "bigint".to_owned()
        }
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("decimal({p}, {s})"),
        DataType::Utf8 | DataType::Utf8View => "varchar".to_owned(),
        DataType::LargeUtf8 => "json".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "varbinary".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("array({})", name(item.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                format!("map({}, {})", name(fields[0].data_type()), name(fields[1].data_type()))
            }
            other => other.to_string(),
        },
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{} {}", field.name(), name(field.data_type())));
            format!("row({})", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Dictionary(_, value) => name(value),
        other => other.to_string(),
    }
}

/// `(n)`, where it stands.
fn parse_bound(parser: &mut Parser<'_>) -> Result<Option<u32>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(None);
    }
    let bound = parser.parse_literal_uint()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Some(u32::try_from(bound).unwrap_or(u32::MAX)))
}

/// `WITH TIME ZONE`, `WITHOUT TIME ZONE`: every time is UTC.
fn parse_zone(parser: &mut Parser<'_>) -> Result<(), ParserError> {
    let is_zone = matches!(&parser.peek_token_ref().token, Token::Word(word)
        if ["with", "without"].contains(&word.value.to_ascii_lowercase().as_str()));
    for word in ["", "time", "zone"].iter().take(if is_zone { 3 } else { 0 }) {
        let token = parser.next_token();
        let fits =
            word.is_empty() || matches!(&token.token, Token::Word(found) if found.value.eq_ignore_ascii_case(word));
        if !fits {
            return parser.expected("TIME ZONE", token);
        }
    }
    Ok(())
}

/// `(…)` or `<…>`.
fn parse_in_brackets(
    parser: &mut Parser<'_>,
    inner: impl FnOnce(&mut Parser<'_>) -> Result<Type, ParserError>,
) -> Result<Type, ParserError> {
    let close = if parser.consume_token(&Token::Lt) {
        Token::Gt
    } else {
        parser.expect_token(&Token::LParen)?;
        Token::RParen
    };
    let found = inner(parser)?;
    parser.expect_token(&close)?;
    Ok(found)
}

/// `name type` or `type`.
fn parse_field(parser: &mut Parser<'_>, depth: usize) -> Result<(Option<String>, Type), ParserError> {
    let is_named = matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
    let name = if is_named { Some(parser.parse_identifier()?.value.to_lowercase()) } else { None };
    Ok((name, Type::parse_within(parser, depth)?))
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double"),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision}, {scale})"),
            Self::Varchar(None) => f.write_str("varchar"),
            Self::Varchar(Some(bound)) => write!(f, "varchar({bound})"),
            Self::Varbinary => f.write_str("varbinary"),
            Self::Json => f.write_str("json"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Array(item) => write!(f, "array({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Row(fields) => {
                let field = |(name, of): &(Option<String>, Self)| match name {
                    Some(name) => format!("\"{name}\" {of}"),
                    None => of.to_string(),
                };
                write!(f, "row({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
