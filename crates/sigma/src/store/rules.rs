//! The rules of each account, with the positions of the journal between which they apply.

use opentrail_model::{AccountId, Position, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, signed, unsigned};
use crate::Level;

/// A version of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRule {
    /// Whose it is.
    pub account: AccountId,
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Level,
    /// `detection` or `correlation`.
    pub kind: String,
    /// The file it came in.
    pub file: String,
    /// It applies to what comes after this position.
    pub since: Position,
    /// And up to this one.
    pub until: Option<Position>,
    /// When it was loaded.
    pub loaded: Timestamp,
    /// The ARN of who loaded it.
    pub loaded_by: String,
    /// Its text.
    pub text: String,
    /// Rules of an account run in the order in which they were loaded first.
    pub(crate) number: i64,
}

/// A rule to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewRule {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) level: Level,
    pub(crate) kind: &'static str,
    pub(crate) file: String,
    pub(crate) text: String,
}

/// A change of the rules of an account, which takes effect at a position.
#[derive(Debug)]
pub(crate) struct RuleChange<'c> {
    pub(crate) account: AccountId,
    pub(crate) at: Position,
    pub(crate) now: Timestamp,
    pub(crate) by: &'c str,
    /// Take the place of those with their ids.
    pub(crate) put: &'c [NewRule],
    pub(crate) remove: &'c [String],
}

const COLUMNS: &str = "account, id, since, until, number, title, level, kind, file, text, loaded, loaded_by";

impl Store {
    /// Every version of every rule that is still needed, in the order in which they run.
    pub(crate) async fn rules(&self) -> Result<Vec<StoredRule>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM rule ORDER BY account, number, since");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(rule).collect()
    }

    /// The rules of an account as they are now, by id, up to `limit` after `after`.
    pub(crate) async fn rules_of(
        &self,
        account: AccountId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredRule>, StoreError> {
        let statement =
            format!("SELECT {COLUMNS} FROM rule WHERE account = ? AND id > ? AND until IS NULL ORDER BY id LIMIT ?");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(signed(account.as_u64()))
            .bind(after)
            .bind(signed(limit as u64))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(rule).collect()
    }

    /// Makes all of the change, or nothing.
    pub(crate) async fn change_rules(&self, change: RuleChange<'_>) -> Result<(), StoreError> {
        let _writing = self.writer.lock().await;
        let mut transaction = self.pool.begin().await?;
        let (account, at) = (signed(change.account.as_u64()), signed(change.at.0));
        let last: Option<i64> = sqlx::query_scalar("SELECT max(number) FROM rule WHERE account = ?")
            .bind(account)
            .fetch_one(&mut *transaction)
            .await?;
        let mut next = last.unwrap_or_default();
        for id in change.put.iter().map(|rule| &rule.id).chain(change.remove) {
            sqlx::query("UPDATE rule SET until = ? WHERE account = ? AND id = ? AND until IS NULL")
                .bind(at)
                .bind(account)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
            // One that never applied to anything leaves nothing behind.
            sqlx::query("DELETE FROM rule WHERE account = ? AND id = ? AND since >= until")
                .bind(account)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        for rule in change.put {
            next += 1;
            sqlx::query("INSERT INTO rule VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(account)
                .bind(&rule.id)
                .bind(at)
                .bind(next)
                .bind(&rule.title)
                .bind(rule.level.rank())
                .bind(rule.kind)
                .bind(&rule.file)
                .bind(&rule.text)
                .bind(change.now.as_millis())
                .bind(change.by)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn rule(row: &SqliteRow) -> Result<StoredRule, StoreError> {
    let account: i64 = row.try_get("account")?;
    let position = |number: i64| Position(unsigned(number));
    Ok(StoredRule {
        account: AccountId::from_u64(unsigned(account))
            .ok_or_else(|| StoreError::Malformed { reason: format!("account {account}") })?,
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        level: level(row.try_get("level")?)?,
        kind: row.try_get("kind")?,
        file: row.try_get("file")?,
        since: position(row.try_get("since")?),
        until: row.try_get::<Option<i64>, _>("until")?.map(position),
        loaded: Timestamp::from_millis(row.try_get("loaded")?),
        loaded_by: row.try_get("loaded_by")?,
        text: row.try_get("text")?,
        number: row.try_get("number")?,
    })
}

pub(super) fn level(rank: i64) -> Result<Level, StoreError> {
    let found = usize::try_from(rank).ok().and_then(|rank| Level::ALL.get(rank).copied());
    found.ok_or_else(|| StoreError::Malformed { reason: format!("level {rank}") })
}
