//! What happened to alarms: kept for 30 days. (API Reference, "DescribeAlarmHistory".)

use std::time::Duration;

use opentrail_model::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;

use super::{Alarm, State};
use crate::store::{Scope, Store, StoreError, Writing};

/// How long it is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// As many items are kept of one account and Region, so that an alarm that flaps does not fill the disk; a choice of ours.
const MAX_ITEMS: i64 = 100_000;
/// An item's data are that long at most, in characters; its summary 255.
const MAX_DATA: usize = 4095;
const MAX_SUMMARY: usize = 255;

/// What an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemType {
    ConfigurationUpdate,
    StateUpdate,
    Action,
}

impl ItemType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConfigurationUpdate => "ConfigurationUpdate",
            Self::StateUpdate => "StateUpdate",
            Self::Action => "Action",
        }
    }
}

/// Something that happened to an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryItem {
    pub(crate) id: i64,
    pub(crate) alarm: String,
    /// `MetricAlarm` or `CompositeAlarm`.
    pub(crate) kind: String,
    pub(crate) time: Timestamp,
    pub(crate) item: String,
    pub(crate) summary: String,
    pub(crate) data: String,
}

/// An item that is yet to be written.
#[derive(Clone, Debug)]
pub(crate) struct NewItem {
    pub(super) scope: Scope,
    pub(super) alarm: String,
    pub(super) kind: &'static str,
    pub(super) time: Timestamp,
    pub(super) item: ItemType,
    pub(super) summary: String,
    pub(super) data: Value,
}

impl NewItem {
    fn of(alarm: &Alarm, time: Timestamp, item: ItemType, summary: String, data: Value) -> Self {
        let scope = Scope { account: alarm.account, region: alarm.region.clone() };
        Self { scope, alarm: alarm.name.clone(), kind: alarm.kind(), time, item, summary, data }
    }

    /// The alarm was created, updated or deleted; `verb` says which.
    pub(super) fn configured(alarm: &Alarm, time: Timestamp, verb: &str) -> Self {
        let (kind, member) = match verb {
            "created" => ("Create", "createdAlarm"),
            "deleted" => ("Delete", "deletedAlarm"),
            _ => ("Update", "updatedAlarm"),
        };
        let data = json!({ "version": "1.0", "type": kind, member: { "alarmName": alarm.name, "alarmArn": alarm.arn(),
            "definition": alarm.definition } });
        let summary = format!("Alarm \"{}\" {verb}", alarm.name);
        Self::of(alarm, time, ItemType::ConfigurationUpdate, summary, data)
    }

    /// The alarm went from one state into another.
    pub(super) fn state(alarm: &Alarm, old: &State, new: &State) -> Self {
        let told = |state: &State| {
            let data = state.reason_data.as_deref().and_then(|data| serde_json::from_str::<Value>(data).ok());
            let mut told = json!({ "stateValue": state.value, "stateReason": state.reason });
            if let Some(data) = data {
                told["stateReasonData"] = data;
            }
            told
        };
        let mut data = json!({ "version": "1.0", "oldState": told(old), "newState": told(new) });
        // What explains the old state is in an earlier item.
        if data.to_string().len() > MAX_DATA
            && let Some(state) = data["oldState"].as_object_mut()
        {
            state.remove("stateReasonData");
        }
        let summary = format!("Alarm updated from {} to {}", old.value, new.value);
        Self::of(alarm, new.updated, ItemType::StateUpdate, summary, data)
    }

    pub(super) async fn write(&self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let cut = |text: String, most: usize| -> String { text.chars().take(most).collect() };
        sqlx::query(
            "INSERT INTO history (account, region, alarm, kind, time, item, summary, data)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.scope.account.to_string())
        .bind(self.scope.region.as_str())
        .bind(&self.alarm)
        .bind(self.kind)
        .bind(self.time.as_millis())
        .bind(self.item.as_str())
        .bind(cut(self.summary.clone(), MAX_SUMMARY))
        .bind(cut(self.data.to_string(), MAX_DATA))
        .execute(&mut **writing.transaction())
        .await?;
        Ok(())
    }
}

/// Which items are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistoryQuery {
    pub(crate) alarm: Option<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) item: Option<String>,
    pub(crate) start: Option<Timestamp>,
    /// Inclusive.
    pub(crate) end: Option<Timestamp>,
    pub(crate) ascending: bool,
    /// Only those after the item of this id, in the order asked for.
    pub(crate) after: Option<i64>,
    pub(crate) limit: usize,
}

impl Store {
    /// Items in the order of what happened, or the newest first.
    pub(crate) async fn history(
        &self,
        scope: &Scope,
        query: &HistoryQuery,
        now: Timestamp,
    ) -> Result<Vec<HistoryItem>, StoreError> {
        let statement = if query.ascending { HISTORY_ASCENDING } else { HISTORY_DESCENDING };
        let start = query.start.unwrap_or(Timestamp::EPOCH).max(now - KEPT);
        let (first, second) = match &query.kinds[..] {
            [] => (Some("MetricAlarm"), Some("CompositeAlarm")),
            kinds => (kinds.first().map(String::as_str), kinds.get(1).map(String::as_str)),
        };
        let after = query.after.unwrap_or(if query.ascending { 0 } else { i64::MAX });
        let rows = sqlx::query(statement)
            .bind(scope.account.to_string())
            .bind(scope.region.as_str())
            .bind(&query.alarm)
            .bind(first)
            .bind(second)
            .bind(&query.item)
            .bind(start.as_millis())
            .bind(query.end.map_or(i64::MAX, Timestamp::as_millis))
            .bind(after)
            .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
            .fetch_all(self.pool())
            .await?;
        let item = |row: &sqlx::sqlite::SqliteRow| {
            Ok(HistoryItem {
                id: row.try_get("id")?,
                alarm: row.try_get("alarm")?,
                kind: row.try_get("kind")?,
                time: Timestamp::from_millis(row.try_get("time")?),
                item: row.try_get("item")?,
                summary: row.try_get("summary")?,
                data: row.try_get("data")?,
            })
        };
        rows.iter().map(item).collect()
    }

    /// Removes what is older than it is kept as of `now`, and what is more than is kept. As with points, a clock that runs
    /// ahead takes nothing away: nothing is older than the newest item makes it.
    pub(crate) async fn forget_history(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut writing = self.writing().await?;
        sqlx::query("DELETE FROM history WHERE time < min(?, (SELECT max(time) FROM history)) - ?")
            .bind(now.as_millis())
            .bind(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX))
            .execute(&mut **writing.transaction())
            .await?;
        sqlx::query(
            "DELETE FROM history WHERE id IN (
                 SELECT id FROM (
                     SELECT id, row_number() OVER (PARTITION BY account, region ORDER BY id DESC) AS place FROM history)
                 WHERE place > ?)",
        )
        .bind(MAX_ITEMS)
        .execute(&mut **writing.transaction())
        .await?;
        writing.commit().await
    }
}

const HISTORY_ASCENDING: &str = "SELECT id, alarm, kind, time, item, summary, data FROM history
    WHERE account = ?1 AND region = ?2 AND (?3 IS NULL OR alarm = ?3) AND kind IN (?4, ?5) AND (?6 IS NULL OR item = ?6)
      AND time >= ?7 AND time <= ?8 AND id > ?9 ORDER BY id LIMIT ?10";

const HISTORY_DESCENDING: &str = "SELECT id, alarm, kind, time, item, summary, data FROM history
    WHERE account = ?1 AND region = ?2 AND (?3 IS NULL OR alarm = ?3) AND kind IN (?4, ?5) AND (?6 IS NULL OR item = ?6)
      AND time >= ?7 AND time <= ?8 AND id < ?9 ORDER BY id DESC LIMIT ?10";
