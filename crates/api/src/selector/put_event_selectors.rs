use opentrail_model::EventSelector;
use opentrail_wire::cloudtrail::{PutEventSelectorsInput, PutEventSelectorsOutput};

use super::shapes::{from_wire, to_wire};
use super::validation::{SelectorError, validate};
use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Changed;

/// Replaces what a trail logs.
pub(crate) async fn put_event_selectors(
    cx: Context<'_>,
    input: PutEventSelectorsInput,
) -> Outcome<Changed<PutEventSelectorsOutput>> {
    let trail = cx.authorize_trail("PutEventSelectors", &input.trail_name).await?.require_at_home(&cx)?;
    let basic = input.event_selectors.unwrap_or_default();
    match (basic.is_empty(), input.advanced_event_selectors.unwrap_or_default().is_empty()) {
        (false, false) => return Err(SelectorError::BothKinds.into()),
        (true, false) => return Err(SelectorError::Advanced.into()),
        (_, true) => {}
    }
    let selectors: Vec<EventSelector> = basic.into_iter().map(from_wire).collect::<Result<_, _>>()?;
    validate(&selectors)?;

    let mut changed = trail.value;
    let output = PutEventSelectorsOutput {
        trail_arn: Some(changed.arn().to_string()),
        event_selectors: Some(selectors.iter().map(to_wire).collect()),
        ..PutEventSelectorsOutput::default()
    };
    if changed.selectors == selectors {
        return Ok(Changed::nothing(output));
    }
    changed.selectors = selectors;
    Ok(Changed::new(output, cx.replace(changed, trail.revision, RecordOrder::RecordFirst).await?))
}
