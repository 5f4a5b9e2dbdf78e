use opentrail_wire::cloudtrail::{GetInsightSelectorsInput, GetInsightSelectorsOutput, Operation};

use super::InsightError;
use super::shapes::to_wire;
use super::target::{Target, declared, target};
use crate::context::{Context, Outcome};

const OPERATION: Operation = Operation::GetInsightSelectors;

/// What Insights watches for a trail or an event data store.
pub(crate) async fn get_insight_selectors(
    cx: Context<'_>,
    input: GetInsightSelectorsInput,
) -> Outcome<GetInsightSelectorsOutput> {
    let named = (input.trail_name.as_deref(), input.event_data_store.as_deref());
    match target(&cx, OPERATION, named.0, named.1, None).await.map_err(declared(OPERATION))? {
        Target::Trail(trail) => {
            let trail = trail.require(&cx)?.value;
            if trail.insights.is_empty() {
                return Err(InsightError::NotEnabled { kind: "Trail", arn: trail.arn(), setting: "trail" }.into());
            }
            Ok(GetInsightSelectorsOutput {
                trail_arn: Some(trail.arn().to_string()),
                insight_selectors: Some(to_wire(&trail.insights)),
                ..GetInsightSelectorsOutput::default()
            })
        }
        Target::Store(store) => {
            let store = store.require_active().map_err(declared(OPERATION))?.value;
            let arn = store.arn();
            let Some(insights) = &store.insights else {
                return Err(
                    InsightError::NotEnabled { kind: "Event data store", arn, setting: "event data store" }.into()
                );
            };
            Ok(GetInsightSelectorsOutput {
                event_data_store_arn: Some(arn.to_string()),
                insights_destination: Some(insights.destination.arn().to_string()),
                insight_selectors: Some(to_wire(&insights.selectors)),
                ..GetInsightSelectorsOutput::default()
            })
        }
    }
}
