use opentrail_model::Arn;
use opentrail_trails::{AggregationTemplate, Trail};
use opentrail_wire::cloudtrail::AggregationConfiguration;

use crate::access::Access;
use crate::context::{Context, Outcome};
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
    /// The text names no event data store.
    #[error("{text} is neither the ARN nor the id of an event data store.")]
    Store { text: String },
    /// There is no such event data store.
    #[error("Event data store {arn} does not exist.")]
    StoreNotFound { arn: String },
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
    /// The ARN of an event data store.
    Store(String),
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
        (None, Some(store)) => {
            let arn = store_arn(cx, store);
            cx.authorize(Access::on(operation, arn.as_deref().unwrap_or(store)))?;
            Ok(Target::Store(arn.ok_or_else(|| EventConfigurationError::Store { text: store.to_owned() })?))
        }
        (named, _) => {
            cx.authorize(Access::anywhere(operation))?;
            let both = named.is_some();
            Err(if both { EventConfigurationError::BothTargets } else { EventConfigurationError::NoTarget }.into())
        }
    }
}

/// The ARN that an ARN or an id stands for, if it can be an event data store's.
fn store_arn(cx: &Context<'_>, text: &str) -> Option<String> {
    let partition = cx.region().partition();
    if is_uuid(text) {
        return Some(format!("arn:{partition}:cloudtrail:{}:{}:eventdatastore/{text}", cx.region(), cx.account()));
    }
    let arn: Arn = text.parse().ok()?;
    let id = arn.resource().strip_prefix("eventdatastore/")?;
    let own = arn.service() == "cloudtrail" && arn.partition() == partition;
    (own && is_uuid(id) && !arn.account().is_empty() && !arn.region().is_empty()).then(|| text.to_owned())
}

fn is_uuid(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.split('-').all(hex)
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
