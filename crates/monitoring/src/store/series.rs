use std::collections::HashMap;
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use sqlx::{Row, Sqlite, Transaction};

use super::{Scope, Store, StoreError};
use crate::metric::{Datum, MetricName, Unit};

/// As many series are remembered; then all are forgotten, and found in the file again.
const REMEMBERED: usize = 65_536;

/// The time of a series' newest value is written when it has moved by this much; ListMetrics looks at weeks and hours.
const LAST_STEP_SECS: i64 = 300;

/// Metrics without values for this long are not listed. (API Reference, "ListMetrics".)
const LISTED_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A metric's values of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeriesName {
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) metric: MetricName,
    pub(super) unit: Unit,
}

impl SeriesName {
    pub(super) fn of(datum: &Datum) -> Self {
        let Datum { account, region, metric, unit, .. } = datum;
        Self { account: *account, region: region.clone(), metric: metric.clone(), unit: *unit }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    /// As the file has it.
    last: i64,
}

/// What is known of the table `series`, so that most writes need not ask.
#[derive(Debug, Default)]
pub(super) struct Series {
    known: HashMap<SeriesName, Known>,
    counts: HashMap<AccountId, u64>,
}

impl Series {
    /// After a transaction that was not committed, nothing is known for certain.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Store {
    pub(super) fn forget_series(&self) {
        self.series.lock().forget();
    }

    /// The id of a series that gets a value of `time`; it is made when there is none. `None` when its account has as many
    /// as it may.
    pub(super) async fn series_id(
        &self,
        transaction: &mut Transaction<'_, Sqlite>,
        name: SeriesName,
        time: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let time = time.as_secs();
        let known = self.series.lock().known.get(&name).copied();
        let known = match known {
            Some(known) => known,
            None => match find(transaction, &name).await? {
                Some(known) => known,
                None => {
                    let count = self.count(transaction, name.account).await?;
                    if count >= self.max_series {
                        return Ok(None);
                    }
                    self.series.lock().counts.insert(name.account, count + 1);
                    make(transaction, &name, time).await?
                }
            },
        };
        let id = known.id;
        let moved = time >= known.last + LAST_STEP_SECS;
        if moved {
            let update = sqlx::query("UPDATE series SET last = max(last, ?) WHERE id = ?").bind(time).bind(id);
            update.execute(&mut **transaction).await?;
        }
        let last = if moved { time } else { known.last };
        let mut series = self.series.lock();
        if series.known.len() >= REMEMBERED {
            series.known.clear();
        }
        series.known.insert(name, Known { id, last });
        Ok(Some(id))
    }

    async fn count(&self, transaction: &mut Transaction<'_, Sqlite>, account: AccountId) -> Result<u64, StoreError> {
        let known = self.series.lock().counts.get(&account).copied();
        if let Some(count) = known {
            return Ok(count);
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM series WHERE account = ?")
            .bind(account.to_string())
            .fetch_one(&mut **transaction)
            .await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

async fn find(transaction: &mut Transaction<'_, Sqlite>, name: &SeriesName) -> Result<Option<Known>, StoreError> {
    let row = sqlx::query(
        "SELECT id, last FROM series
         WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ? AND unit = ?",
    )
    .bind(name.account.to_string())
    .bind(name.region.as_str())
    .bind(&name.metric.namespace)
    .bind(&name.metric.name)
    .bind(name.metric.dimensions_text())
    .bind(name.unit.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    row.map(|row| Ok(Known { id: row.try_get("id")?, last: row.try_get("last")? })).transpose()
}

async fn make(transaction: &mut Transaction<'_, Sqlite>, name: &SeriesName, last: i64) -> Result<Known, StoreError> {
    let id = sqlx::query_scalar(
        "INSERT INTO series (account, region, namespace, name, dimensions, unit, last) VALUES (?, ?, ?, ?, ?, ?, ?)
         RETURNING id",
    )
    .bind(name.account.to_string())
    .bind(name.region.as_str())
    .bind(&name.metric.namespace)
    .bind(&name.metric.name)
    .bind(name.metric.dimensions_text())
    .bind(name.unit.as_str())
    .bind(last)
    .fetch_one(&mut **transaction)
    .await?;
    Ok(Known { id, last })
}

/// Which metrics are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    /// Names of dimensions that metrics must have, perhaps with a value.
    pub(crate) dimensions: Vec<(String, Option<String>)>,
    /// Only those with a value within this time.
    pub(crate) active_within: Option<Duration>,
    /// Only those after this one, in the order of namespace, name, dimensions.
    pub(crate) after: Option<(String, String, String)>,
    pub(crate) limit: usize,
}

/// A metric, and its place in the order.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) metric: MetricName,
    pub(crate) place: (String, String, String),
}

impl Store {
    /// The metrics of an account in a Region, in the order of namespace, name, dimensions.
    pub(crate) async fn metrics(
        &self,
        scope: &Scope,
        listing: &Listing,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        const PAGE: i64 = 1000;
        let since = now - listing.active_within.unwrap_or(LISTED_FOR);
        let mut after = listing.after.clone().unwrap_or_default();
        let mut found = Vec::new();
        loop {
            let rows = sqlx::query(
                "SELECT namespace, name, dimensions, max(last) AS last FROM series
                 WHERE account = ?1 AND region = ?2 AND (namespace, name, dimensions) > (?3, ?4, ?5)
                   AND (?6 IS NULL OR namespace = ?6) AND (?7 IS NULL OR name = ?7)
                 GROUP BY namespace, name, dimensions ORDER BY namespace, name, dimensions LIMIT ?8",
            )
            .bind(scope.account.to_string())
            .bind(scope.region.as_str())
            .bind(&after.0)
            .bind(&after.1)
            .bind(&after.2)
            .bind(&listing.namespace)
            .bind(&listing.name)
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await?;
            let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            for row in rows {
                let place: (String, String, String) =
                    (row.try_get("namespace")?, row.try_get("name")?, row.try_get("dimensions")?);
                after = place.clone();
                let (namespace, name) = (place.0.clone(), place.1.clone());
                let metric = MetricName::from_parts(namespace, name, &place.2).ok_or_else(|| StoreError::Damaged {
                    what: format!("the dimensions of {}/{}", place.0, place.1),
                })?;
                let active = row.try_get::<i64, _>("last")? >= since.as_secs();
                if active && has_all(&metric, &listing.dimensions) {
                    found.push(Listed { metric, place });
                    if found.len() == listing.limit {
                        return Ok(found);
                    }
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }
}

fn has_all(metric: &MetricName, wanted: &[(String, Option<String>)]) -> bool {
    wanted.iter().all(|(name, value)| {
        let mut dimensions = metric.dimensions().iter();
        dimensions.any(|(has, with)| has == name && value.as_ref().is_none_or(|value| value == with))
    })
}
