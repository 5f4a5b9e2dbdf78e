//! Sigma rules on CloudTrail's records, as they are published.
//!
//! [`read`] takes files apart into [`Rule`]s and refuses, by name and reason, what does not run here. A [`RuleSet`] has
//! rules ready; [`hunt`] runs one over records of the past. [`Sigma`] keeps each account's rules and findings in a file of its
//! own, [`SigmaProjection`] runs the rules along the journal, and [`Announcer`] hands findings on to a [`FindingSink`].
//! Clients load rules and list findings through [`api`].
//!
//! Rules and records may be hostile: sizes are bounded before anything is built of a rule, regular expressions take time
//! linear in the text, no nesting makes anything recurse without a bound, and what correlations remember is bounded.
//! (Sigma Specification 2: Sigma Rules, Modifiers Appendix, Sigma Correlation Rules.)

mod accounts;
mod announcer;
mod api;
mod census;
mod checks;
mod correlate;
mod document;
mod finding;
mod gate;
mod hunt;
mod level;
mod mend;
mod phrase;
mod plan;
mod projection;
mod record;
mod refused;
mod rule;
mod run;
mod service;
mod set;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use correlate::Correlator;

pub use announcer::{
    AnnounceError, Announcer, EVENT_DETAIL_TYPE, EVENT_SOURCE, FindingSink, METRIC_NAMESPACE, NotTaken,
};
pub use api::{
    Answered, MOST_BODY_BYTES, Operation, OtherAccounts, OwnAccountOnly, Reply, SigmaApi, Statements, Unanswered, api,
};
pub use finding::{Correlated, Finding};
pub use hunt::{Hunted, hunt};
pub use level::{Level, ParseLevelError};
pub use projection::SigmaProjection;
pub use record::Unreadable;
pub use refused::{Reason, Refused};
pub use rule::{Rule, RuleHead};
pub use service::{ChangeError, Loaded, Removed, Settings, Sigma};
pub use set::{MOST_RULES, RuleSet, read};
pub use store::{FindingPage, FindingQuery, StoreError, StoredFinding, StoredRule};
