//! Rows of log groups.

use std::collections::BTreeMap;

use opentrail_model::{AccountId, Region};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, Writing, to_u64};
use crate::error::{LogsError, no_group};
use crate::place::GroupPlace;

/// A log group.
#[derive(Clone, Debug)]
pub(crate) struct GroupRow {
    pub(crate) id: i64,
    pub(crate) place: GroupPlace,
    /// In milliseconds.
    pub(crate) created: i64,
    pub(crate) retention_days: Option<i64>,
    /// Whether it must not be deleted.
    pub(crate) protected: bool,
    /// Bytes of its chunks before compression.
    pub(crate) stored_bytes: i64,
    pub(crate) tags: BTreeMap<String, String>,
}

impl GroupRow {
    /// Events before this time are not to be seen any more, in milliseconds.
    pub(crate) fn expired_before(&self, now: i64) -> i64 {
        self.retention_days.map_or(i64::MIN, |days| now - days * 24 * 3_600_000)
    }
}

impl Store {
    pub(crate) async fn find_group(&self, place: &GroupPlace) -> Result<Option<GroupRow>, LogsError> {
        let row = sqlx::query("SELECT * FROM log_group WHERE account = ? AND region = ? AND name = ?")
            .bind(place.account.to_string())
            .bind(place.region.as_str())
            .bind(&place.name)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| group(&row)).transpose()
    }

    pub(crate) async fn group_of_id(&self, id: i64) -> Result<Option<GroupRow>, LogsError> {
        let row = sqlx::query("SELECT * FROM log_group WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.map(|row| group(&row)).transpose()
    }

    /// Groups of an account in a Region, by name, whose name comes after `after` and begins with `prefix`.
    pub(crate) async fn groups(
        &self,
        (account, region): (AccountId, &Region),
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<GroupRow>, LogsError> {
        let rows = sqlx::query(
            "SELECT * FROM log_group WHERE account = ?1 AND region = ?2 AND name >= ?3 AND name < ?3 || char(1114111)
             AND name > ?4 ORDER BY name LIMIT ?5",
        )
        .bind(account.to_string())
        .bind(region.as_str())
        .bind(prefix)
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(group).collect()
    }

    /// Groups with a retention, after the id `after`.
    pub(crate) async fn groups_with_retention(&self, after: i64, limit: i64) -> Result<Vec<GroupRow>, LogsError> {
        let rows =
            sqlx::query("SELECT * FROM log_group WHERE id > ? AND retention_days IS NOT NULL ORDER BY id LIMIT ?")
                .bind(after)
                .bind(limit)
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(group).collect()
    }

    /// Makes a group; `false` when its name is taken.
    pub(crate) async fn create_group(
        &self,
        place: &GroupPlace,
        now: i64,
        protected: bool,
        tags: &BTreeMap<String, String>,
    ) -> Result<bool, LogsError> {
        let mut writing = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO log_group (account, region, name, created, protected, stored_bytes, tags)
             VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
        )
        .bind(place.account.to_string())
        .bind(place.region.as_str())
        .bind(&place.name)
        .bind(now)
        .bind(protected)
        .bind(serde_json::to_string(tags).unwrap_or_default())
        .execute(&mut *writing.transaction)
        .await?;
        writing.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn set_retention(&self, id: i64, days: Option<i64>) -> Result<(), LogsError> {
        let mut writing = self.write().await?;
        let done = sqlx::query("UPDATE log_group SET retention_days = ? WHERE id = ?")
            .bind(days)
            .bind(id)
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await?;
        if done.rows_affected() > 0 { Ok(()) } else { Err(no_group()) }
    }

    pub(crate) async fn set_protected(&self, id: i64, protected: bool) -> Result<(), LogsError> {
        let mut writing = self.write().await?;
        let done = sqlx::query("UPDATE log_group SET protected = ? WHERE id = ?")
            .bind(protected)
            .bind(id)
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await?;
        if done.rows_affected() > 0 { Ok(()) } else { Err(no_group()) }
    }

    /// Changes a group's tags by `change`, which sees them as they are then.
    pub(crate) async fn change_tags(
        &self,
        id: i64,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), LogsError>,
    ) -> Result<(), LogsError> {
        let mut writing = self.write().await?;
        let text: Option<String> = sqlx::query_scalar("SELECT tags FROM log_group WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *writing.transaction)
            .await?;
        let mut tags = tags_of(&text.ok_or_else(no_group)?);
        change(&mut tags)?;
        sqlx::query("UPDATE log_group SET tags = ? WHERE id = ?")
            .bind(serde_json::to_string(&tags).unwrap_or_default())
            .bind(id)
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await
    }
}

/// Deletes a group with its streams and filters; its chunks go later, step by step, and are not seen from now on.
pub(crate) async fn delete_group(writing: &mut Writing<'_>, id: i64) -> Result<(), LogsError> {
    for statement in [
        "INSERT INTO dropped (stream_id, group_id) SELECT id, group_id FROM log_stream WHERE group_id = ?",
        "DELETE FROM log_stream WHERE group_id = ?",
        "DELETE FROM metric_filter WHERE group_id = ?",
        "DELETE FROM log_group WHERE id = ?",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *writing.transaction).await?;
    }
    Ok(())
}

fn group(row: &SqliteRow) -> Result<GroupRow, LogsError> {
    let malformed = |what: &str| LogsError::Unavailable(format!("a row of log_group has a malformed {what}"));
    let account: String = row.try_get("account")?;
    let region: String = row.try_get("region")?;
    Ok(GroupRow {
        id: row.try_get("id")?,
        place: GroupPlace {
            account: account.parse().map_err(|_| malformed("account"))?,
            region: region.parse().map_err(|_| malformed("region"))?,
            name: row.try_get("name")?,
        },
        created: row.try_get("created")?,
        retention_days: row.try_get("retention_days")?,
        protected: row.try_get("protected")?,
        stored_bytes: i64::try_from(to_u64(row.try_get("stored_bytes")?)).unwrap_or_default(),
        tags: tags_of(row.try_get("tags")?),
    })
}

fn tags_of(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str(text).unwrap_or_default()
}
