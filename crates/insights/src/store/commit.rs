//! A closed minute becomes durable.

use opentrail_model::Position;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::{Store, StoreError};
use crate::fold::{Fold, Step};
use crate::keys::Slot;
use crate::method::{HOUR, Minute, put_varint};
use crate::record::Told;

/// Closed minutes whose counts are kept for a restart: each key's state is at most an hour old.
const REDO: u32 = 2 * HOUR;
/// Each key has its turn in one minute of an hour. So many keys that came one after another have the same: their states lie in the same pages
/// of the file, which are then written once an hour rather than in each minute.
const NEIGHBOURS: u64 = 64;

/// Rows of a statement: each statement is a hand-over to the file's thread.
const ROWS: usize = 100;

/// What of a step goes to the file: made with the fold at hand, written without it.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    minute: Minute,
    position: Position,
    meta: Meta,
    counts: Vec<u8>,
    accounts: Vec<(String, u32, u64)>,
    keys: Vec<KeyRow>,
    evicted: Vec<u64>,
    states: Vec<(u64, Vec<u8>)>,
    blocks: Vec<(u64, u32, Vec<u8>)>,
    on_clock: Minute,
    /// The switches, when they are others than the file has.
    switches: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Meta {
    open: u32,
    offset: u32,
    last_event: u32,
    next_id: u64,
    total: u64,
    recent: u32,
    observed: Vec<u8>,
}

#[derive(Debug)]
struct KeyRow {
    id: u64,
    account: String,
    region: String,
    event_source: String,
    event_name: String,
    category: &'static str,
    error_code: Option<String>,
    since: u32,
}

impl Minutes {
    /// What a step leaves to write; `position` is that of the last event before the fold's open minute.
    pub(crate) fn of(fold: &Fold, step: &Step, position: Position) -> Self {
        let mut observed = Vec::new();
        fold.observed.write(&mut observed);
        let meta = Meta {
            open: fold.open.unwrap_or_default().0,
            offset: fold.offset,
            last_event: fold.last_event.0,
            next_id: fold.next_id,
            total: fold.observed.total(),
            recent: fold.observed.recent(),
            observed,
        };
        let mut out = Self {
            minute: step.minute,
            position,
            meta,
            counts: step.counts.clone(),
            evicted: step.evicted.clone(),
            on_clock: step.on_clock,
            ..Self::default()
        };
        for account in &step.new_accounts {
            if let Some(entry) = fold.accounts.0.get(account) {
                out.accounts.push((account.to_string(), entry.since.0, entry.before));
            }
        }
        for tracked in step.new_keys.iter().filter_map(|slot| fold.keys.get(*slot)) {
            let key = &tracked.key;
            out.keys.push(KeyRow {
                id: tracked.id,
                account: key.account.to_string(),
                region: key.region.to_string(),
                event_source: key.event_source.to_string(),
                event_name: key.event_name.to_string(),
                category: key.category.as_str(),
                error_code: key.error_code.as_deref().map(str::to_owned),
                since: step.minute.0,
            });
        }
        out.take_states(fold, step);
        out
    }

    /// The same with the state of the switches.
    pub(crate) fn with_switches(self, switches: Option<Vec<u8>>) -> Self {
        Self { switches, ..self }
    }

    fn take_states(&mut self, fold: &Fold, step: &Step) {
        let next = step.minute.next();
        let turn = u64::from(next.0 % HOUR);
        let mut put = |slot: Slot, block: bool| {
            let Some(tracked) = fold.keys.get(slot) else { return };
            let mut state = Vec::with_capacity(1024);
            tracked.write(&fold.texts, &mut state);
            self.states.push((tracked.id, state));
            if block {
                let start = next.back(HOUR);
                let counts = (start.0..next.0).map(|minute| tracked.series.count(Minute(minute)));
                let mut bytes = Vec::with_capacity(HOUR as usize);
                counts.for_each(|count| put_varint(&mut bytes, count.into()));
                self.blocks.push((tracked.id, start.back(fold.offset).0, bytes));
            }
        };
        for (slot, tracked) in fold.keys.iter() {
            let is_turn = tracked.id / NEIGHBOURS % u64::from(HOUR) == turn;
            let has_turn = is_turn && next.since(tracked.series.latest()) <= HOUR;
            if has_turn || step.touched.contains(&slot) {
                put(slot, has_turn);
            }
        }
    }
}

impl Store {
    /// Writes a closed minute, its records and the position, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing was written, or the outcome is unknown; load again.
    pub(crate) async fn commit(&self, minute: Minutes, records: &[Told]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        write_keys(&mut tx, &minute).await?;
        for states in minute.states.chunks(ROWS) {
            let mut insert = QueryBuilder::new("INSERT OR REPLACE INTO key_state ");
            insert.push_values(states, |mut row, (id, state)| {
                row.push_bind(id.cast_signed()).push_bind(state);
            });
            insert.build().execute(&mut *tx).await?;
        }
        for blocks in minute.blocks.chunks(ROWS) {
            let mut insert = QueryBuilder::new("INSERT OR REPLACE INTO minutes ");
            insert.push_values(blocks, |mut row, (id, start, counts)| {
                row.push_bind(id.cast_signed()).push_bind(start).push_bind(counts);
            });
            insert.build().execute(&mut *tx).await?;
        }
        super::insights::write(&mut tx, records).await?;
        super::points::roll_up(&mut tx, minute.on_clock).await?;
        write_meta(&mut tx, &minute).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn write_keys(tx: &mut Transaction<'_, Sqlite>, minute: &Minutes) -> Result<(), StoreError> {
    for (account, since, before) in &minute.accounts {
        sqlx::query("INSERT OR REPLACE INTO account VALUES (?, ?, ?)")
            .bind(account)
            .bind(since)
            .bind(before.cast_signed())
            .execute(&mut **tx)
            .await?;
    }
    for keys in minute.keys.chunks(ROWS) {
        let mut insert = QueryBuilder::new("INSERT OR REPLACE INTO key ");
        insert.push_values(keys, |mut row, key| {
            row.push_bind(key.id.cast_signed())
                .push_bind(&key.account)
                .push_bind(&key.region)
                .push_bind(&key.event_source)
                .push_bind(&key.event_name)
                .push_bind(key.category)
                .push_bind(&key.error_code)
                .push_bind(key.since)
                .push_bind(minute.on_clock.day());
        });
        insert.build().execute(&mut **tx).await?;
    }
    for id in &minute.evicted {
        for statement in FORGET {
            sqlx::query(statement).bind(id.cast_signed()).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

async fn write_meta(tx: &mut Transaction<'_, Sqlite>, minute: &Minutes) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO redo VALUES (?, ?, ?, ?)")
        .bind(minute.minute.0)
        .bind(minute.meta.total.cast_signed())
        .bind(minute.meta.recent)
        .bind(&minute.counts)
        .execute(&mut **tx)
        .await?;
    // By how many there are, not by their time: minutes that nobody saw are no reason to forget.
    sqlx::query("DELETE FROM redo WHERE minute <= (SELECT minute FROM redo ORDER BY minute DESC LIMIT 1 OFFSET ?)")
        .bind(REDO)
        .execute(&mut **tx)
        .await?;
    if let Some(switches) = &minute.switches {
        sqlx::query("INSERT OR REPLACE INTO switches VALUES (1, ?)").bind(switches).execute(&mut **tx).await?;
    }
    let meta = &minute.meta;
    sqlx::query("INSERT OR REPLACE INTO meta VALUES (1, ?, ?, ?, ?, ?, ?)")
        .bind(minute.position.0.cast_signed())
        .bind(meta.open)
        .bind(meta.offset)
        .bind(meta.last_event)
        .bind(meta.next_id.cast_signed())
        .bind(&meta.observed)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// What goes with a key.
const FORGET: [&str; 4] = [
    "DELETE FROM key WHERE id = ?",
    "DELETE FROM key_state WHERE id = ?",
    "DELETE FROM minutes WHERE key = ?",
    "DELETE FROM days WHERE key = ?",
];
