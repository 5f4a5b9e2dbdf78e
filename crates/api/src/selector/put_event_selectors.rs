use opentrail_selectors::{Holder, validate};
use opentrail_wire::cloudtrail::{PutEventSelectorsInput, PutEventSelectorsOutput};

use super::shapes::{from_wire, to_wire};
use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Changed;

/// Replaces what a trail logs, of whichever kind its selectors were before.
pub(crate) async fn put_event_selectors(
    cx: Context<'_>,
    input: PutEventSelectorsInput,
) -> Outcome<Changed<PutEventSelectorsOutput>> {
    let trail = cx.authorize_trail("PutEventSelectors", &input.trail_name).await?.require_at_home(&cx)?;
    let selectors = from_wire((input.event_selectors, input.advanced_event_selectors))?;
    validate(&selectors, Holder::Trail)?;

    let mut changed = trail.value;
    let (event_selectors, advanced_event_selectors) = to_wire(&selectors);
    let trail_arn = Some(changed.arn().to_string());
    let output = PutEventSelectorsOutput { trail_arn, event_selectors, advanced_event_selectors };
    if changed.selectors == selectors {
        return Ok(Changed::nothing(output));
    }
    changed.selectors = selectors;
    Ok(Changed::new(output, cx.replace(changed, trail.revision, RecordOrder::RecordFirst).await?))
}
