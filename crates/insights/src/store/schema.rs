//! The tables of `insights.sqlite`.

/// The statements that make what is not there yet.
///
/// - `meta`: one row; where the fold stands.
/// - `switches`: for whom Insights is switched on, as of the same position.
/// - `account`, `key`, `key_state`: what is known, each key's state as of some minute of the last hour.
/// - `redo`: the counts of the last minutes, from which each key's state is brought up to date.
/// - `minutes`: an hour of a key's counts by the minute (15 days), `days`: a day of them by five minutes and by the hour (90 days).
/// - `insight`: the records that were told (90 days).
pub(super) const SCHEMA: [&str; 10] = [
    "CREATE TABLE IF NOT EXISTS meta (
         id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL, open INTEGER NOT NULL, clock_offset INTEGER NOT NULL,
         last_event INTEGER NOT NULL, next_id INTEGER NOT NULL, observed BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS switches (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS account (account TEXT PRIMARY KEY, since INTEGER NOT NULL, before INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS key (
         id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, event_source TEXT NOT NULL, event_name TEXT NOT NULL,
         category TEXT NOT NULL, error_code TEXT, since INTEGER NOT NULL, rolled_up INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS key_by_name ON key (account, region, event_source, event_name)",
    "CREATE TABLE IF NOT EXISTS key_state (id INTEGER PRIMARY KEY, state BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS redo (minute INTEGER PRIMARY KEY, total INTEGER NOT NULL, recent INTEGER NOT NULL, counts BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS minutes (
         key INTEGER NOT NULL, start INTEGER NOT NULL, counts BLOB NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS days (
         key INTEGER NOT NULL, day INTEGER NOT NULL, fives BLOB, hours BLOB NOT NULL, PRIMARY KEY (key, day)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS insight (
         event_id TEXT PRIMARY KEY, shared_id TEXT NOT NULL, key INTEGER NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL,
         category TEXT NOT NULL, source TEXT, time INTEGER NOT NULL, event_source TEXT NOT NULL, event_name TEXT NOT NULL,
         state TEXT NOT NULL, expected REAL NOT NULL, deviation REAL NOT NULL, record TEXT NOT NULL)",
];

/// The way to an account's records, newest first.
pub(super) const INSIGHT_INDEX: &str = "CREATE INDEX IF NOT EXISTS insight_by_time ON insight (account, region, time)";
