use opentrail_model::{AdvancedEventSelector, SelectorField};
use serde::{Deserialize, Serialize};

/// Which kind of events a store collects: categories of different kinds are never mixed, and a store's kind never
/// changes. (User Guide, "CloudTrail Lake event data stores".)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `Management`, `Data`, `NetworkActivity`.
    CloudTrail,
    /// `Insight`.
    Insight,
    /// `ConfigurationItem`.
    ConfigurationItem,
    /// `Evidence`, of Audit Manager.
    Evidence,
    /// `ActivityAuditLog`: events from outside AWS.
    ActivityAuditLog,
}

impl Kind {
    /// The kind of valid selectors, which have one.
    pub fn of(selectors: &[AdvancedEventSelector]) -> Self {
        let fields = selectors.iter().flat_map(|selector| &selector.field_selectors);
        let category =
            fields.filter(|field| field.field == SelectorField::EventCategory).find_map(|field| field.equals.first());
        match category.map(String::as_str) {
            Some("Insight") => Self::Insight,
            Some("ConfigurationItem") => Self::ConfigurationItem,
            Some("Evidence") => Self::Evidence,
            Some("ActivityAuditLog") => Self::ActivityAuditLog,
            _ => Self::CloudTrail,
        }
    }

    /// Whether ingestion can be started and stopped. (API Reference, StartEventDataStoreIngestion.)
    pub fn can_stop(self) -> bool {
        matches!(self, Self::CloudTrail | Self::ConfigurationItem)
    }
}
