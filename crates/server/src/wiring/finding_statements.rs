//! Findings of Sigma rules as the table `findings`, for statements of SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_model::AccountId;
use opentrail_runtime::Clock;
use opentrail_sigma::{Answered, FindingQuery, Sigma, Statements, StoredFinding, Unanswered};
use opentrail_sql::{Cell, ColumnKind, Engine, Page, Pages, RunError, Statement, paged_table};
use serde_json::json;
use uuid::Uuid;

/// What the table is called.
pub(crate) const TABLE: &str = "findings";
/// Stands for it in a statement that was read.
const ID: Uuid = Uuid::nil();
/// Findings that are read at a time.
const PAGE: usize = 500;
/// Of one answer, and bytes of its values, about. A choice.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
/// How long a statement may take. A choice.
const PATIENCE: Duration = Duration::from_secs(60);

/// As ListFindings shows them; what has members there has a column for each.
const COLUMNS: &[(&str, ColumnKind)] = &[
    ("findingid", ColumnKind::Text),
    ("ruleid", ColumnKind::Text),
    ("ruletitle", ColumnKind::Text),
    ("rulelevel", ColumnKind::Text),
    ("ruletags", ColumnKind::Texts),
    ("time", ColumnKind::Time),
    ("account", ColumnKind::Text),
    ("region", ColumnKind::Text),
    ("eventid", ColumnKind::Text),
    ("record", ColumnKind::Text),
    ("correlationgroup", ColumnKind::Text),
    ("correlationcount", ColumnKind::Number),
    ("correlationeventids", ColumnKind::Texts),
    ("foundat", ColumnKind::Time),
];

/// Runs statements over the findings of an account.
#[derive(Debug)]
pub(crate) struct FindingStatements {
    pub(crate) engine: Arc<Engine>,
    pub(crate) sigma: Arc<Sigma>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Statements for FindingStatements {
    async fn ask(&self, account: AccountId, statement: &str) -> Result<Answered, Unanswered> {
        tokio::select! {
            answered = self.run(account, statement) => answered,
            () = self.clock.sleep(PATIENCE) => {
                Err(Unanswered::Invalid(format!("The statement takes longer than {} seconds.", PATIENCE.as_secs())))
            }
        }
    }
}

impl FindingStatements {
    async fn run(&self, account: AccountId, statement: &str) -> Result<Answered, Unanswered> {
        let (engine, statement, now) = (Arc::clone(&self.engine), statement.to_owned(), self.clock.now());
        let findings = Arc::new(Findings { sigma: Arc::clone(&self.sigma), account });
        let planned = tokio::task::spawn_blocking(move || {
            let statement = Statement::parse_with(&statement, &[(TABLE, ID)])?;
            engine.plan(&statement, BTreeMap::from([(ID, paged_table(findings)?)]), now)
        });
        let planned = planned.await.map_err(|panic| Unanswered::Failed(panic.to_string()))?;
        let query = planned.map_err(|error| Unanswered::Invalid(error.to_string()))?;
        let mut answered = Answered { columns: query.columns().to_vec(), ..Answered::default() };
        let (mut rows, mut bytes) = (query.run(), 0);
        while let Some(more) = rows.next().await.map_err(failed)? {
            for row in more {
                bytes += row.iter().flatten().map(String::len).sum::<usize>();
                answered.is_cut = answered.rows.len() == MOST_ROWS || (bytes > MOST_BYTES && !answered.rows.is_empty());
                if answered.is_cut {
                    return Ok(answered);
                }
                answered.rows.push(row);
            }
        }
        Ok(answered)
    }
}

fn failed(error: RunError) -> Unanswered {
    match error {
        RunError::Internal(reason) => Unanswered::Failed(reason),
        other => Unanswered::Invalid(other.to_string()),
    }
}

/// The findings of one account, the one found last first.
#[derive(Debug)]
struct Findings {
    sigma: Arc<Sigma>,
    account: AccountId,
}

#[async_trait]
impl Pages for Findings {
    fn columns(&self) -> &'static [(&'static str, ColumnKind)] {
        COLUMNS
    }

    async fn page(&self, at: Option<u64>) -> Result<Page, String> {
        let query = FindingQuery { account: Some(self.account), before: at, limit: PAGE, ..FindingQuery::default() };
        let found = self.sigma.findings(&query).await.map_err(|error| error.to_string())?;
        Ok(Page { rows: found.findings.into_iter().map(row).collect(), next: found.before })
    }
}

/// In the order of [`COLUMNS`].
fn row(of: StoredFinding) -> Vec<Cell> {
    let StoredFinding { found, finding, .. } = of;
    let (group, count, events) = match finding.correlation {
        Some(correlation) => {
            let group: serde_json::Map<_, _> =
                correlation.group.into_iter().map(|(field, value)| (field, json!(value))).collect();
            let count = i64::try_from(correlation.count).unwrap_or(i64::MAX);
            (Cell::Text(json!(group).to_string()), Cell::Number(count), Cell::Texts(correlation.events))
        }
        None => (Cell::Null, Cell::Null, Cell::Null),
    };
    vec![
        Cell::Text(finding.id),
        Cell::Text(finding.rule.id),
        Cell::Text(finding.rule.title),
        Cell::Text(finding.rule.level.to_string()),
        Cell::Texts(finding.rule.tags),
        Cell::Time(finding.time),
        Cell::Text(finding.account.to_string()),
        finding.region.map_or(Cell::Null, Cell::Text),
        Cell::Text(finding.event_id),
        Cell::Text(String::from_utf8_lossy(&finding.record).into_owned()),
        group,
        count,
        events,
        Cell::Time(found),
    ]
}
