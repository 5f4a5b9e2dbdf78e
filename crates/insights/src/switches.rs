//! For whom Insights is switched on.

use std::collections::HashMap;
use std::fmt;

use opentrail_event::Control;
use opentrail_model::AccountId;
use parking_lot::RwLock;

use crate::key::{Category, InsightType};
use crate::method::Sensitivity;

/// How Insights is switched on for an account, a category and a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// How readily it tells.
    pub sensitivity: Sensitivity,
    /// For data events the ARNs of the trails that have it switched on, each of which gets records of its own; empty for
    /// management events, whose records any trail's selectors take.
    pub sources: Vec<String>,
}

/// Answers for whom Insights is switched on.
///
/// Only what is switched on is counted, so that a baseline begins when it is switched on. So that a replay of the journal gives the same
/// Insights, changes are taken from the journal's controls ([`Self::change`]), which come in their place among the events.
pub trait Switches: fmt::Debug + Send + Sync + 'static {
    /// How it is switched on; `None` when it is not.
    fn find(&self, account: AccountId, category: Category, insight_type: InsightType) -> Option<Switch>;

    /// Folds in a change of configuration.
    fn change(&self, control: &Control);
}

/// Switches in memory, for whom sets them by hand: tests, replays, a server with one setting for all.
#[derive(Debug, Default)]
pub struct SwitchTable(RwLock<HashMap<(AccountId, Category, InsightType), Switch>>);

impl SwitchTable {
    /// Switches on.
    pub fn set(&self, account: AccountId, category: Category, insight_type: InsightType, switch: Switch) {
        self.0.write().insert((account, category, insight_type), switch);
    }

    /// Switches off.
    pub fn clear(&self, account: AccountId, category: Category, insight_type: InsightType) {
        self.0.write().remove(&(account, category, insight_type));
    }
}

impl Switches for SwitchTable {
    fn find(&self, account: AccountId, category: Category, insight_type: InsightType) -> Option<Switch> {
        self.0.read().get(&(account, category, insight_type)).cloned()
    }

    fn change(&self, _: &Control) {}
}
