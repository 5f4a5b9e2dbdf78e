use opentrail_model::Timestamp;
use sqlx::Row;

use super::points::{floor, summary, upsert};
use super::{Store, StoreError, Tier};

/// As many points are rolled up in one transaction, so that writers do not wait long.
const STEP: i64 = 500;

impl Store {
    /// Rolls points that are too old for their tier up into the next, and removes those too old for the last, as of `now`.
    /// Returns how many it moved. What remains after a crash is done by the next call; each point moves in one transaction.
    ///
    /// A clock that runs ahead must not make everything old: nothing is older than the newest value makes it, so that time
    /// in which nothing was measured takes nothing away. A choice of ours.
    pub(crate) async fn roll_up(&self, now: Timestamp) -> Result<u64, StoreError> {
        let newest: Option<i64> = sqlx::query_scalar("SELECT max(last) FROM series").fetch_one(self.pool()).await?;
        let Some(newest) = newest else { return Ok(0) };
        // `last` may lag by its step; to be late with a roll-up does no harm.
        let now = now.min(Timestamp::from_secs(newest));
        let mut moved = 0;
        for tier in Tier::ALL {
            let horizon = (now - tier.kept()).as_secs();
            loop {
                let step = self.roll_up_step(tier, floor(horizon, tier.next().unwrap_or(tier))).await?;
                moved += step;
                if step < u64::try_from(STEP).unwrap_or_default() {
                    break;
                }
            }
        }
        self.remove_empty_series(now).await?;
        Ok(moved)
    }

    async fn roll_up_step(&self, tier: Tier, horizon: i64) -> Result<u64, StoreError> {
        let mut writing = self.writing().await?;
        let transaction = writing.transaction();
        let rows = sqlx::query(
            "SELECT series, time, count, sum, min, max, distribution FROM point
             WHERE tier = ? AND time < ? ORDER BY time LIMIT ?",
        )
        .bind(tier.secs())
        .bind(horizon)
        .bind(STEP)
        .fetch_all(&mut **transaction)
        .await?;
        for row in &rows {
            let (series, time): (i64, i64) = (row.try_get("series")?, row.try_get("time")?);
            if let Some(next) = tier.next() {
                upsert(transaction, series, next, floor(time, next), summary(row)?).await?;
            }
            sqlx::query("DELETE FROM point WHERE series = ? AND time = ? AND tier = ?")
                .bind(series)
                .bind(time)
                .bind(tier.secs())
                .execute(&mut **transaction)
                .await?;
        }
        writing.commit().await?;
        Ok(rows.len() as u64)
    }

    async fn remove_empty_series(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.writing().await?;
        sqlx::query(
            "DELETE FROM series WHERE last < ?
             AND NOT EXISTS (SELECT 1 FROM point WHERE point.series = series.id)",
        )
        .bind((now - Tier::Hour.kept()).as_secs())
        .execute(&mut **writing.transaction())
        .await?;
        writing.commit().await?;
        // Their ids may be given to others.
        self.forget_series();
        Ok(())
    }
}
