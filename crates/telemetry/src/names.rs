//! Under which names, and whose, measurements are CloudWatch metrics.

use opentrail_model::{AccountId, Arn, Region};
use opentrail_monitoring::{MetricName, Unit};

/// The namespace of what the server measures of itself. A choice: AWS has no such metrics.
const NAMESPACE: &str = "OpenTrail";

/// What AWS has a metric for, each with a label that is the ARN of a resource, whose account and Region have the metric:
/// our name, AWS's namespace and name, its dimension. Those of rules are put by the rules themselves. (SNS and CloudWatch Logs User
/// Guides, "Monitoring with CloudWatch metrics".)
const AWS: [(&str, &str, &str, &str); 5] = [
    ("opentrail_sns_topic_messages_total", "AWS/SNS", "NumberOfMessagesPublished", "TopicName"),
    ("opentrail_sns_topic_delivered_total", "AWS/SNS", "NumberOfNotificationsDelivered", "TopicName"),
    ("opentrail_sns_topic_failed_total", "AWS/SNS", "NumberOfNotificationsFailed", "TopicName"),
    ("opentrail_logs_group_events_total", "AWS/Logs", "IncomingLogEvents", "LogGroupName"),
    ("opentrail_logs_group_bytes_total", "AWS/Logs", "IncomingBytes", "LogGroupName"),
];

/// A metric of AWS's, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Theirs {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) metric: MetricName,
}

/// The metric of AWS's that a measurement is; `None` for those that AWS has not.
pub(crate) fn theirs(name: &str, labels: &[(String, String)]) -> Option<Theirs> {
    let (_, namespace, metric, dimension) = AWS.into_iter().find(|(ours, ..)| *ours == name)?;
    let arn: Arn = labels.first()?.1.parse().ok()?;
    // Of `log-group:name`, and a topic's name.
    let resource = arn.resource();
    let value = resource.strip_prefix("log-group:").unwrap_or(resource);
    Some(Theirs {
        account: arn.account().parse().ok()?,
        region: arn.region().parse().ok()?,
        metric: MetricName::new(namespace, metric, [(dimension.to_owned(), value.to_owned())]),
    })
}

/// Whether a measurement is one of AWS's metrics and not of the server as a whole.
pub(crate) fn is_theirs(name: &str) -> bool {
    AWS.iter().any(|(ours, ..)| *ours == name)
}

/// The operator's metric: `opentrail_delivery_failures_total` is `DeliveryFailures`, a label `trail` the dimension `Trail`.
pub(crate) fn ours<'a>(name: &str, labels: impl IntoIterator<Item = &'a (String, String)>) -> MetricName {
    let name = name.strip_prefix("opentrail_").unwrap_or(name);
    let name = capitals(name.strip_suffix("_total").unwrap_or(name));
    MetricName::new(NAMESPACE, name, labels.into_iter().map(|(name, value)| (capitals(name), shown(value))))
}

/// By the name's end, as Prometheus's names have units.
pub(crate) fn unit(name: &str) -> Unit {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let unit = match name.rsplit('_').next() {
        Some("seconds") => "Seconds",
        Some("bytes") => "Bytes",
        _ => "Count",
    };
    Unit::from_name(unit).unwrap_or(Unit::COUNT)
}

fn capitals(name: &str) -> String {
    name.split('_')
        .flat_map(|part| [part[..part.len().min(1)].to_ascii_uppercase(), part.get(1..).unwrap_or_default().to_owned()])
        .collect()
}

/// A dimension's value is not empty, has no control characters, at most 1,024 characters and only ASCII ones. (API
/// Reference, "Dimension".)
fn shown(value: &str) -> String {
    let usable = |c: char| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
    let text: String = value.chars().take(1024).map(usable).collect();
    if text.trim().is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn our_metrics_have_capitals_and_units() {
        let trail = "arn:aws:cloudtrail:us-east-1:100000000001:trail/main";
        let metric = ours("opentrail_delivery_lag_seconds", &label("trail", trail));
        assert_eq!(metric.to_string(), format!("OpenTrail/DeliveryLagSeconds Trail={trail}"));
        assert_eq!(ours("opentrail_delivery_failures_total", &[]).to_string(), "OpenTrail/DeliveryFailures");
        assert_eq!(ours("x__y", &label("a_b", "é\n")).to_string(), "OpenTrail/XY AB=??");
        assert_eq!(ours("x", &label("error", "")).to_string(), "OpenTrail/X Error=-");
        let units =
            ["opentrail_a_seconds", "opentrail_a_bytes_total", "opentrail_a_total"].map(|name| unit(name).as_str());
        assert_eq!(units, ["Seconds", "Bytes", "Count"]);
    }

    #[test]
    fn what_aws_measures_is_of_the_resources_account() {
        let of = |name: &str, arn: &str| theirs(name, &label("arn", arn));
        let group =
            of("opentrail_logs_group_bytes_total", "arn:aws:logs:us-east-1:100000000001:log-group:/a/b").unwrap();
        assert_eq!(group.metric.to_string(), "AWS/Logs/IncomingBytes LogGroupName=/a/b");
        let topic = of("opentrail_sns_topic_failed_total", "arn:aws:sns:us-east-1:100000000001:alerts").unwrap();
        assert_eq!((topic.account.to_string().as_str(), topic.region.as_str()), ("100000000001", "us-east-1"));
        assert_eq!(topic.metric.to_string(), "AWS/SNS/NumberOfNotificationsFailed TopicName=alerts");
        assert_eq!(of("opentrail_sns_topic_failed_total", "alerts"), None);
        assert_eq!(of("opentrail_delivery_failures_total", "arn:aws:sns:us-east-1:100000000001:alerts"), None);
        assert!(is_theirs("opentrail_sns_topic_failed_total") && !is_theirs("opentrail_delivery_failures_total"));
    }
}
