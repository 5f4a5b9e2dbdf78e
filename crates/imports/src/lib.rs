//! Imports: log files of a bucket into an event data store.
//!
//! An [`Import`] is a document of the catalog from StartImport on. [`Imports`] runs it in the background: it walks the bucket
//! in the order of keys ([`Walk`]), reads log files several at a time ([`read_log_file`]), and hands what they have, in
//! chunks, to the store ([`Destinations`]). The store says itself which chunks it has, so that no event is lost and none
//! comes twice, whenever the server is killed. (ADR 25.)
//!
//! Read `import` (what is kept), `run` (the life of an import, crash by crash), `taking` (what is read in which order), then
//! `walk` and `reader`.

mod entry;
mod error;
mod filling;
mod folders;
mod import;
mod imports;
mod log_file;
mod reader;
mod run;
mod seams;
mod taking;
mod walk;
mod window;

#[cfg(test)]
mod tests;

pub use entry::{EntryError, EntryErrorKind, Patience};
pub use error::ImportError;
pub use import::{Failure, FailureStatus, Import, ImportKey, ImportStatus, Origin, Statistics};
pub use imports::{Imports, ImportsDeps, ImportsOptions, NewImport};
pub use log_file::{LogEvent, LogFileError, read_log_file};
pub use reader::{Ahead, Reader};
pub use seams::{Chunk, DestinationError, Destinations, Event, OriginError, Origins};
pub use walk::{Cursor, Object, Scope, Step, Walk};
pub use window::Window;
