//! Rows of resource policies.

use opentrail_model::{AccountId, Region};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, to_i64, to_u64};
use crate::error::LogsError;

/// A policy of an account in a Region by which services and other accounts may write.
#[derive(Clone, Debug)]
pub(crate) struct PolicyRow {
    pub(crate) name: String,
    pub(crate) document: String,
    /// In milliseconds.
    pub(crate) updated: i64,
    pub(crate) revision: u64,
}

impl Store {
    pub(crate) async fn policies(&self, account: AccountId, region: &Region) -> Result<Vec<PolicyRow>, LogsError> {
        let rows = sqlx::query("SELECT * FROM policy WHERE account = ? AND region = ? ORDER BY name")
            .bind(account.to_string())
            .bind(region.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(policy).collect()
    }

    /// Puts a policy; `check` sees those that are there, by which it may refuse.
    pub(crate) async fn put_policy(
        &self,
        (account, region): (AccountId, &Region),
        (name, document): (&str, &str),
        now: i64,
        check: impl FnOnce(&[PolicyRow]) -> Result<(), LogsError>,
    ) -> Result<PolicyRow, LogsError> {
        let mut writing = self.write().await?;
        let rows = sqlx::query("SELECT * FROM policy WHERE account = ? AND region = ? ORDER BY name")
            .bind(account.to_string())
            .bind(region.as_str())
            .fetch_all(&mut *writing.transaction)
            .await?;
        let there = rows.iter().map(policy).collect::<Result<Vec<_>, _>>()?;
        check(&there)?;
        let revision = there.iter().find(|old| old.name == name).map_or(1, |old| old.revision + 1);
        sqlx::query("INSERT OR REPLACE INTO policy (account, region, name, document, updated, revision) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(account.to_string())
            .bind(region.as_str())
            .bind(name)
            .bind(document)
            .bind(now)
            .bind(to_i64(revision))
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await?;
        Ok(PolicyRow { name: name.to_owned(), document: document.to_owned(), updated: now, revision })
    }

    /// Deletes a policy, at `revision` if one is given; `false` when there is none.
    pub(crate) async fn delete_policy(
        &self,
        (account, region): (AccountId, &Region),
        name: &str,
        revision: Option<u64>,
    ) -> Result<bool, LogsError> {
        let mut writing = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM policy WHERE account = ?1 AND region = ?2 AND name = ?3 AND (?4 IS NULL OR revision = ?4)",
        )
        .bind(account.to_string())
        .bind(region.as_str())
        .bind(name)
        .bind(revision.map(to_i64))
        .execute(&mut *writing.transaction)
        .await?;
        writing.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

fn policy(row: &SqliteRow) -> Result<PolicyRow, LogsError> {
    Ok(PolicyRow {
        name: row.try_get("name")?,
        document: row.try_get("document")?,
        updated: row.try_get("updated")?,
        revision: to_u64(row.try_get("revision")?),
    })
}
