//! CloudTrail Lake's SQL over the tables of event data stores.
//!
//! [`Engine`] holds what all queries share: memory, room on disk and threads.

mod engine;

pub use engine::{Engine, EngineError, EngineOptions};
