use opentrail_model::Timestamp;
use opentrail_trails::{LogGroupStatus, NotificationStatus, Status, Trail, TrailStatus};
use opentrail_wire::cloudtrail::{GetTrailStatusInput, GetTrailStatusOutput};

use crate::context::{Context, Outcome};

/// Whether a trail logs, and how its delivery fares in the Region called; in a member account of an organization, that
/// account's own.
pub(crate) async fn get_trail_status(cx: Context<'_>, input: GetTrailStatusInput) -> Outcome<GetTrailStatusOutput> {
    let trail = cx.authorize_trail("GetTrailStatus", &input.name).await?.require_visible(&cx)?;
    let (catalog, key, account, region) = (&cx.services.catalog, &trail.key, cx.account(), cx.region());
    let status = of_this_trail(&trail, TrailStatus::load(catalog, key, account, region).await?);
    let told = NotificationStatus::load(catalog, key, account, region).await?;
    // Events of all accounts and Regions go to the one group, which is the owner's.
    let logged = LogGroupStatus::load(catalog, key, key.account, &key.home_region).await?;
    Ok(answer(&trail, status, of_its_topic(&trail, told), of_its_log_group(&trail, logged)))
}

/// The status without what a trail of the same name, or this one with another topic, left behind.
fn of_its_topic(trail: &Trail, status: NotificationStatus) -> NotificationStatus {
    let own = |time: &Timestamp| *time >= trail.created;
    if trail.topic.is_none() || !status.latest_attempt.is_some_and(|time| own(&time)) {
        return NotificationStatus::default();
    }
    NotificationStatus { latest: status.latest.filter(own), ..status }
}

/// As [`of_its_topic`].
fn of_its_log_group(trail: &Trail, status: LogGroupStatus) -> LogGroupStatus {
    if trail.log_group.is_none() {
        return LogGroupStatus::default();
    }
    LogGroupStatus { latest: status.latest.filter(|time| *time >= trail.created), ..status }
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

/// The deprecated members are ISO texts, empty when there is nothing to say.
fn answer(
    trail: &Trail,
    status: TrailStatus,
    told: NotificationStatus,
    logged: LogGroupStatus,
) -> GetTrailStatusOutput {
    let iso = |time: Option<Timestamp>| Some(time.map(Timestamp::to_iso).unwrap_or_default());
    GetTrailStatusOutput {
        is_logging: Some(trail.logging),
        latest_delivery_error: status.latest_delivery_error,
        latest_notification_error: told.latest_error,
        latest_delivery_time: status.latest_delivery,
        latest_notification_time: told.latest,
        start_logging_time: trail.started,
        stop_logging_time: trail.stopped,
        latest_cloud_watch_logs_delivery_error: logged.latest_error,
        latest_cloud_watch_logs_delivery_time: logged.latest,
        latest_digest_delivery_time: status.latest_digest_delivery,
        latest_digest_delivery_error: status.latest_digest_delivery_error,
        latest_delivery_attempt_time: iso(status.latest_delivery_attempt),
        latest_delivery_attempt_succeeded: iso(status.latest_delivery),
        latest_notification_attempt_time: iso(told.latest_attempt),
        latest_notification_attempt_succeeded: iso(told.latest),
        time_logging_started: iso(trail.started),
        time_logging_stopped: iso(trail.stopped),
    }
}
