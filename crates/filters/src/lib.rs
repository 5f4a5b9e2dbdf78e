//! CloudWatch Logs' filter patterns: the language of metric filters, subscription filters, `FilterLogEvents` and `aws
//! logs tail --filter-pattern`. (CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription
//! filters, filter log events, and Live Tail".)
//!
//! A [`FilterPattern`] is one of four kinds: empty, which everything matches; words (`words`); columns of a line
//! (`columns`); conditions on a JSON object (`json`). Values and their comparison are the same in the latter two
//! (`value`, `number`, `regex`), and so are `&&` and `||` (`expression`).
//!
//! A [`FilterSet`] asks many patterns about one message. The message is walked once ([`walk`], of use to others that
//! read JSON without building it), and `scan` takes the values at the `paths` that any of the patterns names; `needs` says which patterns can match at all. A single pattern goes
//! the same way, as a set of its own.
//!
//! Patterns and messages may be hostile: no nesting of either makes anything recurse without a bound, and regular
//! expressions take time linear in the message.

mod columns;
mod cursor;
mod error;
mod expression;
mod found;
mod json;
mod needs;
mod number;
mod paths;
mod pattern;
mod regex;
mod scan;
mod set;
mod text;
mod value;
pub mod walk;
mod words;

pub use error::{PatternError, Problem};
pub use json::Selector;
pub use pattern::FilterPattern;
pub use set::{FilterSet, Scratch};
pub use text::unescape;
