//! The method: what counts per minute are normal for a key, when one is unusual, when that is over.
//!
//! Everything here is a pure function of the counts, minute by minute: no clock, no chance, no I/O. A [`Series`] is what is known
//! of one key; [`Series::close`] folds in a minute and says how surprising it was; [`discoveries`] decides over all keys of an
//! account. `docs/adr/0037-how-insights-finds-what-is-unusual.md` gives the reasons and [`Parameters`] the numbers.
//!
//! CloudTrail documents that unusual rates are found by a model of the past 28 days, and not how (User Guide, "Working with
//! CloudTrail Insights"); the method is a choice of ours.

mod codec;
mod discovery;
mod episode;
mod history;
mod level;
mod minute;
mod parameters;
mod peaks;
mod series;
mod spread;
mod tail;

pub(crate) use codec::put_varint;
pub use codec::{Bytes, Malformed};
pub use discovery::discoveries;
pub use episode::{Episode, Phase};
pub use history::{Baseline, Knowledge, Observed};
pub use minute::{DAY, HOUR, Minute, WEEK};
pub use parameters::{Parameters, ParseSensitivityError, Sensitivity};
pub use series::{Closed, Series, Surprise};
pub use spread::WINDOWS;
pub use tail::exponent;
