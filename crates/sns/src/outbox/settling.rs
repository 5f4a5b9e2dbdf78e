use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::CrashPoint;
use sqlx::{Sqlite, Transaction};

use super::adding::enter_lane;
use super::{NEVER, Outbox, OutboxError};

/// What becomes of a delivery that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// It is over: delivered, or nobody wants it.
    Done,
    /// It is tried again.
    Again { attempts: u32, due: Timestamp },
    /// It goes to the dead-letter queue.
    DeadLetter { lane: String, failure: String },
}

/// What was heard of a lane's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It answers.
    Answer,
    /// It does not.
    Failure,
    /// It was not asked.
    Nothing,
}

impl Outbox {
    /// Stores what became of deliveries of a lane, and when its next one may be made: not before `pause` is over.
    pub(crate) async fn settle(
        &self,
        lane: &str,
        settled: &[(i64, Settlement)],
        heard: Heard,
        now: Timestamp,
        pause: Duration,
    ) -> Result<(), OutboxError> {
        let _writing = self.writer.lock().await;
        let mut transaction = self.pool.begin().await?;
        let mut left = 0_i64;
        for (id, settlement) in settled {
            left += i64::from(settle_one(&mut transaction, *id, settlement, now).await?);
        }
        update_lane(&mut transaction, lane, left, heard, now, now + pause).await?;
        transaction.commit().await?;
        CrashPoint::SnsSettled.reach();
        self.news.notify_one();
        Ok(())
    }
}

/// Whether the delivery has left its lane.
async fn settle_one(
    transaction: &mut Transaction<'_, Sqlite>,
    id: i64,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<bool, OutboxError> {
    match settlement {
        Settlement::Done => {
            let message: Option<String> = sqlx::query_scalar("DELETE FROM delivery WHERE id = ? RETURNING message")
                .bind(id)
                .fetch_optional(&mut **transaction)
                .await?;
            let Some(message) = message else { return Ok(false) };
            sqlx::query(
                "DELETE FROM message WHERE id = ?1 AND deduplication IS NULL
                     AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?1)",
            )
            .bind(message)
            .execute(&mut **transaction)
            .await?;
            Ok(true)
        }
        Settlement::Again { attempts, due } => {
            sqlx::query("UPDATE delivery SET attempts = ?, due = ? WHERE id = ?")
                .bind(i64::from(*attempts))
                .bind(due.as_millis())
                .bind(id)
                .execute(&mut **transaction)
                .await?;
            Ok(false)
        }
        Settlement::DeadLetter { lane, failure } => {
            let moved = sqlx::query(
                "UPDATE delivery SET lane = ?, failure = ?, attempts = 0, due = ?4, created = ?4 WHERE id = ?3",
            )
            .bind(lane)
            .bind(failure)
            .bind(id)
            .bind(now.as_millis())
            .execute(&mut **transaction)
            .await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            enter_lane(transaction, lane, now).await?;
            Ok(true)
        }
    }
}

async fn update_lane(
    transaction: &mut Transaction<'_, Sqlite>,
    lane: &str,
    left: i64,
    heard: Heard,
    now: Timestamp,
    paused_until: Timestamp,
) -> Result<(), OutboxError> {
    let due: Option<i64> = sqlx::query_scalar("SELECT MIN(due) FROM delivery WHERE lane = ?")
        .bind(lane)
        .fetch_one(&mut **transaction)
        .await?;
    // Behind all lanes that wait already: they are served in turn.
    let due = due.map_or(NEVER, |due| due.max(now.as_millis()).max(paused_until.as_millis()));
    let statement = match heard {
        Heard::Answer => {
            "UPDATE lane SET waiting = MAX(waiting - ?, 0), due = ?, paused_until = ?, touched = ?, failures = 0,
                 suspect = 0 WHERE name = ?"
        }
        Heard::Failure => {
            "UPDATE lane SET waiting = MAX(waiting - ?, 0), due = ?, paused_until = ?, touched = ?,
                 failures = MIN(failures + 1, 1000), suspect = 1 WHERE name = ?"
        }
        Heard::Nothing => {
            "UPDATE lane SET waiting = MAX(waiting - ?, 0), due = ?, paused_until = ?, touched = ? WHERE name = ?"
        }
    };
    sqlx::query(statement)
        .bind(left)
        .bind(due)
        .bind(paused_until.as_millis())
        .bind(now.as_millis())
        .bind(lane)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
