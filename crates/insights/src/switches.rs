//! For whom Insights is switched on.

use std::collections::HashMap;
use std::fmt;

use opentrail_event::Control;
use opentrail_model::AccountId;
use parking_lot::RwLock;

use crate::key::{Category, InsightType};
use crate::method::Sensitivity;

/// How Insights is switched on for an account, a Region, a category and a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// How readily it tells.
    pub sensitivity: Sensitivity,
    /// Whether a trail has it switched on for management events: a record that names no source, which trails take by their selectors.
    pub trails: bool,
    /// The ARNs of the trails that have it switched on for data events; each gets records of its own.
    pub data_trails: Vec<String>,
    /// The ARNs of the event data stores that have it switched on; each gets records of its own, in the form of event data stores.
    pub stores: Vec<String>,
}

/// What is stored of the switches cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed switches")]
pub struct MalformedSwitches;

/// Answers for whom Insights is switched on.
///
/// Only what is switched on is counted, so that a baseline begins when it is switched on. So that a replay of the journal gives the same
/// Insights, changes are taken from the journal's controls ([`Self::change`]), which come in their place among the events, and where they
/// have led to is stored with each minute ([`Self::state`]).
pub trait Switches: fmt::Debug + Send + Sync + 'static {
    /// How it is switched on; `None` when it is not.
    fn find(&self, account: AccountId, region: &str, category: Category, insight_type: InsightType) -> Option<Switch>;

    /// Whether it is switched on: asked for each call.
    fn is_on(&self, account: AccountId, region: &str, category: Category, insight_type: InsightType) -> bool {
        self.find(account, region, category, insight_type).is_some()
    }

    /// Folds in a change of configuration.
    fn change(&self, control: &Control);

    /// What the changes so far have led to, for [`Self::restore`].
    fn state(&self) -> Vec<u8>;

    /// Puts the state back; empty when nothing was stored.
    ///
    /// # Errors
    /// [`MalformedSwitches`].
    fn restore(&self, state: &[u8]) -> Result<(), MalformedSwitches>;
}

/// Switches in memory, the same in all Regions, for whom sets them by hand: tests, replays, benches.
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
    fn find(&self, account: AccountId, _: &str, category: Category, insight_type: InsightType) -> Option<Switch> {
        self.0.read().get(&(account, category, insight_type)).cloned()
    }

    fn change(&self, _: &Control) {}

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&self, _: &[u8]) -> Result<(), MalformedSwitches> {
        Ok(())
    }
}
