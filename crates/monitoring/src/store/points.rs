use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;
use opentrail_model::{AccountId, Region, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::series::SeriesName;
use super::{Store, StoreError, Tier, Writing, visible_from};
use crate::distribution::Distribution;
use crate::metric::{Datum, MetricName, Resolution, Unit};
use crate::summary::Summary;

/// Whose metrics, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
}

/// From when to when, in periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Seconds since the epoch, inclusive; periods are counted from here.
    pub(crate) start: i64,
    /// Exclusive.
    pub(crate) end: i64,
    /// Seconds, at least 1.
    pub(crate) period: i64,
}

impl Span {
    /// The start of the period that `time` lies in.
    pub(crate) fn period_of(self, time: i64) -> i64 {
        self.start + (time - self.start).div_euclid(self.period) * self.period
    }

    /// The starts of all periods.
    pub(crate) fn periods(self) -> impl DoubleEndedIterator<Item = i64> + Clone {
        let count = (self.end - self.start).max(0).div_euclid(self.period)
            + i64::from((self.end - self.start).max(0).rem_euclid(self.period) > 0);
        (0..count).map(move |i| self.start + i * self.period)
    }
}

/// What became of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Values that are in the file.
    pub kept: usize,
    /// Values older than anything is kept.
    pub expired: usize,
    /// Values of metrics that would be more than their account may have.
    pub refused: usize,
}

impl Store {
    /// Adds data within a transaction.
    pub(crate) async fn add(
        &self,
        writing: &mut Writing<'_>,
        data: &[Datum],
        now: Timestamp,
    ) -> Result<Stored, StoreError> {
        let transaction = writing.transaction();
        let mut stored = Stored::default();
        let mut points: HashMap<(i64, Tier, i64), Summary> = HashMap::new();
        for datum in data {
            let finest = match datum.resolution {
                Resolution::High => Tier::Second,
                Resolution::Standard => Tier::Minute,
            };
            let Some(tier) = finest.keeping(datum.time, now) else {
                stored.expired += 1;
                continue;
            };
            let Some(id) = self.series_id(transaction, SeriesName::of(datum), datum.time).await? else {
                stored.refused += 1;
                continue;
            };
            stored.kept += 1;
            merge(&mut points, (id, tier, floor(datum.time.as_secs(), tier)), &datum.values);
        }
        for ((series, tier, time), values) in points {
            upsert(transaction, series, tier, time, values).await?;
        }
        Ok(stored)
    }

    /// The values of a metric by period; of all units when none is given. What lies further back than the period's
    /// resolution is kept is not there.
    pub(crate) async fn read(
        &self,
        scope: &Scope,
        metric: &MetricName,
        unit: Option<Unit>,
        span: Span,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, Summary>, StoreError> {
        let by_unit = self.read_by_unit(scope, metric, unit, span, now).await?;
        let mut periods: BTreeMap<i64, Summary> = BTreeMap::new();
        for ((_, period), values) in by_unit {
            periods.entry(period).and_modify(|all| all.merge(&values)).or_insert(values);
        }
        Ok(periods)
    }

    /// As [`Self::read`], each unit by itself.
    pub(crate) async fn read_by_unit(
        &self,
        scope: &Scope,
        metric: &MetricName,
        unit: Option<Unit>,
        span: Span,
        now: Timestamp,
    ) -> Result<BTreeMap<(Unit, i64), Summary>, StoreError> {
        let from = span.start.max(visible_from(span.period, now).as_secs());
        let mut periods: BTreeMap<(Unit, i64), Summary> = BTreeMap::new();
        let mut rows = sqlx::query(
            "SELECT unit, time, count, sum, min, max, distribution FROM series JOIN point ON point.series = series.id
             WHERE account = ?1 AND region = ?2 AND namespace = ?3 AND name = ?4 AND dimensions = ?5
               AND (?6 IS NULL OR unit = ?6) AND time >= ?7 AND time < ?8",
        )
        .bind(scope.account.to_string())
        .bind(scope.region.as_str())
        .bind(&metric.namespace)
        .bind(&metric.name)
        .bind(metric.dimensions_text())
        .bind(unit.map(Unit::as_str))
        .bind(from)
        .bind(span.end)
        .fetch(self.pool());
        while let Some(row) = rows.try_next().await? {
            let unit = Unit::from_name(row.try_get("unit")?)
                .ok_or_else(|| StoreError::Damaged { what: format!("a unit of {metric}") })?;
            let values = summary(&row)?;
            let period = span.period_of(row.try_get("time")?);
            periods.entry((unit, period)).and_modify(|all| all.merge(&values)).or_insert(values);
        }
        Ok(periods)
    }
}

fn merge(points: &mut HashMap<(i64, Tier, i64), Summary>, at: (i64, Tier, i64), values: &Summary) {
    points.entry(at).and_modify(|all| all.merge(values)).or_insert_with(|| values.clone());
}

pub(super) fn floor(time: i64, tier: Tier) -> i64 {
    time.div_euclid(tier.secs()) * tier.secs()
}

/// Merges values into the point that there may be.
pub(super) async fn upsert(
    transaction: &mut Transaction<'_, Sqlite>,
    series: i64,
    tier: Tier,
    time: i64,
    mut values: Summary,
) -> Result<(), StoreError> {
    let row =
        sqlx::query("SELECT count, sum, min, max, distribution FROM point WHERE series = ? AND time = ? AND tier = ?")
            .bind(series)
            .bind(time)
            .bind(tier.secs())
            .fetch_optional(&mut **transaction)
            .await?;
    if let Some(row) = row {
        let mut all = summary(&row)?;
        all.merge(&values);
        values = all;
    }
    sqlx::query(
        "INSERT OR REPLACE INTO point (series, time, tier, count, sum, min, max, distribution)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(series)
    .bind(time)
    .bind(tier.secs())
    .bind(values.count)
    .bind(values.sum)
    .bind(values.min)
    .bind(values.max)
    .bind(values.distribution.as_ref().map(Distribution::to_bytes))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A point's values.
pub(super) fn summary(row: &SqliteRow) -> Result<Summary, StoreError> {
    let distribution = row.try_get::<Option<Vec<u8>>, _>("distribution")?;
    let damaged = || StoreError::Damaged { what: "a point's distribution".to_owned() };
    Ok(Summary {
        count: row.try_get("count")?,
        sum: row.try_get("sum")?,
        min: row.try_get("min")?,
        max: row.try_get("max")?,
        distribution: distribution.map(|bytes| Distribution::from_bytes(&bytes).ok_or_else(damaged)).transpose()?,
    })
}
