//! Operations on CloudTrail Insights: for whom it is switched on, what it found, the counts behind it.

mod data;
mod get_insight_selectors;
mod list_insights_data;
mod list_insights_metric_data;
mod put_insight_selectors;
mod shapes;
mod target;

pub(crate) use get_insight_selectors::get_insight_selectors;
pub(crate) use list_insights_data::list_insights_data;
pub(crate) use list_insights_metric_data::list_insights_metric_data;
pub(crate) use put_insight_selectors::put_insight_selectors;
pub(crate) use target::InsightError;
