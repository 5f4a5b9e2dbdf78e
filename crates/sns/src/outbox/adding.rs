use opentrail_model::Timestamp;
use opentrail_runtime::CrashPoint;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{MOST_WAITING, Outbox, OutboxError};
use crate::message::Message;

/// A message and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) message: Message,
    /// See [`NewMessage::deduplication`](crate::NewMessage).
    pub(crate) deduplication: Option<String>,
    pub(crate) deliveries: Vec<NewDelivery>,
}

/// A delivery to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewDelivery {
    /// The subscription's ARN.
    pub(crate) subscription: String,
    /// The endpoint's lane.
    pub(crate) lane: String,
    /// That of the dead-letter queue.
    pub(crate) dead_letters: Option<String>,
}

/// What became of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// The message's id; of the first one, when its deduplication key was known.
    pub(crate) id: Uuid,
}

impl Outbox {
    /// Stores messages with their deliveries, all or none. When this returns they survive a crash.
    pub(crate) async fn add(&self, parcels: &[Parcel], now: Timestamp) -> Result<Vec<Added>, OutboxError> {
        let _writing = self.writer.lock().await;
        let mut transaction = self.pool.begin().await?;
        let mut added = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            let id = match first_of(&mut transaction, parcel).await? {
                Some(first) => first,
                None => {
                    insert(&mut transaction, parcel, now).await?;
                    parcel.message.id
                }
            };
            added.push(Added { id });
        }
        CrashPoint::SnsCommit.reach();
        transaction.commit().await?;
        CrashPoint::SnsCommitted.reach();
        self.news.notify_one();
        Ok(added)
    }
}

/// The message that came under the same key before.
async fn first_of(transaction: &mut Transaction<'_, Sqlite>, parcel: &Parcel) -> Result<Option<Uuid>, OutboxError> {
    let Some(key) = &parcel.deduplication else { return Ok(None) };
    let id: Option<String> = sqlx::query_scalar("SELECT id FROM message WHERE topic = ? AND deduplication = ?")
        .bind(parcel.message.topic.to_string())
        .bind(key)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(id.and_then(|id| id.parse().ok()))
}

async fn insert(transaction: &mut Transaction<'_, Sqlite>, parcel: &Parcel, now: Timestamp) -> Result<(), OutboxError> {
    let message = &parcel.message;
    // Nobody waits for it and nobody will ask for its key: there is nothing to keep.
    if parcel.deliveries.is_empty() && parcel.deduplication.is_none() {
        return Ok(());
    }
    let id = message.id.to_string();
    let body = serde_json::to_vec(message)
        .map_err(|error| OutboxError::Malformed { id: id.clone(), reason: error.to_string() })?;
    sqlx::query("INSERT INTO message (id, published, topic, deduplication, body) VALUES (?, ?, ?, ?, ?)")
        .bind(&id)
        .bind(message.published.as_millis())
        .bind(message.topic.to_string())
        .bind(parcel.deduplication.as_deref())
        .bind(body)
        .execute(&mut **transaction)
        .await?;
    let mut kept = 0;
    for delivery in &parcel.deliveries {
        kept += u32::from(insert_delivery(transaction, &id, delivery, now).await?);
    }
    if kept == 0 && parcel.deduplication.is_none() {
        sqlx::query("DELETE FROM message WHERE id = ?").bind(&id).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Whether it waits now. A lane that is full takes no more: what comes is a dead letter, or undeliverable.
async fn insert_delivery(
    transaction: &mut Transaction<'_, Sqlite>,
    message: &str,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<bool, OutboxError> {
    let (lane, failure) = if waiting_in(transaction, &delivery.lane).await? < MOST_WAITING {
        (&delivery.lane, None)
    } else {
        metrics::counter!("opentrail_sns_undeliverable_total", "reason" => "backlog").increment(1);
        match &delivery.dead_letters {
            Some(queue) if waiting_in(transaction, queue).await? < MOST_WAITING => {
                (queue, Some("too many messages wait for the endpoint"))
            }
            _ => return Ok(false),
        }
    };
    sqlx::query(
        "INSERT INTO delivery (message, subscription, lane, failure, attempts, due, created) VALUES (?, ?, ?, ?, 0, ?, ?)",
    )
    .bind(message)
    .bind(&delivery.subscription)
    .bind(lane)
    .bind(failure)
    .bind(now.as_millis())
    .bind(now.as_millis())
    .execute(&mut **transaction)
    .await?;
    enter_lane(transaction, lane, now).await?;
    Ok(true)
}

async fn waiting_in(transaction: &mut Transaction<'_, Sqlite>, lane: &str) -> Result<i64, OutboxError> {
    let waiting: Option<i64> = sqlx::query_scalar("SELECT waiting FROM lane WHERE name = ?")
        .bind(lane)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(waiting.unwrap_or_default())
}

/// One more waits in the lane, due now. A new lane is suspect until its endpoint answers; one that is paused stays so.
pub(super) async fn enter_lane(
    transaction: &mut Transaction<'_, Sqlite>,
    lane: &str,
    now: Timestamp,
) -> Result<(), OutboxError> {
    sqlx::query(
        "INSERT INTO lane (name, due, failures, suspect, waiting, paused_until, touched) VALUES (?1, ?2, 0, 1, 1, 0, ?2)
         ON CONFLICT (name) DO UPDATE SET waiting = waiting + 1, touched = excluded.touched,
             due = MIN(due, MAX(excluded.due, paused_until))",
    )
    .bind(lane)
    .bind(now.as_millis())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
