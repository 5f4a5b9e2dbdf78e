//! The records that were told: what `ListInsightsData` and LookupEvents with the category `insight` answer.

use opentrail_model::{AccountId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::key::Category;
use crate::record::{InsightSource, Told};

/// Days that records are kept. (API Reference, `ListInsightsData`: the last 90 days.)
const KEPT_MILLIS: i64 = 90 * 86_400_000;

/// A record that was told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredInsight {
    /// `eventID`.
    pub event_id: Uuid,
    /// `sharedEventID`.
    pub shared_event_id: Uuid,
    /// `eventTime`.
    pub time: Timestamp,
    /// `eventSource` of what it is about.
    pub event_source: String,
    /// `eventName` of what it is about.
    pub event_name: String,
    /// The record's JSON.
    pub record: String,
    /// What was expected per minute.
    pub(crate) expected: f64,
    /// The standard deviation of a minute's count around that.
    pub(crate) deviation: f64,
    /// The key's number.
    pub(crate) key: i64,
}

/// Which records are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightFilter {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: String,
    /// Management events (`LookupEvents`) or data events (`ListInsightsData`).
    pub category: Category,
    /// For data events the trail's ARN (`InsightSource`).
    pub source: Option<String>,
    /// Only the record with this `eventID`.
    pub event_id: Option<String>,
    /// Only records about this `eventName`.
    pub event_name: Option<String>,
    /// Only records about this `eventSource`.
    pub event_source: Option<String>,
    /// The first moment that counts.
    pub start: Timestamp,
    /// The last moment that counts.
    pub end: Timestamp,
    /// The last record of the page before: its time and its id.
    pub after: Option<(Timestamp, Uuid)>,
    /// Records in the answer, at most.
    pub limit: usize,
}

/// Records, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InsightPage {
    /// The records.
    pub insights: Vec<StoredInsight>,
    /// Where to go on: the next filter's `after`; `None` at the end.
    pub next: Option<(Timestamp, Uuid)>,
}

impl Store {
    /// The records that the filter takes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn list(&self, filter: &InsightFilter) -> Result<InsightPage, StoreError> {
        let (time, id) =
            filter.after.map_or((i64::MAX, String::new()), |(time, id)| (time.as_millis(), id.to_string()));
        let rows = sqlx::query(
            "SELECT * FROM insight WHERE account = ?1 AND region = ?2 AND category = ?3 AND source IS ?4
             AND (?5 IS NULL OR event_id = ?5) AND (?6 IS NULL OR event_name = ?6) AND (?7 IS NULL OR event_source = ?7)
             AND time >= ?8 AND time <= ?9 AND (time < ?10 OR (time = ?10 AND event_id > ?11))
             ORDER BY time DESC, event_id LIMIT ?12",
        )
        .bind(filter.account.to_string())
        .bind(&filter.region)
        .bind(filter.category.as_str())
        .bind(&filter.source)
        .bind(&filter.event_id)
        .bind(&filter.event_name)
        .bind(&filter.event_source)
        .bind(filter.start.as_millis())
        .bind(filter.end.as_millis())
        .bind(time)
        .bind(id)
        .bind(i64::try_from(filter.limit).unwrap_or(i64::MAX).saturating_add(1))
        .fetch_all(&self.pool)
        .await?;
        let mut insights = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let more = insights.len() > filter.limit;
        insights.truncate(filter.limit);
        let next = insights.last().filter(|_| more).map(|last| (last.time, last.event_id));
        Ok(InsightPage { insights, next })
    }

    /// Both ends of the episode that `id`, an `eventID` or a `sharedEventID`, belongs to: the start first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn episode(&self, account: AccountId, id: Uuid) -> Result<Vec<StoredInsight>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM insight WHERE account = ?1 AND shared_id IN
                 (SELECT shared_id FROM insight WHERE account = ?1 AND (event_id = ?2 OR shared_id = ?2))
             ORDER BY state DESC",
        )
        .bind(account.to_string())
        .bind(id.to_string())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(stored).collect()
    }
}

fn stored(row: &SqliteRow) -> Result<StoredInsight, StoreError> {
    let id = |column: &str| -> Result<Uuid, StoreError> {
        row.try_get::<String, _>(column)?.parse().map_err(|_| StoreError::Malformed { what: "a record's id" })
    };
    Ok(StoredInsight {
        event_id: id("event_id")?,
        shared_event_id: id("shared_id")?,
        time: Timestamp::from_millis(row.try_get("time")?),
        event_source: row.try_get("event_source")?,
        event_name: row.try_get("event_name")?,
        record: row.try_get("record")?,
        expected: row.try_get("expected")?,
        deviation: row.try_get("deviation")?,
        key: row.try_get("key")?,
    })
}

/// Notes records: the key's number, the deviation, the record. One that is there already is the same.
pub(super) async fn write(tx: &mut Transaction<'_, Sqlite>, records: &[Told]) -> Result<(), StoreError> {
    for (key, deviation, record) in records {
        let of = &record.finding.key;
        sqlx::query("INSERT OR IGNORE INTO insight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(record.event_id.to_string())
            .bind(record.shared_event_id().to_string())
            .bind(key.cast_signed())
            .bind(record.account.to_string())
            .bind(&*of.region)
            .bind(of.category.as_str())
            .bind(record.source.as_ref().map(InsightSource::arn))
            .bind(record.time.as_millis())
            .bind(&*of.event_source)
            .bind(&*of.event_name)
            .bind(record.finding.state.as_str())
            .bind(record.finding.expected)
            .bind(deviation)
            .bind(&record.json)
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM insight WHERE account = ? AND region = ? AND time < ?")
            .bind(record.account.to_string())
            .bind(&*of.region)
            .bind(record.time.as_millis() - KEPT_MILLIS)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
