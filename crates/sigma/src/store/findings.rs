//! Findings: written once each, read by filters and pages, given up by age and number.

use bytes::Bytes;
use opentrail_model::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::rules::level;
use super::{Store, StoreError, put_state, signed, unsigned};
use crate::{Correlated, Finding, Level, RuleHead};

/// Findings that one statement gives up, so that writers wait little.
const GIVEN_UP_AT_ONCE: i64 = 2_000;

/// Which findings are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingQuery {
    /// Of this account.
    pub account: Option<AccountId>,
    /// Of events at this time or later.
    pub since: Option<Timestamp>,
    /// Of this level or a more serious one.
    pub level: Option<Level>,
    /// Of the rule with this id.
    pub rule: Option<String>,
    /// Of rules with this tag.
    pub tag: Option<String>,
    /// Those found before the one of this number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
}

/// Findings, the one found last first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingPage {
    /// They.
    pub findings: Vec<StoredFinding>,
    /// For [`FindingQuery::before`] of the next page; `None` when there is no more.
    pub before: Option<u64>,
}

/// A finding as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFinding {
    /// Grows with each finding.
    pub number: u64,
    /// When it was found.
    pub found: Timestamp,
    /// What was found.
    pub finding: Finding,
}

/// What has no column of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    title: String,
    name: Option<String>,
    event_id: String,
    region: Option<String>,
    correlation: Option<CorrelatedBody>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CorrelatedBody {
    group: Vec<(String, String)>,
    count: u64,
    events: Vec<String>,
}

/// Writes the finding unless it is there; answers how many rows that made.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    finding: &Finding,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let body = Body {
        title: finding.rule.title.clone(),
        name: finding.rule.name.clone(),
        event_id: finding.event_id.clone(),
        region: finding.region.clone(),
        correlation: finding.correlation.as_ref().map(|correlation| CorrelatedBody {
            group: correlation.group.clone(),
            count: correlation.count,
            events: correlation.events.clone(),
        }),
    };
    let done = sqlx::query(
        "INSERT INTO finding (account, id, rule, level, time, found, tags, body, record)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, id) DO NOTHING",
    )
    .bind(signed(finding.account.as_u64()))
    .bind(&finding.id)
    .bind(&finding.rule.id)
    .bind(finding.rule.level.rank())
    .bind(finding.time.as_millis())
    .bind(now.as_millis())
    .bind(json(&finding.rule.tags)?)
    .bind(json(&body)?)
    .bind(finding.record.as_ref())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Malformed { reason: error.to_string() })
}

impl Store {
    /// The findings that are wanted, the one found last first.
    pub(crate) async fn findings(&self, query: &FindingQuery) -> Result<FindingPage, StoreError> {
        let mut statement = QueryBuilder::<Sqlite>::new("SELECT * FROM finding WHERE 1 = 1");
        if let Some(account) = query.account {
            statement.push(" AND account = ").push_bind(signed(account.as_u64()));
        }
        if let Some(since) = query.since {
            statement.push(" AND time >= ").push_bind(since.as_millis());
        }
        if let Some(level) = query.level {
            statement.push(" AND level >= ").push_bind(level.rank());
        }
        if let Some(rule) = &query.rule {
            statement.push(" AND rule = ").push_bind(rule);
        }
        if let Some(tag) = &query.tag {
            statement.push(" AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ").push_bind(tag).push(")");
        }
        if let Some(before) = query.before {
            statement.push(" AND number < ").push_bind(signed(before));
        }
        statement.push(" ORDER BY number DESC LIMIT ").push_bind(signed(query.limit as u64 + 1));
        let rows = statement.build().fetch_all(&self.pool).await?;
        let more = rows.len() > query.limit;
        let findings: Vec<StoredFinding> = rows.iter().take(query.limit).map(stored).collect::<Result<_, _>>()?;
        let before = findings.last().filter(|_| more).map(|last| last.number);
        Ok(FindingPage { findings, before })
    }

    /// The findings after those that were handed on, up to `limit`, in the order in which they were found.
    pub(crate) async fn unannounced(&self, limit: usize) -> Result<Vec<StoredFinding>, StoreError> {
        let announced = self.state("announced").await?.unwrap_or_default();
        let rows = sqlx::query("SELECT * FROM finding WHERE number > ? ORDER BY number LIMIT ?")
            .bind(announced)
            .bind(signed(limit as u64))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(stored).collect()
    }

    /// Findings up to this number are handed on.
    pub(crate) async fn announced(&self, number: u64) -> Result<(), StoreError> {
        let _writing = self.writer.lock().await;
        let mut connection = self.pool.acquire().await?;
        put_state(&mut connection, "announced", signed(number)).await
    }

    /// Gives up some of what was found before `before`, of what is more than `most`, and of what takes more than
    /// `most_bytes`. Answers how many.
    pub(crate) async fn give_up(&self, before: Timestamp, most: u64, most_bytes: u64) -> Result<u64, StoreError> {
        let _writing = self.writer.lock().await;
        let old =
            sqlx::query("DELETE FROM finding WHERE number IN (SELECT number FROM finding WHERE found < ? LIMIT ?)")
                .bind(before.as_millis())
                .bind(GIVEN_UP_AT_ONCE)
                .execute(&self.pool)
                .await?;
        // Numbers are given in turn, so that the newest `most` of them are as many findings, or fewer.
        let many = sqlx::query(
            "DELETE FROM finding WHERE number IN (
                 SELECT number FROM finding WHERE number <= (SELECT max(number) FROM finding) - ? ORDER BY number LIMIT ?)",
        )
        .bind(signed(most))
        .bind(GIVEN_UP_AT_ONCE)
        .execute(&self.pool)
        .await?;
        let mut given_up = old.rows_affected() + many.rows_affected();
        let used: i64 = sqlx::query_scalar(
            "SELECT ((SELECT page_count FROM pragma_page_count()) - (SELECT freelist_count FROM pragma_freelist_count()))
                 * (SELECT page_size FROM pragma_page_size())",
        )
        .fetch_one(&self.pool)
        .await?;
        if unsigned(used) > most_bytes {
            let large =
                sqlx::query("DELETE FROM finding WHERE number IN (SELECT number FROM finding ORDER BY number LIMIT ?)")
                    .bind(GIVEN_UP_AT_ONCE)
                    .execute(&self.pool)
                    .await?;
            given_up += large.rows_affected();
        }
        Ok(given_up)
    }
}

fn stored(row: &SqliteRow) -> Result<StoredFinding, StoreError> {
    let malformed = |error: serde_json::Error| StoreError::Malformed { reason: error.to_string() };
    let account: i64 = row.try_get("account")?;
    let tags: String = row.try_get("tags")?;
    let body: String = row.try_get("body")?;
    let body: Body = serde_json::from_str(&body).map_err(malformed)?;
    let record: Vec<u8> = row.try_get("record")?;
    Ok(StoredFinding {
        number: unsigned(row.try_get("number")?),
        found: Timestamp::from_millis(row.try_get("found")?),
        finding: Finding {
            id: row.try_get("id")?,
            rule: RuleHead {
                id: row.try_get("rule")?,
                name: body.name,
                title: body.title,
                level: level(row.try_get("level")?)?,
                tags: serde_json::from_str(&tags).map_err(malformed)?,
            },
            time: Timestamp::from_millis(row.try_get("time")?),
            account: AccountId::from_u64(unsigned(account))
                .ok_or_else(|| StoreError::Malformed { reason: format!("account {account}") })?,
            region: body.region,
            event_id: body.event_id,
            record: Bytes::from(record),
            correlation: body.correlation.map(|correlation| Correlated {
                group: correlation.group,
                count: correlation.count,
                events: correlation.events,
            }),
        },
    })
}
