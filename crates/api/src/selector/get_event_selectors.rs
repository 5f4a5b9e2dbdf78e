use opentrail_wire::cloudtrail::{GetEventSelectorsInput, GetEventSelectorsOutput};

use super::shapes::to_wire;
use crate::context::{Context, Outcome};

/// What a trail logs. One that was never configured answers the default selector.
pub(crate) async fn get_event_selectors(
    cx: Context<'_>,
    input: GetEventSelectorsInput,
) -> Outcome<GetEventSelectorsOutput> {
    let trail = cx.authorize_trail("GetEventSelectors", &input.trail_name).await?.require(&cx)?.value;
    Ok(GetEventSelectorsOutput {
        trail_arn: Some(trail.arn().to_string()),
        event_selectors: Some(trail.selectors.iter().map(to_wire).collect()),
        ..GetEventSelectorsOutput::default()
    })
}
