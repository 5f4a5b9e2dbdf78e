use crate::{DeliveryStatus, QueryStatus};

const ENDED: &str = "opentrail_queries_ended_total";
const DELIVERED: &str = "opentrail_queries_deliveries_total";
const UNDER_WAY: &str = "opentrail_queries_under_way";

/// Names the metrics to their collector.
pub(crate) fn describe() {
    metrics::describe_counter!(ENDED, "Queries that ended, by how they did");
    metrics::describe_counter!(DELIVERED, "Deliveries of query results that ended, by how they did");
    metrics::describe_gauge!(UNDER_WAY, "Queries that are queued or running");
}

pub(crate) fn started() {
    metrics::gauge!(UNDER_WAY).increment(1.0);
}

pub(crate) fn ended(status: QueryStatus) {
    metrics::gauge!(UNDER_WAY).decrement(1.0);
    metrics::counter!(ENDED, "status" => status.as_str()).increment(1);
}

pub(crate) fn delivered(status: DeliveryStatus) {
    metrics::counter!(DELIVERED, "status" => status.as_str()).increment(1);
}
