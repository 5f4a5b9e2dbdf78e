use opentrail_model::Arn;
use opentrail_trails::{AggregationTemplate, Trail};
use opentrail_wire::cloudtrail::AggregationConfiguration;

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::store::NamedStore;
use crate::trail::NamedTrail;

/// Why an event configuration cannot be put or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventConfigurationError {
    /// A trail and an event data store are named.
    #[error("Specify either a trail or an event data store, not both.")]
    BothTargets,
    /// Neither is.
    #[error("Specify a trail or an event data store.")]
    NoTarget,
    /// The setting is not one of trails.
    #[error("{setting} can be set on event data stores only, not on trails.")]
    NotOfTrails { setting: &'static str },
    /// The setting is not one of event data stores.
    #[error("AggregationConfigurations can be set on trails only, not on event data stores.")]
    NotOfStores,
    /// There is nothing to set.
    #[error("Specify AggregationConfigurations; an empty list turns aggregation off.")]
    Nothing,
    /// The trail has no data events to sum up.
    #[error("Trail {arn} does not log data events. Add a selector of data events to aggregate them.")]
    NoDataEvents { arn: Arn },
}

/// What a request is about.
pub(super) enum Target {
    Trail(NamedTrail),
    Store(NamedStore),
}

/// The one target that is named, after the check that the caller may do `operation` to it.
pub(super) async fn target(
    cx: &Context<'_>,
    operation: &str,
    trail: Option<&str>,
    store: Option<&str>,
) -> Outcome<Target> {
    match (trail, store) {
        (Some(trail), None) => Ok(Target::Trail(cx.authorize_trail(operation, trail).await?)),
        (None, Some(store)) => Ok(Target::Store(cx.authorize_store(operation, store).await?)),
        (named, _) => {
            cx.authorize(Access::anywhere(operation))?;
            let both = named.is_some();
            Err(if both { EventConfigurationError::BothTargets } else { EventConfigurationError::NoTarget }.into())
        }
    }
}

/// A trail's aggregation as the API shows it.
pub(super) fn shown(trail: &Trail) -> Vec<AggregationConfiguration> {
    let templates: Vec<String> = trail.aggregation.iter().map(|template| template.as_str().to_owned()).collect();
    let one = AggregationConfiguration { templates, event_category: "Data".to_owned() };
    if trail.aggregation.is_empty() { Vec::new() } else { vec![one] }
}

/// The templates of what was put, which the model has checked; one that is named twice counts once.
pub(super) fn templates(given: &[AggregationConfiguration]) -> Vec<AggregationTemplate> {
    let mut templates = Vec::new();
    let names = given.iter().flat_map(|configuration| &configuration.templates);
    for template in names.filter_map(|name| AggregationTemplate::parse(name)) {
        if !templates.contains(&template) {
            templates.push(template);
        }
    }
    templates
}
