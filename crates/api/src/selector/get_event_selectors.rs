use opentrail_wire::cloudtrail::{GetEventSelectorsInput, GetEventSelectorsOutput};

use super::shapes::to_wire;
use crate::context::{Context, Outcome};

/// What a trail logs. One that was never configured answers the default selector.
pub(crate) async fn get_event_selectors(
    cx: Context<'_>,
    input: GetEventSelectorsInput,
) -> Outcome<GetEventSelectorsOutput> {
    let trail = cx.authorize_trail("GetEventSelectors", &input.trail_name).await?.require(&cx)?.value;
    let (event_selectors, advanced_event_selectors) = to_wire(&trail.selectors);
    let trail_arn = Some(trail.arn().to_string());
    Ok(GetEventSelectorsOutput { trail_arn, event_selectors, advanced_event_selectors })
}
