//! Every metric of delivery, with its unit. `trail` is the trail's ARN.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const FILES: &str = "opentrail_delivery_files_total";
const BYTES: &str = "opentrail_delivery_bytes_total";
const RECORDS: &str = "opentrail_delivery_records_total";
const FAILURES: &str = "opentrail_delivery_failures_total";
const GIVEN_UP: &str = "opentrail_delivery_given_up_records_total";
const LAG: &str = "opentrail_delivery_lag_seconds";
const DIGESTS: &str = "opentrail_delivery_digests_total";
const NOT_NOTIFIED: &str = "opentrail_delivery_notification_failures_total";
const NOT_LOGGED: &str = "opentrail_delivery_log_group_failures_total";

pub(crate) fn describe() {
    describe_counter!(FILES, Unit::Count, "Log files delivered.");
    describe_counter!(BYTES, Unit::Bytes, "Compressed bytes of delivered log files.");
    describe_counter!(RECORDS, Unit::Count, "Records in delivered log files.");
    describe_counter!(FAILURES, Unit::Count, "Failed puts, by the S3 error code or Timeout.");
    describe_counter!(GIVEN_UP, Unit::Count, "Records that were not delivered before their time was over.");
    describe_gauge!(LAG, Unit::Seconds, "Age of the oldest record that was read and is not delivered; 0 for none.");
    describe_counter!(DIGESTS, Unit::Count, "Digests delivered.");
    describe_counter!(NOT_NOTIFIED, Unit::Count, "Topics that were not told of a log file, by the SNS error code.");
    describe_counter!(NOT_LOGGED, Unit::Count, "Failed attempts to put events into a trail's log group.");
}

pub(crate) fn delivered(trail: &str, records: u64, bytes: usize) {
    counter!(FILES, "trail" => trail.to_owned()).increment(1);
    counter!(BYTES, "trail" => trail.to_owned()).increment(bytes as u64);
    counter!(RECORDS, "trail" => trail.to_owned()).increment(records);
}

pub(crate) fn failed(trail: &str, code: &str) {
    counter!(FAILURES, "trail" => trail.to_owned(), "code" => code.to_owned()).increment(1);
}

pub(crate) fn given_up(trail: &str, records: u64) {
    counter!(GIVEN_UP, "trail" => trail.to_owned()).increment(records);
}

pub(crate) fn lag(trail: &str, seconds: f64) {
    gauge!(LAG, "trail" => trail.to_owned()).set(seconds);
}

pub(crate) fn digest(trail: &str) {
    counter!(DIGESTS, "trail" => trail.to_owned()).increment(1);
}

pub(crate) fn not_notified(trail: &str, code: &str) {
    counter!(NOT_NOTIFIED, "trail" => trail.to_owned(), "code" => code.to_owned()).increment(1);
}

pub(crate) fn not_logged(trail: &str) {
    counter!(NOT_LOGGED, "trail" => trail.to_owned()).increment(1);
}
