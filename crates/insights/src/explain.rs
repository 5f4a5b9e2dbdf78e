//! Why an Insight was told: its series, the band that was expected, who drove it.

use std::time::Duration;

use opentrail_model::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::Category;
use crate::store::{MetricQuery, MetricSeries, Period, StoredInsight, Zeros};

/// How much before the start is told.
const BEFORE: Duration = Duration::from_secs(2 * 3600);
/// How much after the end, or after the start of what goes on.
const AFTER: Duration = Duration::from_secs(30 * 60);
/// The longest episode that is told minute by minute.
const BY_MINUTE: Duration = Duration::from_secs(4 * 3600);
/// Standard deviations from what was expected to the edge of the band.
const BAND: f64 = 3.0;

/// A minute, or five, of a key.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its beginning, in seconds since the epoch.
    pub time: i64,
    /// Calls in it.
    pub calls: f64,
}

/// Why an Insight was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `sharedEventID` of the records.
    #[serde(rename = "sharedEventID")]
    pub shared_event_id: String,
    /// When it began, in seconds since the epoch.
    pub start: i64,
    /// When it was over; `None` while it goes on.
    pub end: Option<i64>,
    /// The last record's `insightDetails`: what it is about, averages, who drove it.
    pub insight_details: Value,
    /// What was expected per minute at that time of day and week.
    pub expected: f64,
    /// What would have been usual at most, per minute: three standard deviations above what was expected.
    pub usual_at_most: f64,
    /// The length of a point, in seconds.
    pub period: u32,
    /// The counts around it.
    pub series: Vec<Point>,
    /// Where.
    #[serde(rename = "awsRegion")]
    pub region: String,
}

impl Explanation {
    /// From the records of an episode, the start first; `None` when there is none, or none that can be read.
    pub(crate) fn of(ends: &[StoredInsight]) -> Option<Self> {
        let (first, last) = (ends.first()?, ends.last()?);
        let mut record: Value = serde_json::from_str(&last.record).ok()?;
        let over = (ends.len() > 1).then_some(last.time);
        let length = over.map_or(Duration::ZERO, |end| end.since(first.time));
        Some(Self {
            shared_event_id: first.shared_event_id.to_string(),
            start: first.time.as_secs(),
            end: over.map(Timestamp::as_secs),
            expected: first.expected,
            usual_at_most: first.expected + BAND * first.deviation,
            period: if length > BY_MINUTE { 300 } else { 60 },
            series: Vec::new(),
            region: record.get("awsRegion")?.as_str()?.to_owned(),
            insight_details: record.get_mut("insightDetails")?.take(),
        })
    }

    /// The counts that belong to it.
    pub(crate) fn query(&self, account: AccountId) -> MetricQuery {
        let text = |name: &str| self.insight_details.get(name).and_then(Value::as_str).map(str::to_owned);
        let end = self.end.unwrap_or(self.start);
        MetricQuery {
            account,
            region: self.region.clone(),
            event_source: text("eventSource").unwrap_or_default(),
            event_name: text("eventName").unwrap_or_default(),
            category: match text("sourceEventCategory").as_deref() {
                Some("Data") => Category::Data,
                _ => Category::Management,
            },
            error_code: text("errorCode"),
            start: Timestamp::from_secs(self.start) - BEFORE,
            end: Timestamp::from_secs(end) + AFTER,
            period: if self.period == 60 { Period::Minute } else { Period::FiveMinutes },
            zeros: Zeros::Filled,
            limit: 2000,
        }
    }

    pub(crate) fn with(self, series: MetricSeries) -> Self {
        let points = series.points.into_iter().map(|(time, calls)| Point { time: time.as_secs(), calls });
        Self { series: points.collect(), ..self }
    }
}
