use opentrail_model::Arn;
use opentrail_wire::cloudtrail::Operation;

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::error::ApiError;
use crate::store::NamedStore;
use crate::trail::NamedTrail;

/// Why Insights cannot be switched on, read or listed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InsightError {
    /// A trail is named beside an event data store or a destination.
    #[error("Specify either TrailName, or EventDataStore and InsightsDestination, not both.")]
    BothTargets,
    /// Neither is.
    #[error("Specify a trail, or an event data store and the destination of its Insights.")]
    NoTarget,
    /// A store's Insights have nowhere to go.
    #[error("Specify InsightsDestination, the event data store that takes the Insights events of {arn}.")]
    NoDestination { arn: Arn },
    /// A selector says nothing.
    #[error("Each insight selector needs an InsightType: ApiCallRateInsight or ApiErrorRateInsight.")]
    NoType,
    /// A type is there twice.
    #[error("{insight_type} is among the insight selectors twice.")]
    Repeated { insight_type: &'static str },
    /// A category that Insights does not watch.
    #[error("The event category {category} is not valid: Insights watches Management and Data events.")]
    Category { category: String },
    /// An event data store has no Insights on data events.
    #[error("Insights on data events can be switched on for trails only, not for event data stores.")]
    DataOfStore,
    /// The store has no management events.
    #[error("Event data store {arn} does not collect CloudTrail events, which Insights needs.")]
    Source { arn: Arn },
    /// The destination is of another kind.
    #[error("Event data store {arn} cannot be the destination of Insights: it does not collect Insights events.")]
    Destination { arn: Arn },
    /// The destination is of another account.
    #[error("Event data store {arn} cannot be the destination of Insights: it belongs to another account.")]
    ForeignDestination { arn: Arn },
    /// Insights is off.
    #[error(
        "{kind} {arn} does not have Insights enabled. Edit the {setting} settings to enable Insights, and then try the operation again."
    )]
    NotEnabled { kind: &'static str, arn: Arn, setting: &'static str },
    /// What is listed belongs to a trail.
    #[error("InsightSource {source_name} is not a trail's ARN.")]
    NoTrailArn { source_name: String },
    /// A member account asks about its organization's trail.
    #[error(
        "Only the organization's management account and its delegated administrators can list the Insights data of {arn}."
    )]
    Member { arn: Arn },
    /// The range ends before it begins.
    #[error("StartTime is after EndTime.")]
    Range,
    /// No such period.
    #[error("The period {period} is not valid: use 60, 300 or 3600 seconds.")]
    Period { period: i32 },
    /// An error rate is that of one error.
    #[error("Specify ErrorCode for the InsightType ApiErrorRateInsight.")]
    NoErrorCode,
    /// A call rate is that of all calls.
    #[error("ErrorCode can be given for the InsightType ApiErrorRateInsight only.")]
    ErrorCode,
}

/// What a request is about.
pub(super) enum Target {
    Trail(NamedTrail),
    Store(NamedStore),
}

/// The one target that is named, after the check that the caller may do `operation` to it.
pub(super) async fn target(
    cx: &Context<'_>,
    operation: Operation,
    trail: Option<&str>,
    store: Option<&str>,
    destination: Option<&str>,
) -> Outcome<Target> {
    match (trail, store) {
        (Some(trail), None) if destination.is_none() => {
            Ok(Target::Trail(cx.authorize_trail(operation.name(), trail).await?))
        }
        (None, Some(store)) => Ok(Target::Store(cx.authorize_store(operation.name(), store).await?)),
        (named, _) => {
            cx.authorize(Access::anywhere(operation.name()))?;
            Err(if named.is_some() { InsightError::BothTargets } else { InsightError::NoTarget }.into())
        }
    }
}

/// An error of event data stores or page tokens that the operation does not declare, as one that it does: a choice.
pub(super) fn declared(operation: Operation) -> impl Fn(ApiError) -> ApiError {
    move |error| match error.is_declared_by(operation) {
        true => error,
        false => ApiError(opentrail_wire::Exception::invalid_parameter(error.0.message)),
    }
}
