//! Counts over time: what `ListInsightsMetricData` answers.
//!
//! (API Reference, `ListInsightsMetricData`: points of 60 seconds for 15 days, of 300 for 63, of 3,600 for 90.)

use std::collections::{BTreeMap, BTreeSet};

use opentrail_model::{AccountId, Timestamp};
use sqlx::{Row, Sqlite, Transaction};

use super::{Store, StoreError};
use crate::key::{Category, Key};
use crate::method::{Bytes, DAY, HOUR, Minute, put_varint};

/// Days that each kind of point is kept.
const MINUTES_KEPT: u32 = 15;
const FIVES_KEPT: u32 = 63;
const HOURS_KEPT: u32 = 90;

/// The length of a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// 60 seconds.
    Minute,
    /// 300 seconds.
    FiveMinutes,
    /// 3,600 seconds.
    #[default]
    Hour,
}

impl Period {
    /// The period of so many seconds; `None` when there is none.
    pub fn of_seconds(seconds: u32) -> Option<Self> {
        [Self::Minute, Self::FiveMinutes, Self::Hour].into_iter().find(|period| period.minutes() * 60 == seconds)
    }

    fn minutes(self) -> u32 {
        match self {
            Self::Minute => 1,
            Self::FiveMinutes => 5,
            Self::Hour => HOUR,
        }
    }

    fn days_kept(self) -> u32 {
        match self {
            Self::Minute => MINUTES_KEPT,
            Self::FiveMinutes => FIVES_KEPT,
            Self::Hour => HOURS_KEPT,
        }
    }
}

/// Whether points without calls are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zeros {
    /// `NonZeroData`.
    #[default]
    LeftOut,
    /// `FillWithZeros`.
    Filled,
}

/// Which counts are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: String,
    /// `EventSource`.
    pub event_source: String,
    /// `EventName`.
    pub event_name: String,
    /// `Data` when a trail is named, else `Management`.
    pub category: Category,
    /// `ErrorCode`, for error rates.
    pub error_code: Option<String>,
    /// The first moment that counts.
    pub start: Timestamp,
    /// The first moment that does not.
    pub end: Timestamp,
    /// The length of a point.
    pub period: Period,
    /// Whether points without calls are told.
    pub zeros: Zeros,
    /// Points in the answer, at most.
    pub limit: usize,
}

impl MetricQuery {
    pub(crate) fn key(&self) -> Key {
        Key {
            account: self.account,
            region: self.region.as_str().into(),
            event_source: self.event_source.as_str().into(),
            event_name: self.event_name.as_str().into(),
            category: self.category,
            error_code: self.error_code.as_deref().map(Into::into),
        }
    }
}

/// Counts over time, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricSeries {
    /// The beginning of each point and the calls in it.
    pub points: Vec<(Timestamp, f64)>,
    /// Where to go on, as the next query's start; `None` at the end.
    pub next: Option<Timestamp>,
}

impl Store {
    /// The counts of a key; `recent` holds the minutes that only the fold knows, on the clock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn metric(
        &self,
        query: &MetricQuery,
        now: Timestamp,
        recent: &[(Minute, u32)],
    ) -> Result<MetricSeries, StoreError> {
        let step = query.period.minutes();
        let first = Minute::of(query.start).max(Minute::of(now).back(query.period.days_kept() * DAY));
        // A point counts when its beginning does.
        let first = first.0.div_ceil(step) * step;
        let first = if Minute(first).begins() < query.start { first + step } else { first };
        let end = Minute::of(query.end.min(now) + std::time::Duration::from_millis(59_999)).0;
        let counts = self.counts(&query.key(), Minute(first), Minute(end), query.period, recent).await?;
        let wanted: Box<dyn Iterator<Item = (u32, u64)> + Send> = match query.zeros {
            Zeros::LeftOut => Box::new(counts.into_iter().filter(|(_, count)| *count > 0)),
            Zeros::Filled => {
                Box::new((first..end).step_by(step as usize).map(move |at| (at, counts.get(&at).copied().unwrap_or(0))))
            }
        };
        let mut series = MetricSeries::default();
        for (at, count) in wanted.filter(|(at, _)| (first..end).contains(at)) {
            if series.points.len() == query.limit {
                series.next = Some(Minute(at).begins());
                break;
            }
            series.points.push((Minute(at).begins(), count as f64));
        }
        Ok(series)
    }

    async fn counts(
        &self,
        key: &Key,
        first: Minute,
        end: Minute,
        period: Period,
        recent: &[(Minute, u32)],
    ) -> Result<BTreeMap<u32, u64>, StoreError> {
        let step = period.minutes();
        let mut counts = BTreeMap::new();
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM key WHERE account = ? AND region = ? AND event_source = ? AND event_name = ? AND category = ?
             AND error_code IS ?",
        )
        .bind(key.account.to_string())
        .bind(&*key.region)
        .bind(&*key.event_source)
        .bind(&*key.event_name)
        .bind(key.category.as_str())
        .bind(key.error_code.as_deref())
        .fetch_optional(&self.pool)
        .await?;
        let mut whole_days = BTreeSet::new();
        let mut minutes = BTreeMap::new();
        if let Some(id) = id {
            if period != Period::Minute {
                let query = "SELECT day, fives, hours FROM days WHERE key = ? AND day BETWEEN ? AND ?";
                for row in sqlx::query(query).bind(id).bind(first.day()).bind(end.day()).fetch_all(&self.pool).await? {
                    let day: u32 = row.try_get("day")?;
                    let column = if period == Period::Hour { "hours" } else { "fives" };
                    let stored: Option<Vec<u8>> = row.try_get(column)?;
                    for (at, count) in (day * DAY..).step_by(step as usize).zip(varints(&stored.unwrap_or_default())?) {
                        counts.insert(at, count);
                    }
                    whole_days.insert(day);
                }
            }
            minutes = stored_minutes(&self.pool, id, first, end).await?;
        }
        minutes.extend(recent.iter().map(|(minute, count)| (minute.0, u64::from(*count))));
        for (minute, count) in minutes.into_iter().filter(|(at, _)| !whole_days.contains(&(at / DAY))) {
            *counts.entry(minute / step * step).or_default() += count;
        }
        Ok(counts)
    }
}

async fn stored_minutes(
    from: impl sqlx::Executor<'_, Database = Sqlite>,
    id: i64,
    first: Minute,
    end: Minute,
) -> Result<BTreeMap<u32, u64>, StoreError> {
    let rows =
        sqlx::query("SELECT start, counts FROM minutes WHERE key = ? AND start > ? AND start < ? ORDER BY start")
            .bind(id)
            .bind(i64::from(first.0) - i64::from(HOUR))
            .bind(end.0)
            .fetch_all(from)
            .await?;
    let mut minutes = BTreeMap::new();
    for row in rows {
        let (start, stored): (u32, Vec<u8>) = (row.try_get("start")?, row.try_get("counts")?);
        minutes.extend((start..).zip(varints(&stored)?).filter(|(at, _)| (first.0..end.0).contains(at)));
    }
    Ok(minutes)
}

fn varints(stored: &[u8]) -> Result<Vec<u64>, StoreError> {
    let mut bytes = Bytes(stored);
    let mut out = Vec::new();
    while !bytes.is_empty() {
        out.push(bytes.varint().map_err(StoreError::malformed("counts"))?);
    }
    Ok(out)
}

/// Rolls up the days that are over of those keys whose turn it is, once a day each, and lets go of what is too old.
pub(super) async fn roll_up(tx: &mut Transaction<'_, Sqlite>, now: Minute) -> Result<(), StoreError> {
    // The last hour of a day is written within the hour after it.
    let today = now.back(HOUR + 1).day();
    let due = sqlx::query("SELECT id, rolled_up FROM key WHERE id % ? = ? AND rolled_up < ?")
        .bind(DAY)
        .bind(now.0 % DAY)
        .bind(today)
        .fetch_all(&mut **tx)
        .await?;
    for row in due {
        let (id, from): (i64, u32) = (row.try_get("id")?, row.try_get("rolled_up")?);
        for day in from.max(today.saturating_sub(MINUTES_KEPT))..today {
            roll_up_day(tx, id, day).await?;
        }
        sqlx::query("UPDATE key SET rolled_up = ? WHERE id = ?").bind(today).bind(id).execute(&mut **tx).await?;
        let old = |days: u32| today.saturating_sub(days);
        let minutes = sqlx::query("DELETE FROM minutes WHERE key = ? AND start < ?").bind(id);
        minutes.bind(old(MINUTES_KEPT) * DAY).execute(&mut **tx).await?;
        let fives =
            sqlx::query("UPDATE days SET fives = NULL WHERE key = ? AND day < ? AND fives IS NOT NULL").bind(id);
        fives.bind(old(FIVES_KEPT)).execute(&mut **tx).await?;
        let hours = sqlx::query("DELETE FROM days WHERE key = ? AND day < ?").bind(id);
        hours.bind(old(HOURS_KEPT)).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn roll_up_day(tx: &mut Transaction<'_, Sqlite>, id: i64, day: u32) -> Result<(), StoreError> {
    let minutes = stored_minutes(&mut **tx, id, Minute(day * DAY), Minute((day + 1) * DAY)).await?;
    if minutes.values().all(|count| *count == 0) {
        return Ok(());
    }
    let sums = |step: u32| {
        let mut out = Vec::new();
        for start in (day * DAY..(day + 1) * DAY).step_by(step as usize) {
            put_varint(&mut out, minutes.range(start..start + step).map(|(_, count)| count).sum());
        }
        out
    };
    sqlx::query("INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?)")
        .bind(id)
        .bind(day)
        .bind(sums(5))
        .bind(sums(HOUR))
        .execute(&mut **tx)
        .await?;
    Ok(())
}
