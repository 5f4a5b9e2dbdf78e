//! What the projection saves: findings, what correlations have seen, and the position, at once.

use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_runtime::CrashPoint;

use super::{Store, StoreError, put_state, signed, unsigned};
use crate::Finding;
use crate::correlate::{Group, GroupKey};

/// What came of the journal up to a position.
#[derive(Debug)]
pub(crate) struct Save<'s> {
    pub(crate) position: Position,
    pub(crate) now: Timestamp,
    pub(crate) findings: &'s [Finding],
    /// Groups that changed; `None` where one is gone.
    pub(crate) groups: &'s [(AccountId, GroupKey, Option<Group>)],
}

impl Store {
    /// Up to where the journal is folded in; `None` in a new file.
    pub(crate) async fn position(&self) -> Result<Option<Position>, StoreError> {
        Ok(self.state("position").await?.map(|position| Position(unsigned(position))))
    }

    /// Saves all of it, or nothing. Answers how many findings are new.
    pub(crate) async fn save(&self, save: Save<'_>) -> Result<u64, StoreError> {
        let _writing = self.writer.lock().await;
        let mut transaction = self.pool.begin().await?;
        let mut new = 0;
        for finding in save.findings {
            new += super::findings::insert(&mut transaction, finding, save.now).await?;
        }
        for (account, key, group) in save.groups {
            let account = signed(account.as_u64());
            let statement = match group {
                Some(group) => {
                    let seen = serde_json::to_string(group)
                        .map_err(|error| StoreError::Malformed { reason: error.to_string() })?;
                    sqlx::query(
                        "INSERT INTO correlation VALUES (?, ?, ?, ?)
                         ON CONFLICT (account, rule, grp) DO UPDATE SET seen = excluded.seen",
                    )
                    .bind(account)
                    .bind(&key.rule)
                    .bind(&key.group)
                    .bind(seen)
                }
                None => sqlx::query("DELETE FROM correlation WHERE account = ? AND rule = ? AND grp = ?")
                    .bind(account)
                    .bind(&key.rule)
                    .bind(&key.group),
            };
            statement.execute(&mut *transaction).await?;
        }
        // Versions that apply to nothing after this position are needed no more.
        sqlx::query("DELETE FROM rule WHERE until <= ?")
            .bind(signed(save.position.0))
            .execute(&mut *transaction)
            .await?;
        put_state(&mut transaction, "position", signed(save.position.0)).await?;
        CrashPoint::SigmaSave.reach();
        transaction.commit().await?;
        CrashPoint::SigmaSaved.reach();
        Ok(new)
    }

    /// What correlations had seen at the position.
    pub(crate) async fn groups(&self) -> Result<Vec<(AccountId, GroupKey, Group)>, StoreError> {
        let rows: Vec<(i64, String, String, String)> =
            sqlx::query_as("SELECT account, rule, grp, seen FROM correlation").fetch_all(&self.pool).await?;
        rows.into_iter()
            .map(|(account, rule, group, seen)| {
                let malformed = |reason: String| StoreError::Malformed { reason };
                let account =
                    AccountId::from_u64(unsigned(account)).ok_or_else(|| malformed(format!("account {account}")))?;
                let seen = serde_json::from_str(&seen).map_err(|error| malformed(error.to_string()))?;
                Ok((account, GroupKey { rule, group }, seen))
            })
            .collect()
    }
}
