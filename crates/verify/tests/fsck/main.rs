//! Data directories made by the real writers, then damaged: `fsck` names each damage, and finds nothing in a sound one.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs, reason = "tests")]

mod catalog;
mod delivery;
mod history;
mod journal;
mod stores;
mod whole;
mod world;
