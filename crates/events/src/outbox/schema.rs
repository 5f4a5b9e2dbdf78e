//! The tables of the outbox.

/// Made when they are not there.
///
/// An `event` is stored once however many targets get it, and goes with the last `invocation` of it. An invocation is
/// found by its queue and the time that it is due. `letter` makes it a dead letter. A `turn` is when a scheduled rule was
/// last due. A chunk of an archive has events of times from `first` to `last`; a `replay` has come up to a chunk.
pub(super) const TABLES: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS position (projection TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS invocation (
         id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, due INTEGER NOT NULL, created INTEGER NOT NULL,
         attempts INTEGER NOT NULL, hops INTEGER NOT NULL, event INTEGER NOT NULL, rule TEXT NOT NULL,
         target BLOB NOT NULL, letter BLOB
     )",
    "CREATE TABLE IF NOT EXISTS turn (rule TEXT PRIMARY KEY, since INTEGER NOT NULL, due INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS archived (
         id INTEGER PRIMARY KEY AUTOINCREMENT, archive TEXT NOT NULL, received INTEGER NOT NULL, first INTEGER NOT NULL,
         last INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL, chunk BLOB NOT NULL
     )",
    "CREATE INDEX IF NOT EXISTS archived_of ON archived (archive, id, first, last, received, events, bytes)",
    "CREATE TABLE IF NOT EXISTS replay (replay TEXT PRIMARY KEY, chunk INTEGER NOT NULL, reached INTEGER) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS invocation_due ON invocation (queue, due, id)",
];

/// Tells whether an event has an invocation left.
pub(super) const EVENT_INDEX: &str = "CREATE INDEX IF NOT EXISTS invocation_event ON invocation (event)";
