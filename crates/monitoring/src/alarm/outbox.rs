//! What is on its way to actions: written in the transaction of the change that it tells of, removed once it is done.

use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::Random;
use serde_json::Value;
use sqlx::Row;

use super::notification::{AlarmNotification, event};
use super::{Alarm, AlarmKey, State};
use crate::store::{Scope, Store, StoreError, Writing};

/// No attempt waits longer than this for the next.
pub(super) const MAX_BACK_OFF: Duration = Duration::from_secs(300);

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Errand {
    /// An action of the alarm.
    Action { arn: String, notification: AlarmNotification },
    /// An event for who listens.
    Event(Value),
}

/// A row of the outbox that is yet to be written.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    key: AlarmKey,
    kind: &'static str,
    made: Timestamp,
    errand: Errand,
}

impl Outgoing {
    /// What goes to the actions of `alarm`, which has come into its state out of `old`; none when they are switched off.
    pub(super) fn actions(alarm: &Alarm, old: &State, now: Timestamp) -> Vec<Self> {
        let actions = if alarm.are_actions_enabled() { alarm.actions(alarm.state.value) } else { &[] };
        let outgoing = |arn: &String| {
            let notification = AlarmNotification::of(alarm, old, arn);
            Self::of(alarm, now, Errand::Action { arn: arn.clone(), notification })
        };
        actions.iter().map(outgoing).collect()
    }

    /// The event of the change.
    pub(super) fn event(alarm: &Alarm, old: &State, now: Timestamp, random: &dyn Random) -> Self {
        Self::of(alarm, now, Errand::Event(event(alarm, old, &random.uuid().to_string())))
    }

    fn of(alarm: &Alarm, made: Timestamp, errand: Errand) -> Self {
        Self { key: alarm.key(), kind: alarm.kind(), made, errand }
    }

    pub(super) async fn write(&self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        // Errands of one lane are done one after the other: one action that hangs holds up nobody else.
        let (lane, action, content) = match &self.errand {
            Errand::Action { arn, notification } => (arn.clone(), Some(arn), serde_json::to_vec(notification)),
            Errand::Event(event) => (format!("event {}", self.key.arn()), None, serde_json::to_vec(event)),
        };
        sqlx::query(
            "INSERT INTO outbox (account, region, alarm, kind, lane, action, content, made, attempts, due)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
        )
        .bind(self.key.scope.account.to_string())
        .bind(self.key.scope.region.as_str())
        .bind(&self.key.name)
        .bind(self.kind)
        .bind(lane)
        .bind(action)
        .bind(content.expect("notifications and events have a JSON form"))
        .bind(self.made.as_millis())
        .execute(&mut **writing.transaction())
        .await?;
        Ok(())
    }
}

/// A row of the outbox.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) id: i64,
    pub(super) key: AlarmKey,
    pub(super) kind: String,
    pub(super) lane: String,
    pub(super) errand: Errand,
    pub(super) made: Timestamp,
    pub(super) attempts: u32,
}

impl Store {
    /// The oldest errand of each lane that is due; and when the next will be, of those that are not.
    pub(super) async fn due_errands(&self, now: Timestamp) -> Result<(Vec<Waiting>, Option<Timestamp>), StoreError> {
        // What is due later than any back-off makes it was put off by a clock that ran ahead.
        let far = (now + MAX_BACK_OFF).as_millis();
        let rows = sqlx::query(
            "SELECT id, account, region, alarm, kind, lane, action, content, made, attempts FROM outbox
             WHERE id IN (SELECT min(id) FROM outbox WHERE due <= ?1 OR due > ?2 GROUP BY lane) ORDER BY id LIMIT 1000",
        )
        .bind(now.as_millis())
        .bind(far)
        .fetch_all(self.pool())
        .await?;
        let next: Option<i64> = sqlx::query_scalar("SELECT min(due) FROM outbox WHERE due > ?1 AND due <= ?2")
            .bind(now.as_millis())
            .bind(far)
            .fetch_one(self.pool())
            .await?;
        Ok((rows.iter().map(waiting).collect::<Result<_, _>>()?, next.map(Timestamp::from_millis)))
    }

    /// Puts an errand off until `due`.
    pub(super) async fn put_errand_off(&self, id: i64, due: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.writing().await?;
        sqlx::query("UPDATE outbox SET attempts = attempts + 1, due = ? WHERE id = ?")
            .bind(due.as_millis())
            .bind(id)
            .execute(&mut **writing.transaction())
            .await?;
        writing.commit().await
    }

    /// Removes an errand within a transaction.
    pub(super) async fn remove_errand(writing: &mut Writing<'_>, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = ?").bind(id).execute(&mut **writing.transaction()).await?;
        Ok(())
    }
}

fn waiting(row: &sqlx::sqlite::SqliteRow) -> Result<Waiting, StoreError> {
    let id: i64 = row.try_get("id")?;
    let damaged = || StoreError::Damaged { what: format!("the errand {id}") };
    let content: Vec<u8> = row.try_get("content")?;
    let errand = match row.try_get::<Option<String>, _>("action")? {
        Some(arn) => {
            let notification = serde_json::from_slice(&content).map_err(|_| damaged())?;
            Errand::Action { arn, notification }
        }
        None => Errand::Event(serde_json::from_slice(&content).map_err(|_| damaged())?),
    };
    let account = row.try_get::<String, _>("account")?.parse().map_err(|_| damaged())?;
    let region = row.try_get::<String, _>("region")?.parse().map_err(|_| damaged())?;
    Ok(Waiting {
        id,
        key: AlarmKey { scope: Scope { account, region }, name: row.try_get("alarm")? },
        kind: row.try_get("kind")?,
        lane: row.try_get("lane")?,
        errand,
        made: Timestamp::from_millis(row.try_get("made")?),
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
    })
}
