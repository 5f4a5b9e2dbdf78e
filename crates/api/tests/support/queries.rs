use std::collections::BTreeSet;

use async_trait::async_trait;
use opentrail_generate::{GenerateError, Generator, Question, Refusal};
use opentrail_model::Timestamp;
use opentrail_queries::{Engine, Execution, ExecutionError, InvalidStatement, PlanError, Row, Scanned};
use opentrail_stores::StoreKey;
use uuid::Uuid;

/// Takes `SELECT … FROM id`, with any number of stores after commas. `SELECT n` gives n rows, `SELECT hang` none and no end,
/// `SELECT nonsense` is found to be wrong once the stores are known.
#[derive(Debug)]
pub(crate) struct TestEngine;

struct TestExecution {
    columns: Vec<String>,
    rows: Option<usize>,
}

fn parts(statement: &str) -> Option<(&str, &str)> {
    statement.strip_prefix("SELECT ")?.split_once(" FROM ")
}

#[async_trait]
impl Engine for TestEngine {
    fn stores(&self, statement: &str) -> Result<BTreeSet<Uuid>, InvalidStatement> {
        let (_, stores) = parts(statement).ok_or_else(|| InvalidStatement("SELECT … FROM was expected".to_owned()))?;
        Ok(stores.split(',').filter_map(|id| id.trim().parse().ok()).collect())
    }

    async fn plan(&self, statement: &str, _: &[StoreKey], _: Timestamp) -> Result<Box<dyn Execution>, PlanError> {
        let rows = match parts(statement).map(|(what, _)| what) {
            Some("hang") => None,
            Some(count) => match count.parse() {
                Ok(count) => Some(count),
                Err(_) => return Err(InvalidStatement(format!("column '{count}' cannot be resolved")).into()),
            },
            None => None,
        };
        Ok(Box::new(TestExecution { columns: vec!["number".to_owned(), "number".to_owned()], rows }))
    }
}

#[async_trait]
impl Execution for TestExecution {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self) -> Result<Option<Vec<Row>>, ExecutionError> {
        match self.rows.replace(0) {
            None => std::future::pending().await,
            Some(0) => Ok(None),
            Some(count) => Ok(Some((0..count).map(|number| vec![Some(number.to_string()), None]).collect())),
        }
    }

    fn scanned(&self) -> Scanned {
        Scanned { events_scanned: 30, events_matched: 20, bytes: 4000 }
    }
}

/// Answers with the prompt, in which `HERE` is the store; `refuse` and `fail` do so. A prompt with `then` is two answers:
/// the second is told what was wrong with the first.
#[derive(Debug)]
pub(crate) struct TestGenerator;

#[async_trait]
impl Generator for TestGenerator {
    async fn generate(&self, question: &Question<'_>) -> Result<String, GenerateError> {
        let (first, second) = question.prompt.split_once(" then ").unwrap_or((question.prompt, question.prompt));
        let answer = match question.rejected {
            None => first.to_owned(),
            Some(rejected) => {
                assert_eq!(rejected.statement, first.replace("HERE", &question.store.to_string()));
                assert!(!rejected.reason.is_empty());
                second.to_owned()
            }
        };
        match answer.as_str() {
            "refuse" => Err(Refusal("That is no question.".to_owned()).into()),
            "fail" => Err(GenerateError::Failed { reason: "secret of the log".to_owned() }),
            answer => Ok(answer.replace("HERE", &question.store.to_string())),
        }
    }

    fn learns(&self) -> bool {
        true
    }
}
