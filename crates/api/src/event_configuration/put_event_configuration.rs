use opentrail_wire::cloudtrail::{PutEventConfigurationInput, PutEventConfigurationOutput};

use super::EventConfigurationError as E;
use super::target::{Target, shown, target, templates};
use crate::context::{Context, Outcome, RecordOrder};
use crate::store::put_store_configuration;
use crate::trail::Changed;

/// Sets what a trail's data events are summed up by (an empty list turns that off), or what a store does with its events.
pub(crate) async fn put_event_configuration(
    cx: Context<'_>,
    input: PutEventConfigurationInput,
) -> Outcome<Changed<PutEventConfigurationOutput>> {
    let named = (input.trail_name.as_deref(), input.event_data_store.as_deref());
    let trail = match target(&cx, "PutEventConfiguration", named.0, named.1).await? {
        Target::Store(_) if input.aggregation_configurations.is_some() => return Err(E::NotOfStores.into()),
        Target::Store(store) => return put_store_configuration(cx, store, input).await,
        Target::Trail(trail) => trail.require_at_home(&cx)?,
    };
    if input.max_event_size.is_some() {
        return Err(E::NotOfTrails { setting: "MaxEventSize" }.into());
    }
    if input.context_key_selectors.is_some() {
        return Err(E::NotOfTrails { setting: "ContextKeySelectors" }.into());
    }
    let aggregation = templates(&input.aggregation_configurations.ok_or(E::Nothing)?);
    let mut changed = trail.value;
    if !aggregation.is_empty() && !changed.selectors.may_take("Data", None) {
        return Err(E::NoDataEvents { arn: changed.arn() }.into());
    }
    let same = changed.aggregation == aggregation;
    changed.aggregation = aggregation;
    let output = PutEventConfigurationOutput {
        trail_arn: Some(changed.arn().to_string()),
        aggregation_configurations: Some(shown(&changed)),
        ..PutEventConfigurationOutput::default()
    };
    if same {
        return Ok(Changed::nothing(output));
    }
    Ok(Changed::new(output, cx.replace(changed, trail.revision, RecordOrder::RecordFirst).await?))
}
