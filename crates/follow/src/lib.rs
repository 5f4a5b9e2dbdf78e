//! Following: a bucket to which a trail elsewhere delivers, as if what it logs were recorded here.
//!
//! A [`Source`] is a `[[follow]]` of the configuration. Its follower looks at the bucket again and again, reads the log
//! files that are new, and puts their records into the journal, each batch closed with a [`Mark`] of the files that
//! they are of. [`Fold`] makes documents of the marks. So a file is taken if and only if its records are there,
//! whenever the server is killed. (ADR 28.)
//!
//! Read `mark` and `fold` (what is kept), `follower` and `looking` (the life of a source), then `listing` (what is new)
//! and `taking` (how it is taken), at last `queue` and `notice` (being told what is new).

mod documents;
mod fold;
mod follow;
mod follower;
mod key;
mod listing;
mod looking;
mod mark;
mod notice;
mod queue;
mod report;
mod seams;
mod source;
mod taking;

#[cfg(test)]
mod tests;

pub use fold::Fold;
pub use follow::{Follow, FollowDeps, FollowOptions, Phase};
pub use mark::{Counts, Mark};
pub use report::{FailureReport, SourceReport};
pub use seams::{Message, OpenError, Queue, QueueError, Surroundings};
pub use source::{Source, Start};
