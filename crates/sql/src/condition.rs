use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use uuid::Uuid;

use crate::dialect::LakeDialect;
use crate::error::StatementError;
use crate::{Statement, bounds};

/// What stands behind `WHERE`, to be asked of events that are in no store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    statement: Statement,
}

impl Condition {
    /// Stands for the table of the events.
    pub const TABLE: Uuid = Uuid::nil();

    /// # Errors
    ///
    /// When the text is not one expression of the dialect. What it names is found when the statement is planned.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        bounds::on_deep_stack(|| {
            let parser = Parser::new(&LakeDialect).with_recursion_limit(bounds::PARSER_DEPTH);
            let mut parser = parser.try_with_sql(text)?;
            parser.parse_expr()?;
            match parser.next_token().token {
                Token::EOF => Ok(()),
                other => {
                    let message = format!("expected the end of the condition, found {other}");
                    Err(StatementError::Syntax { message, location: None })
                }
            }
        })?;
        // A comment may end the text.
        let statement = format!("SELECT eventJson FROM {} WHERE (\n{text}\n) ORDER BY eventTime", Self::TABLE);
        Ok(Self { statement: Statement::parse(&statement)? })
    }

    /// Gives `eventJson` of the events of [`Self::TABLE`] that meet the condition, in the order of their times.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_is_a_condition_and_nothing_else_is() {
        for good in
            ["eventName = 'X'", "readOnly AND (errorCode LIKE 'Access%') -- denied", "userIdentity.arn IS NULL /* ? */"]
        {
            assert!(Condition::parse(good).is_ok(), "{good}");
        }
        let union = format!("true) UNION SELECT eventName FROM {} WHERE (true", Condition::TABLE);
        for bad in [
            "",
            "eventName =",
            "true; SELECT 1",
            "true) OR (false",
            "true ORDER BY 1",
            "SELECT 1",
            &union,
            "'open",
            "true /*",
        ] {
            assert!(Condition::parse(bad).is_err(), "{bad}");
        }
        assert!(Condition::parse(&"(".repeat(20_000)).is_err());
    }
}
