use opentrail_model::Timestamp;
use opentrail_trails::{Trail, TrailStatus};
use opentrail_wire::cloudtrail::{GetTrailStatusInput, GetTrailStatusOutput};

use crate::context::{Context, Outcome};

/// Whether a trail logs, and how its delivery fares in the Region called; in a member account of an organization, that
/// account's own.
pub(crate) async fn get_trail_status(cx: Context<'_>, input: GetTrailStatusInput) -> Outcome<GetTrailStatusOutput> {
    let trail = cx.authorize_trail("GetTrailStatus", &input.name).await?.require_visible(&cx)?;
    let status = TrailStatus::load(&cx.services.catalog, &trail.key, cx.account(), cx.region()).await?;
    Ok(answer(&trail, of_this_trail(&trail, status)))
}

/// The status without what an earlier trail of the same name left behind.
fn of_this_trail(trail: &Trail, status: TrailStatus) -> TrailStatus {
    let own = |time: &Timestamp| *time >= trail.created;
    let attempted = status.latest_delivery_attempt.or(status.latest_delivery).is_some_and(|time| own(&time));
    TrailStatus {
        latest_delivery: status.latest_delivery.filter(own),
        latest_delivery_attempt: status.latest_delivery_attempt.filter(own),
        latest_delivery_error: status.latest_delivery_error.filter(|_| attempted),
        latest_digest_delivery: status.latest_digest_delivery.filter(own),
        latest_digest_delivery_error: status.latest_digest_delivery_error,
    }
}

/// The deprecated members are ISO texts, empty when there is nothing to say. Those of notifications and CloudWatch Logs
/// say so always, as neither is built yet.
fn answer(trail: &Trail, status: TrailStatus) -> GetTrailStatusOutput {
    let iso = |time: Option<Timestamp>| Some(time.map(Timestamp::to_iso).unwrap_or_default());
    GetTrailStatusOutput {
        is_logging: Some(trail.logging),
        latest_delivery_error: status.latest_delivery_error,
        latest_delivery_time: status.latest_delivery,
        start_logging_time: trail.started,
        stop_logging_time: trail.stopped,
        latest_digest_delivery_time: status.latest_digest_delivery,
        latest_digest_delivery_error: status.latest_digest_delivery_error,
        latest_delivery_attempt_time: iso(status.latest_delivery_attempt),
        latest_delivery_attempt_succeeded: iso(status.latest_delivery),
        latest_notification_attempt_time: iso(None),
        latest_notification_attempt_succeeded: iso(None),
        time_logging_started: iso(trail.started),
        time_logging_stopped: iso(trail.stopped),
        ..GetTrailStatusOutput::default()
    }
}
