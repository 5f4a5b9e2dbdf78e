//! Rows of metric filters. A filter that is changed or deleted stays, marked with the last sequence number that it applies to,
//! until all events up to there are evaluated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, to_i64, to_u64};
use crate::error::{LogsError, no_group};

/// A metric filter, as it was put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricFilter {
    pub(crate) name: String,
    pub(crate) pattern: String,
    /// In milliseconds.
    pub(crate) created: i64,
    pub(crate) transformation: MetricTransformation,
}

/// What a metric filter makes of an event that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricTransformation {
    pub(crate) namespace: String,
    pub(crate) metric: String,
    /// A number, or the field that has it: `$.field` or `$field`.
    pub(crate) value: String,
    pub(crate) default: Option<f64>,
    /// Names, and the fields that have their values.
    pub(crate) dimensions: BTreeMap<String, String>,
    pub(crate) unit: Option<String>,
}

/// A filter, and the group that it is of.
#[derive(Clone, Debug)]
pub(crate) struct FilterRow {
    pub(crate) group: String,
    pub(crate) filter: MetricFilter,
}

/// A filter, and the sequence numbers that it applies to.
#[derive(Clone, Debug)]
pub(crate) struct FilterVersion {
    pub(crate) id: i64,
    pub(crate) filter: MetricFilter,
    /// It applies to events committed after this one,
    pub(crate) after: u64,
    /// through this one.
    pub(crate) through: Option<u64>,
}

impl Store {
    /// Filters of a group, or of all groups of an account in a Region, by group and name.
    pub(crate) async fn metric_filters(
        &self,
        (account, region): (&str, &str),
        group: Option<i64>,
    ) -> Result<Vec<FilterRow>, LogsError> {
        let rows = sqlx::query(
            "SELECT g.name AS group_name, f.body AS body FROM log_group g JOIN metric_filter f ON f.group_id = g.id
             WHERE g.account = ?1 AND g.region = ?2 AND (?3 IS NULL OR g.id = ?3) AND f.through IS NULL
             ORDER BY g.name, f.name",
        )
        .bind(account)
        .bind(region)
        .bind(group)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(FilterRow { group: row.try_get("group_name")?, filter: filter(row)? })).collect()
    }

    /// How many filters a group has now.
    pub(crate) async fn metric_filter_count(&self, group: i64) -> Result<i64, LogsError> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM metric_filter WHERE group_id = ? AND through IS NULL")
            .bind(group)
            .fetch_one(&self.pool)
            .await?)
    }

    /// All filters of a group, those that were changed or deleted too.
    pub(crate) async fn filter_versions(&self, group: i64) -> Result<Vec<FilterVersion>, LogsError> {
        let rows = sqlx::query("SELECT id, body, after, through FROM metric_filter WHERE group_id = ? ORDER BY id")
            .bind(group)
            .fetch_all(&self.pool)
            .await?;
        let version = |row: &SqliteRow| {
            Ok(FilterVersion {
                id: row.try_get("id")?,
                filter: filter(row)?,
                after: to_u64(row.try_get("after")?),
                through: row.try_get::<Option<i64>, _>("through")?.map(to_u64),
            })
        };
        rows.iter().map(version).collect()
    }

    /// Puts a filter in place of the one of that name, if there is one. It applies to what is committed from now on.
    /// `check` sees the group's other filters.
    pub(crate) async fn put_metric_filter(
        &self,
        group: i64,
        filter: &MetricFilter,
        check: impl FnOnce(&[MetricFilter]) -> Result<(), LogsError>,
    ) -> Result<(), LogsError> {
        let mut writing = self.write().await?;
        let there: Option<i64> = sqlx::query_scalar("SELECT id FROM log_group WHERE id = ?")
            .bind(group)
            .fetch_optional(&mut *writing.transaction)
            .await?;
        there.ok_or_else(no_group)?;
        let rows = sqlx::query("SELECT body FROM metric_filter WHERE group_id = ? AND name <> ? AND through IS NULL")
            .bind(group)
            .bind(&filter.name)
            .fetch_all(&mut *writing.transaction)
            .await?;
        check(&rows.iter().map(self::filter).collect::<Result<Vec<_>, _>>()?)?;
        retire(&mut writing, group, &filter.name).await?;
        sqlx::query(
            "INSERT INTO metric_filter (group_id, name, body, after)
             VALUES (?, ?, ?, coalesce((SELECT value FROM meta WHERE name = 'sequence'), 0))",
        )
        .bind(group)
        .bind(&filter.name)
        .bind(serde_json::to_string(filter).unwrap_or_default())
        .execute(&mut *writing.transaction)
        .await?;
        writing.commit().await
    }

    /// Deletes a filter; `false` when there is none.
    pub(crate) async fn delete_metric_filter(&self, group: i64, name: &str) -> Result<bool, LogsError> {
        let mut writing = self.write().await?;
        let found = retire(&mut writing, group, name).await?;
        writing.commit().await?;
        Ok(found)
    }

    /// Forgets filters that apply to nothing after `position`.
    pub(crate) async fn forget_filters(&self, position: u64) -> Result<(), LogsError> {
        let mut writing = self.write().await?;
        sqlx::query("DELETE FROM metric_filter WHERE through <= ?")
            .bind(to_i64(position))
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await
    }
}

async fn retire(writing: &mut super::Writing<'_>, group: i64, name: &str) -> Result<bool, LogsError> {
    let done = sqlx::query(
        "UPDATE metric_filter SET through = coalesce((SELECT value FROM meta WHERE name = 'sequence'), 0)
         WHERE group_id = ? AND name = ? AND through IS NULL",
    )
    .bind(group)
    .bind(name)
    .execute(&mut *writing.transaction)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn filter(row: &SqliteRow) -> Result<MetricFilter, LogsError> {
    let body: &str = row.try_get("body")?;
    serde_json::from_str(body).map_err(|error| LogsError::Unavailable(format!("a metric filter is malformed: {error}")))
}
