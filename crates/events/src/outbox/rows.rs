//! The statements of the outbox.

use bytes::Bytes;
use opentrail_model::{Position, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::room::Placed;
use super::{Invocation, Letter, OutboxError, Turn};
use crate::rule::Target;

/// Writes an event and its invocations. A queue is its target's ARN.
pub(super) async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    body: &Bytes,
    placed: &[Placed<'_>],
    now: Timestamp,
) -> Result<(), OutboxError> {
    if placed.is_empty() {
        return Ok(());
    }
    let event = sqlx::query("INSERT INTO event (body) VALUES (?)")
        .bind(&body[..])
        .execute(&mut **transaction)
        .await?
        .last_insert_rowid();
    for placed in placed {
        let target = placed.target();
        sqlx::query(
            "INSERT INTO invocation (queue, due, created, attempts, hops, event, rule, target, letter)
             VALUES (?1, ?2, ?2, 0, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(target.arn.as_str())
        .bind(now.as_millis())
        .bind(placed.new.hops)
        .bind(event)
        .bind(&*placed.new.rule)
        .bind(json(target)?)
        .bind(placed.letter.as_ref().map(|(_, letter)| json(letter)).transpose()?)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

pub(super) async fn save_position(
    transaction: &mut Transaction<'_, Sqlite>,
    projection: &str,
    position: Position,
) -> Result<(), OutboxError> {
    sqlx::query(
        "INSERT INTO position (projection, position) VALUES (?1, ?2)
         ON CONFLICT (projection) DO UPDATE SET position = excluded.position",
    )
    .bind(projection)
    .bind(i64::try_from(position.0).unwrap_or(i64::MAX))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

pub(super) async fn save_turns(transaction: &mut Transaction<'_, Sqlite>, turns: &[Turn]) -> Result<(), OutboxError> {
    for turn in turns {
        sqlx::query("INSERT OR REPLACE INTO turn (rule, since, due) VALUES (?, ?, ?)")
            .bind(&turn.rule)
            .bind(turn.since.as_millis())
            .bind(turn.due.as_millis())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

pub(super) async fn turns(pool: &SqlitePool) -> Result<Vec<Turn>, OutboxError> {
    let turn = |row: &SqliteRow| {
        let time = |column| row.try_get(column).map(Timestamp::from_millis);
        Ok(Turn { rule: row.try_get("rule")?, since: time("since")?, due: time("due")? })
    };
    sqlx::query("SELECT rule, since, due FROM turn").fetch_all(pool).await?.iter().map(turn).collect()
}

/// What is due by `now`, or so far ahead that the clock must have been set back.
pub(super) async fn due(
    pool: &SqlitePool,
    queue: &str,
    (now, far): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<Invocation>, OutboxError> {
    let rows = sqlx::query(
        "SELECT i.id, i.event, i.rule, i.target, i.hops, i.created, i.attempts, i.letter, e.body
         FROM invocation i JOIN event e ON e.id = i.event
         WHERE i.queue = ?1 AND (i.due <= ?2 OR i.due > ?3) ORDER BY i.due, i.id LIMIT ?4",
    )
    .bind(queue)
    .bind(now.as_millis())
    .bind(far.as_millis())
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(invocation).collect()
}

/// When the queue's first invocation is due.
pub(super) async fn next(pool: &SqlitePool, queue: &str) -> Result<Option<Timestamp>, OutboxError> {
    let due: Option<i64> =
        sqlx::query_scalar("SELECT MIN(due) FROM invocation WHERE queue = ?").bind(queue).fetch_one(pool).await?;
    Ok(due.map(Timestamp::from_millis))
}

pub(super) async fn remove(
    transaction: &mut Transaction<'_, Sqlite>,
    invocation: &Invocation,
) -> Result<(), OutboxError> {
    sqlx::query("DELETE FROM invocation WHERE id = ?").bind(invocation.id).execute(&mut **transaction).await?;
    sqlx::query("DELETE FROM event WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM invocation WHERE event = ?1)")
        .bind(invocation.event)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(super) async fn put_off(
    transaction: &mut Transaction<'_, Sqlite>,
    id: i64,
    due: Timestamp,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE invocation SET due = ?, attempts = attempts + 1 WHERE id = ?")
        .bind(due.as_millis())
        .bind(id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The invocation becomes a dead letter: another queue, a new beginning.
pub(super) async fn make_letter(
    transaction: &mut Transaction<'_, Sqlite>,
    id: i64,
    queue: &Target,
    letter: &Letter,
    now: Timestamp,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE invocation SET queue = ?1, due = ?2, created = ?2, attempts = 0, target = ?3, letter = ?4 WHERE id = ?5",
    )
    .bind(queue.arn.as_str())
    .bind(now.as_millis())
    .bind(json(queue)?)
    .bind(json(letter)?)
    .bind(id)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn invocation(row: &SqliteRow) -> Result<Invocation, OutboxError> {
    let letter: Option<Vec<u8>> = row.try_get("letter")?;
    Ok(Invocation {
        id: row.try_get("id")?,
        event: row.try_get("event")?,
        body: Bytes::from(row.try_get::<Vec<u8>, _>("body")?),
        rule: row.try_get("rule")?,
        target: parse(&row.try_get::<Vec<u8>, _>("target")?)?,
        hops: row.try_get("hops")?,
        created: Timestamp::from_millis(row.try_get("created")?),
        attempts: row.try_get("attempts")?,
        letter: letter.map(|letter| parse(&letter)).transpose()?,
    })
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, OutboxError> {
    serde_json::to_vec(value).map_err(|error| OutboxError::Malformed { reason: error.to_string() })
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, OutboxError> {
    serde_json::from_slice(text).map_err(|error| OutboxError::Malformed { reason: error.to_string() })
}
