use opentrail_wire::cloudtrail::{GetEventConfigurationInput, GetEventConfigurationOutput};

use super::target::{Target, shown, target};
use crate::context::{Context, Outcome};
use crate::store::get_store_configuration;

/// What a trail's data events are summed up by (an empty list when they are not), or how large a store's events may be and
/// what is added to them.
pub(crate) async fn get_event_configuration(
    cx: Context<'_>,
    input: GetEventConfigurationInput,
) -> Outcome<GetEventConfigurationOutput> {
    let named = (input.trail_name.as_deref(), input.event_data_store.as_deref());
    let trail = match target(&cx, "GetEventConfiguration", named.0, named.1).await? {
        Target::Store(store) => return get_store_configuration(store),
        Target::Trail(trail) => trail.require(&cx)?.value,
    };
    Ok(GetEventConfigurationOutput {
        trail_arn: Some(trail.arn().to_string()),
        aggregation_configurations: Some(shown(&trail)),
        ..GetEventConfigurationOutput::default()
    })
}
