use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What about events CloudTrail Insights watches. (API Reference, `InsightSelector`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InsightType {
    /// Calls per minute.
    #[serde(rename = "ApiCallRateInsight")]
    ApiCallRate,
    /// Calls per minute that ended with one error code.
    #[serde(rename = "ApiErrorRateInsight")]
    ApiErrorRate,
}

impl InsightType {
    /// As records and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiCallRate => "ApiCallRateInsight",
            Self::ApiErrorRate => "ApiErrorRateInsight",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::ApiCallRate, Self::ApiErrorRate].into_iter().find(|known| known.as_str() == name)
    }
}

/// Which events Insights watches. (API Reference, `InsightSelector`, `EventCategories`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InsightCategory {
    /// Management events: writes, and for errors reads too.
    Management,
    /// Data events, reads and writes.
    Data,
}

impl InsightCategory {
    /// As records and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Data => "Data",
        }
    }

    /// The category of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Management, Self::Data].into_iter().find(|known| known.as_str() == name)
    }
}

/// An insight type that is switched on, and for which events: at least one category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InsightSelector {
    /// What is watched.
    pub insight_type: InsightType,
    /// Of which events.
    pub event_categories: BTreeSet<InsightCategory>,
}

impl InsightSelector {
    /// Whether one of `selectors` switches on the type for the category.
    pub fn any(selectors: &[Self], insight_type: InsightType, category: InsightCategory) -> bool {
        let is_on =
            |selector: &Self| selector.insight_type == insight_type && selector.event_categories.contains(&category);
        selectors.iter().any(is_on)
    }
}
