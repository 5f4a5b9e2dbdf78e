use std::collections::BTreeSet;

use opentrail_model::{InsightCategory, InsightSelector, InsightType};
use opentrail_wire::cloudtrail as wire;

use super::InsightError;

/// Selectors as they are kept. Those without a category watch management events. (API Reference, `InsightSelector`.)
pub(super) fn from_wire(given: Vec<wire::InsightSelector>) -> Result<Vec<InsightSelector>, InsightError> {
    let mut selectors: Vec<InsightSelector> = Vec::with_capacity(given.len());
    for wire::InsightSelector { insight_type, event_categories } in given {
        let insight_type = insight_type.as_deref().and_then(InsightType::parse).ok_or(InsightError::NoType)?;
        if selectors.iter().any(|known| known.insight_type == insight_type) {
            return Err(InsightError::Repeated { insight_type: insight_type.as_str() });
        }
        let given = event_categories.filter(|categories| !categories.is_empty());
        let given = given.unwrap_or_else(|| vec![InsightCategory::Management.as_str().to_owned()]);
        let parse = |category: String| InsightCategory::parse(&category).ok_or(InsightError::Category { category });
        let event_categories = given.into_iter().map(parse).collect::<Result<BTreeSet<_>, _>>()?;
        selectors.push(InsightSelector { insight_type, event_categories });
    }
    Ok(selectors)
}

/// Selectors as they are answered.
pub(super) fn to_wire(selectors: &[InsightSelector]) -> Vec<wire::InsightSelector> {
    let shown = |selector: &InsightSelector| wire::InsightSelector {
        insight_type: Some(selector.insight_type.as_str().to_owned()),
        event_categories: Some(selector.event_categories.iter().map(|category| category.as_str().to_owned()).collect()),
    };
    selectors.iter().map(shown).collect()
}
