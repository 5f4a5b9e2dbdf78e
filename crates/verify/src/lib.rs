//! Checks delivered log files and digests: nothing altered, nothing missing, nothing slipped in.
//!
//! [`verify`] gives the verdicts of `aws cloudtrail validate-logs` and more (a chain cut short, a missing hour, a
//! log file that no digest lists), in parallel, from a bucket or from a copy on disk. It shares no code with the
//! parts that write log files and digests, so that a mistake there is not repeated here. [`fsck`] does the same for a
//! whole data directory, [`hash_query_results`] for the saved results of a query.

mod chain;
mod digest;
mod evidence;
mod fsck;
mod keys;
mod log_file;
mod query_results;
mod report;
mod seals;
#[cfg(test)]
mod tests;

pub use chain::{Range, regions, verify};
pub use evidence::{Evidence, EvidenceError, Stored};
pub use fsck::{Area, AreaReport, FsckError, FsckFinding, FsckOptions, FsckReport, fsck};
pub use keys::{KeysError, PublicKeys};
pub use query_results::{HashedResults, ResultsError, ResultsPlace, VerifiedResults, hash_query_results};
pub use report::{ChainReport, Finding, Problem, Report};
pub use seals::DataKey;
