//! Chunks in, sums out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use opentrail_filters::Scratch;
use opentrail_model::Timestamp;

use super::compiled::{Compiled, GroupFilters, Value};
use super::sink::MetricDatum;
use crate::follow::Chunk;
use crate::place::GroupPlace;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// How many different values a filter's dimensions have within an hour; further ones are not reported. (User Guide,
/// "Publishing dimensions with metrics": such a filter is switched off. That the others go on is a choice of ours.)
const MOST_COMBINATIONS: usize = 1000;

/// Sums, and what must be known of the current minute for defaults.
#[derive(Debug, Default)]
pub(crate) struct Evaluator {
    scratch: Scratch,
    sums: HashMap<Key, Sum>,
    /// The minute in which the last chunk came in, in milliseconds.
    minute: i64,
    /// Minutes through this one are closed.
    closed: Option<i64>,
    /// By filter: whether any event matched in the minute.
    watched: HashMap<i64, Watched>,
    /// The hour that the combinations are of.
    hour: i64,
    combinations: HashMap<i64, HashSet<Box<[String]>>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    filter: i64,
    dimensions: Box<[String]>,
    second: i64,
}

#[derive(Debug)]
struct Sum {
    filter: Arc<Compiled>,
    group: GroupPlace,
    sum: f64,
    min: f64,
    max: f64,
    count: u64,
}

#[derive(Debug)]
struct Watched {
    filter: Arc<Compiled>,
    group: GroupPlace,
    matched: bool,
}

impl Evaluator {
    /// Evaluates a chunk by the filters of its group.
    pub(crate) fn chunk(&mut self, chunk: &Chunk, filters: &GroupFilters) -> Vec<MetricDatum> {
        let defaults = self.come_to(chunk.ingested);
        let open = self.closed.is_none_or(|closed| self.minute > closed);
        for filter in &filters.filters {
            if open && filter.transformation.default.is_some() && filter.applies_to(chunk.sequence) {
                self.watched.entry(filter.id).or_insert_with(|| Watched {
                    filter: Arc::clone(filter),
                    group: chunk.group.clone(),
                    matched: false,
                });
            }
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for (time, message) in chunk.events.iter() {
            for number in filters.set.matching(message, &mut scratch) {
                let filter = &filters.filters[*number];
                if filter.applies_to(chunk.sequence) {
                    self.count(filter, &chunk.group, time, message);
                }
            }
        }
        self.scratch = scratch;
        defaults
    }

    /// A chunk of a group without filters only moves the time on.
    pub(crate) fn come_to(&mut self, ingested: i64) -> Vec<MetricDatum> {
        let minute = ingested.div_euclid(MINUTE) * MINUTE;
        let hour = ingested.div_euclid(HOUR);
        if hour > self.hour {
            self.hour = hour;
            self.combinations.clear();
        }
        if minute <= self.minute {
            return Vec::new();
        }
        let defaults = self.close();
        self.minute = minute;
        defaults
    }

    /// The end of the minute that waits for its end, if one does.
    pub(crate) fn waits_until(&self) -> Option<i64> {
        self.watched.values().any(|watched| !watched.matched).then_some(self.minute + MINUTE)
    }

    /// Closes the minute: the defaults of filters that nothing matched.
    pub(crate) fn close(&mut self) -> Vec<MetricDatum> {
        let unmatched = self.watched.drain().map(|(_, watched)| watched).filter(|watched| !watched.matched);
        let minute = self.minute;
        let data = unmatched.filter_map(|Watched { filter, group, .. }| {
            let value = filter.transformation.default?;
            Some(datum(&filter, &group, &[], minute, (value, value, value), 1))
        });
        let data = data.collect();
        self.closed = Some(minute);
        data
    }

    /// The minute of the last position was closed before this process began.
    pub(crate) fn was_closed(&mut self, ingested: i64) {
        self.minute = ingested.div_euclid(MINUTE) * MINUTE;
        self.closed = Some(self.minute);
    }

    /// The sums since the last call.
    pub(crate) fn take(&mut self) -> Vec<MetricDatum> {
        let data = self.sums.drain().map(|(key, Sum { filter, group, sum, min, max, count })| {
            datum(&filter, &group, &key.dimensions, key.second, (sum, min, max), count)
        });
        data.collect()
    }

    fn count(&mut self, filter: &Arc<Compiled>, group: &GroupPlace, time: i64, message: &str) {
        if let Some(watched) = self.watched.get_mut(&filter.id) {
            watched.matched = true;
        }
        let value = match &filter.value {
            Value::Number(number) => Some(*number),
            Value::Of(field) => field.of(&filter.pattern, message).and_then(|text| text.parse().ok()),
        };
        // A value that is no number is not reported. (User Guide, "Configuring metric values for a metric filter".)
        let Some(value) = value.filter(|value: &f64| value.is_finite()) else { return };
        let values = filter.dimensions.iter().map(|(_, field)| field.of(&filter.pattern, message));
        // An event without one of the fields belongs to no metric of these dimensions.
        let Some(dimensions) = values.collect::<Option<Box<[String]>>>() else { return };
        if !dimensions.is_empty() && !self.admits(filter.id, &dimensions) {
            metrics::counter!("opentrail_logs_metric_values_dropped_total", "reason" => "dimensions").increment(1);
            return;
        }
        let key = Key { filter: filter.id, dimensions, second: time.div_euclid(1000) * 1000 };
        let sum = self.sums.entry(key).or_insert_with(|| Sum {
            filter: Arc::clone(filter),
            group: group.clone(),
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            count: 0,
        });
        sum.sum += value;
        sum.min = sum.min.min(value);
        sum.max = sum.max.max(value);
        sum.count += 1;
    }

    fn admits(&mut self, filter: i64, dimensions: &[String]) -> bool {
        // CloudWatch's own bound of a dimension's value. (CloudWatch API Reference, Dimension.)
        if dimensions.iter().any(|value| value.is_empty() || value.len() > 1024) {
            return false;
        }
        let known = self.combinations.entry(filter).or_default();
        known.contains(dimensions) || (known.len() < MOST_COMBINATIONS && known.insert(dimensions.into()))
    }
}

fn datum(
    filter: &Compiled,
    group: &GroupPlace,
    values: &[String],
    at: i64,
    (sum, min, max): (f64, f64, f64),
    count: u64,
) -> MetricDatum {
    let names = filter.dimensions.iter().map(|(name, _)| name.clone());
    MetricDatum {
        account: group.account,
        region: group.region.clone(),
        namespace: filter.transformation.namespace.clone(),
        name: filter.transformation.metric.clone(),
        dimensions: names.zip(values.iter().cloned()).collect(),
        unit: filter.transformation.unit.clone(),
        at: Timestamp::from_millis(at),
        sum,
        min,
        max,
        count,
    }
}
