use std::sync::Arc;

use opentrail_runtime::{Clock, CrashPoint};

use crate::alarm::Alarms;
use crate::metric::Datum;
use crate::store::{Store, StoreError, Stored};

/// Where data of metrics go: from clients, and from services of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) store: Arc<Store>,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Metrics {
    /// Keeps data. They are durable when it returns, all of one call or none.
    ///
    /// # Errors
    /// [`StoreError::TooManyMetrics`] when one of them would be more than its account may have, of which then none is kept.
    ///
    /// # Cancellation
    /// Whether they are kept is not known; repeated, they count twice.
    pub async fn put(&self, data: &[Datum]) -> Result<Stored, StoreError> {
        let mut writing = self.store.writing().await?;
        let stored = self.store.add(&mut writing, data, self.clock.now()).await?;
        if stored.refused > 0 {
            let account = data.first().map(|datum| datum.account.to_string()).unwrap_or_default();
            return Err(StoreError::TooManyMetrics { account, limit: self.store.max_series() });
        }
        writing.commit().await?;
        self.alarms.note(data);
        Ok(stored)
    }

    /// Keeps what a source measured up to `position`, once: data and position are durable together. What was folded before
    /// is ignored, which `None` says. Data of metrics that would be more than their account may have are left out and
    /// counted, since nobody can be told.
    ///
    /// # Errors
    /// When the file fails: fold the same again.
    ///
    /// # Cancellation
    /// May be folded; fold the same again.
    pub async fn fold(&self, source: &str, position: u64, data: Vec<Datum>) -> Result<Option<Stored>, StoreError> {
        let wanted = i64::try_from(position)
            .map_err(|_| StoreError::Damaged { what: format!("position {position} of {source} is beyond 63 bits") })?;
        let mut writing = self.store.writing().await?;
        let known: Option<i64> = sqlx::query_scalar("SELECT position FROM source WHERE name = ?")
            .bind(source)
            .fetch_optional(&mut **writing.transaction())
            .await?;
        if known.is_some_and(|known| known >= wanted) {
            return Ok(None);
        }
        let stored = self.store.add(&mut writing, &data, self.clock.now()).await?;
        sqlx::query("INSERT OR REPLACE INTO source (name, position) VALUES (?, ?)")
            .bind(source)
            .bind(wanted)
            .execute(&mut **writing.transaction())
            .await?;
        CrashPoint::MonitoringFold.reach();
        writing.commit().await?;
        CrashPoint::MonitoringFolded.reach();
        if stored.refused > 0 {
            metrics::counter!("opentrail_monitoring_data_refused_total", "reason" => "too many metrics")
                .increment(stored.refused as u64);
        }
        self.alarms.note(&data);
        Ok(Some(stored))
    }

    /// The last position that was folded of a source; `None` when none was.
    ///
    /// # Errors
    /// When the file fails.
    pub async fn position(&self, source: &str) -> Result<Option<u64>, StoreError> {
        let position: Option<i64> = sqlx::query_scalar("SELECT position FROM source WHERE name = ?")
            .bind(source)
            .fetch_optional(self.store.pool())
            .await?;
        Ok(position.and_then(|position| u64::try_from(position).ok()))
    }
}
