use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_monitoring::{Datum, MetricName, Resolution, Summary};

use crate::TelemetryOptions;
use crate::exposition::{Kind, Sample};
use crate::names::{Theirs, is_theirs, ours, theirs, unit};

/// Data at shorter intervals are kept to the second.
const MINUTE: Duration = Duration::from_secs(60);

/// What was measured at the last interval.
///
/// A counter's datum is by how much it grew in the interval. Each measurement has a metric with its labels as dimensions,
/// put when there is something to say: a counter that grew, and one zero after that; a gauge that is not zero, and one zero
/// after that. All those of one name together are a metric without dimensions, which is put at every interval.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    options: TelemetryOptions,
    /// Each measurement's value, and whether there was something to say.
    last: HashMap<Series, (f64, bool)>,
}

type Series = (String, Vec<(String, String)>);

impl Readings {
    /// Those before the first interval.
    pub(crate) fn new(options: TelemetryOptions) -> Self {
        Self { options, last: HashMap::new() }
    }

    /// The data of now, and the readings that the next data begin with.
    pub(crate) fn next(&self, samples: &[Sample], now: Timestamp) -> (Vec<Datum>, Self) {
        let mut last = HashMap::with_capacity(samples.len());
        let mut data = Vec::new();
        let mut together: BTreeMap<&str, (Kind, Vec<f64>)> = BTreeMap::new();
        for Sample { name, labels, kind, value } in samples {
            let series = (name.clone(), labels.clone());
            let (before, said) = self.last.get(&series).copied().unwrap_or_default();
            let measured = match kind {
                Kind::Counter => value - before,
                Kind::Gauge => *value,
            };
            let says = measured != 0.0;
            last.insert(series, (*value, says));
            if !is_theirs(name) {
                together.entry(name).or_insert((*kind, Vec::new())).1.push(measured);
            }
            if says || said {
                let values = Summary::of(measured);
                match theirs(name, labels) {
                    Some(Theirs { account, region, metric }) => {
                        data.push(self.datum((account, region), name, metric, values, now));
                    }
                    None if is_theirs(name) || labels.is_empty() => {}
                    None => data.push(self.datum(self.operator(), name, ours(name, labels), values, now)),
                }
            }
        }
        for (name, (kind, measured)) in together {
            let values = match kind {
                Kind::Counter => Summary::of(measured.iter().sum()),
                Kind::Gauge => {
                    let counts: Vec<(f64, f64)> = measured.into_iter().map(|value| (value, 1.0)).collect();
                    let Some(values) = Summary::of_counts(&counts) else { continue };
                    values
                }
            };
            data.push(self.datum(self.operator(), name, ours(name, &[]), values, now));
        }
        (data, Self { options: self.options.clone(), last })
    }

    fn operator(&self) -> (AccountId, Region) {
        (self.options.account, self.options.region.clone())
    }

    fn datum(
        &self,
        (account, region): (AccountId, Region),
        name: &str,
        metric: MetricName,
        values: Summary,
        time: Timestamp,
    ) -> Datum {
        let resolution = if self.options.interval < MINUTE { Resolution::High } else { Resolution::Standard };
        Datum { account, region, metric, time, unit: unit(name), resolution, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::samples;

    /// Account (without its zeros), metric, count, sum.
    fn shown(data: &[Datum]) -> Vec<String> {
        let one =
            |datum: &Datum| format!("{} {} {:?}", datum.account, datum.metric, datum.values).replace("00000000", "");
        let mut shown: Vec<String> =
            data.iter().map(one).map(|text| text.split(", min").next().unwrap().to_owned()).collect();
        shown.sort();
        shown
    }

    fn readings() -> Readings {
        let options = TelemetryOptions {
            account: "100000000001".parse().unwrap(),
            region: Region::us_east_1(),
            interval: Duration::from_secs(10),
        };
        Readings::new(options)
    }

    fn text(a: u32, b: u32, lag: u32, topic: u32) -> Vec<Sample> {
        samples(&format!(
            "# TYPE opentrail_x_total counter\nopentrail_x_total{{l=\"a\"}} {a}\nopentrail_x_total{{l=\"b\"}} {b}\n\
             # TYPE opentrail_lag_seconds gauge\nopentrail_lag_seconds {lag}\n\
             # TYPE opentrail_sns_topic_failed_total counter\n\
             opentrail_sns_topic_failed_total{{topic=\"arn:aws:sns:us-east-1:100000000002:t\"}} {topic}\n"
        ))
    }

    #[test]
    fn counters_are_differences_and_gauges_values() {
        let now = Timestamp::from_secs(100);
        let (data, readings) = readings().next(&text(3, 0, 7, 2), now);
        let mut wanted = [
            "1001 OpenTrail/LagSeconds Summary { count: 1.0, sum: 7.0",
            "1001 OpenTrail/X L=a Summary { count: 1.0, sum: 3.0",
            "1001 OpenTrail/X Summary { count: 1.0, sum: 3.0",
            "1002 AWS/SNS/NumberOfNotificationsFailed TopicName=t Summary { count: 1.0, sum: 2.0",
        ]
        .map(str::to_owned)
        .to_vec();
        wanted.sort();
        assert_eq!(shown(&data), wanted);
        assert!(data.iter().all(|datum| datum.time == now && datum.resolution == Resolution::High));

        // One zero tells that it is over; the metric without dimensions goes on.
        let (data, readings) = readings.next(&text(3, 1, 0, 2), now);
        let mut wanted = vec![
            "1001 OpenTrail/LagSeconds Summary { count: 1.0, sum: 0.0".to_owned(),
            "1001 OpenTrail/X L=a Summary { count: 1.0, sum: 0.0".to_owned(),
            "1001 OpenTrail/X L=b Summary { count: 1.0, sum: 1.0".to_owned(),
            "1001 OpenTrail/X Summary { count: 1.0, sum: 1.0".to_owned(),
            "1002 AWS/SNS/NumberOfNotificationsFailed TopicName=t Summary { count: 1.0, sum: 0.0".to_owned(),
        ];
        wanted.sort();
        assert_eq!(shown(&data), wanted);

        let (_, readings) = readings.next(&text(3, 1, 0, 2), now);
        let (data, _) = readings.next(&text(3, 1, 0, 2), now);
        let wanted = [
            "1001 OpenTrail/LagSeconds Summary { count: 1.0, sum: 0.0",
            "1001 OpenTrail/X Summary { count: 1.0, sum: 0.0",
        ];
        assert_eq!(shown(&data), wanted);
    }
}
