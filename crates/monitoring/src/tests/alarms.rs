use std::time::Duration;

use opentrail_runtime::Shutdown;
use serde_json::{Value, json};

use super::{NOW, Performed, TOPIC, World, above_two, sends};
use crate::{ActionError, Settings, StateValue};

#[tokio::test]
async fn a_breach_that_nothing_can_undo_counts_at_once_and_ends_with_its_periods() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("high")).await;
    world.evaluate().await;
    assert_eq!(world.state("high").await, "OK");
    world.put("errors", NOW, 2.0).await;
    world.evaluate().await;
    assert_eq!(world.state("high").await, "OK");
    world.put("errors", NOW, 1.0).await;
    world.evaluate().await;
    assert_eq!(world.state("high").await, "ALARM");
    // The breach is within the evaluation range for three periods.
    for (secs, state) in [(62, "ALARM"), (60, "ALARM"), (60, "ALARM"), (60, "OK")] {
        world.after(secs).await;
        assert_eq!(world.state("high").await, state);
    }
    world.perform().await;
    assert_eq!(
        world.told(),
        ["OK: \"high\" in EU (Ireland)", "ALARM: \"high\" in EU (Ireland)", "OK: \"high\" in EU (Ireland)",]
    );
    let history = world.history("high").await;
    assert_eq!(
        history[..4],
        [
            "Alarm \"high\" created",
            "Alarm updated from INSUFFICIENT_DATA to OK",
            "Alarm updated from OK to ALARM",
            "Alarm updated from ALARM to OK",
        ]
    );
    assert_eq!(history[4..], vec![format!("Successfully executed action {TOPIC}"); 3]);
}

#[tokio::test]
async fn what_further_data_can_undo_waits_for_the_end_of_the_period() {
    let world = World::new().await;
    let mut few = above_two("few");
    few["ComparisonOperator"] = "LessThanThreshold".into();
    world.call("PutMetricAlarm", few).await;
    let mut mean = above_two("mean");
    mean["Statistic"] = "Average".into();
    world.call("PutMetricAlarm", mean).await;
    world.put("errors", NOW, 1.0).await;
    world.put("errors", NOW, 100.0).await;
    world.evaluate().await;
    assert_eq!((world.state("few").await, world.state("mean").await), ("OK".to_owned(), "OK".to_owned()));
    world.after(61).await;
    assert_eq!(world.state("mean").await, "OK");
    world.after(1).await;
    assert_eq!(world.state("mean").await, "ALARM");
    assert_eq!(world.state("few").await, "OK");
}

#[tokio::test]
async fn a_sum_that_may_shrink_is_not_certain_early() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("high")).await;
    world.put("errors", NOW, -1.0).await;
    world.put("errors", NOW, 9.0).await;
    world.evaluate().await;
    assert_eq!(world.state("high").await, "OK");
    world.after(62).await;
    assert_eq!(world.state("high").await, "ALARM");
}

#[tokio::test]
async fn reasons_and_notifications_have_awss_form() {
    let world = World::new().await;
    let mut alarm = above_two("high");
    alarm["AlarmDescription"] = "too many".into();
    alarm["Dimensions"] = json!([]);
    world.call("PutMetricAlarm", alarm).await;
    world.put("errors", NOW, 3.0).await;
    world.evaluate().await;
    let found = world.call("DescribeAlarms", json!({})).await["MetricAlarms"][0].clone();
    let when = NOW.format("%d/%m/%y %H:%M:%S");
    let reason = format!("Threshold Crossed: 1 datapoint [3.0 ({when})] was greater than the threshold (2.0).");
    assert_eq!(found["StateReason"], reason);
    let iso = NOW.format("%Y-%m-%dT%H:%M:%S.000+0000");
    let data: Value = serde_json::from_str(found["StateReasonData"].as_str().unwrap()).unwrap();
    let point = json!({ "timestamp": iso, "sampleCount": 1.0, "value": 3.0 });
    assert_eq!(
        data,
        json!({ "version": "1.0", "queryDate": iso, "startDate": iso, "statistic": "Sum", "period": 60,
            "recentDatapoints": [3.0], "threshold": 2.0, "evaluatedDatapoints": [point] })
    );
    world.perform().await;
    let (action, notification) = world.performed.notifications.lock()[0].clone();
    assert_eq!((action.as_str(), notification.new_state), (TOPIC, StateValue::Alarm));
    let arn = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:high";
    let trigger = json!({ "MetricName": "errors", "Namespace": "App", "StatisticType": "Statistic", "Statistic": "SUM",
        "Unit": null, "Dimensions": [], "Period": 60, "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold", "Threshold": 2.0, "TreatMissingData": "notBreaching",
        "EvaluateLowSampleCountPercentile": "" });
    assert_eq!(
        serde_json::from_str::<Value>(&notification.message).unwrap(),
        json!({ "AlarmName": "high", "AlarmDescription": "too many", "AWSAccountId": "111122223333",
            "AlarmConfigurationUpdatedTimestamp": iso, "NewStateValue": "ALARM", "NewStateReason": reason,
            "StateChangeTime": iso, "Region": "EU (Ireland)", "AlarmArn": arn, "OldStateValue": "INSUFFICIENT_DATA",
            "OKActions": [TOPIC], "AlarmActions": [TOPIC], "InsufficientDataActions": [], "Trigger": trigger })
    );
    let event = world.performed.events.lock()[0].clone();
    assert_eq!(
        (event["detail-type"].as_str(), event["resources"][0].as_str()),
        (Some("CloudWatch Alarm State Change"), Some(arn))
    );
    assert_eq!(event["detail"]["state"]["value"], "ALARM");
    assert_eq!(event["detail"]["previousState"]["value"], "INSUFFICIENT_DATA");
    assert_eq!(event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]["name"], "errors");
}

#[tokio::test]
async fn missing_data_are_named_in_reasons() {
    let world = World::new().await;
    for (name, treat) in [("quiet", "notBreaching"), ("loud", "breaching"), ("unsure", "missing"), ("same", "ignore")] {
        let mut alarm = above_two(name);
        alarm["TreatMissingData"] = treat.into();
        world.call("PutMetricAlarm", alarm).await;
    }
    world.evaluate().await;
    let found = world.call("DescribeAlarms", json!({})).await["MetricAlarms"].clone();
    let told: Vec<_> = found.as_array().unwrap().iter().map(|alarm| alarm["StateReason"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching].",
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching].",
            "Unchecked: Initial alarm creation",
            "Insufficient Data: 1 datapoint was unknown.",
        ]
    );
}

#[tokio::test]
async fn each_operator_compares() {
    let world = World::new().await;
    world.put("errors", NOW - Duration::from_secs(120), 2.0).await;
    for (operator, state) in [
        ("GreaterThanThreshold", "OK"),
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
    ] {
        let mut alarm = above_two(operator);
        alarm["ComparisonOperator"] = operator.into();
        world.call("PutMetricAlarm", alarm).await;
        world.evaluate().await;
        assert_eq!(world.state(operator).await, state, "{operator}");
    }
}

#[tokio::test]
async fn percentiles_with_few_samples_may_be_ignored() {
    let world = World::new().await;
    let mut alarm = above_two("slow");
    let members = alarm.as_object_mut().unwrap();
    members.remove("Statistic");
    members.insert("ExtendedStatistic".to_owned(), "p90".into());
    members.insert("EvaluateLowSampleCountPercentile".to_owned(), "ignore".into());
    world.call("PutMetricAlarm", alarm).await;
    world.evaluate().await;
    for _ in 0..99 {
        world.put("errors", NOW, 9.0).await;
    }
    world.after(62).await;
    assert_eq!(world.state("slow").await, "OK");
    world.put("errors", NOW, 9.0).await;
    world.after(60).await;
    assert_eq!(world.state("slow").await, "ALARM");
}

#[tokio::test]
async fn an_expression_is_watched() {
    let world = World::new().await;
    let stat =
        |name: &str| json!({ "Metric": { "Namespace": "App", "MetricName": name }, "Period": 60, "Stat": "Sum" });
    let metrics = json!([
        { "Id": "e1", "Expression": "100 * failed / all", "Label": "percent" },
        { "Id": "failed", "MetricStat": stat("errors"), "ReturnData": false },
        { "Id": "all", "MetricStat": stat("calls"), "ReturnData": false },
    ]);
    let alarm = json!({ "AlarmName": "percent", "Metrics": metrics, "EvaluationPeriods": 1, "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching" });
    world.call("PutMetricAlarm", alarm).await;
    world.put("errors", NOW, 6.0).await;
    world.put("calls", NOW, 100.0).await;
    world.evaluate().await;
    assert_eq!(world.state("percent").await, "OK");
    world.after(62).await;
    assert_eq!(world.state("percent").await, "ALARM");
}

#[tokio::test]
async fn definitions_that_mean_nothing_are_refused() {
    let world = World::new().await;
    let with = |changes: Value| {
        let mut alarm = above_two("a");
        for (name, value) in changes.as_object().unwrap() {
            alarm[name] = value.clone();
        }
        alarm
    };
    let metrics = json!([{ "Id": "e1", "Expression": "m9 + 1" }]);
    let circle =
        json!([{ "Id": "a", "Expression": "b + 1" }, { "Id": "b", "Expression": "a + 1", "ReturnData": false }]);
    let only = |metrics: Value| {
        json!({ "AlarmName": "a", "EvaluationPeriods": 1, "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold", "Metrics": metrics })
    };
    for (input, told) in [
        (with(json!({ "Period": 90 })), "multiple of 60"),
        (with(json!({ "Period": null })), "Period must not be null"),
        (with(json!({ "Threshold": null })), "Threshold must not be null"),
        (with(json!({ "ExtendedStatistic": "p9" })), "Exactly one of Statistic and ExtendedStatistic"),
        (with(json!({ "DatapointsToAlarm": 2 })), "must not be greater"),
        (with(json!({ "EvaluationPeriods": 1441 })), "across more than 86400 seconds"),
        (with(json!({ "ComparisonOperator": "GreaterThanUpperThreshold" })), "anomaly detection"),
        (with(json!({ "TreatMissingData": "no" })), "use breaching, notBreaching, ignore or missing"),
        (with(json!({ "AlarmActions": ["mail"] })), "Invalid arn syntax: mail"),
        (with(json!({ "Metrics": [] })), "must not be set if Metrics is set"),
        (with(json!({ "EvaluationCriteria": { "PromQLCriteria": { "Query": "up" } } })), "no PromQL"),
        (only(metrics), "m9 is the Id of no metric"),
        (only(circle), "in a circle"),
        (
            only(json!([{ "Id": "e1", "Expression": "ANOMALY_DETECTION_BAND(m1)" }])),
            "ANOMALY_DETECTION_BAND is not a function",
        ),
    ] {
        let (name, message) = world.refused("PutMetricAlarm", input).await;
        assert_eq!(name, "ValidationException", "{message}");
        assert!(message.contains(told), "{message}");
    }
    let settings = Settings { max_alarms: 1, ..Settings::default() };
    let world = World::with(Performed::default(), settings).await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.call("PutMetricAlarm", above_two("a")).await;
    assert_eq!(world.refused("PutMetricAlarm", above_two("b")).await.0, "LimitExceededFault");
}

#[tokio::test]
async fn a_composite_alarm_follows_those_it_names() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.call("PutMetricAlarm", above_two("b")).await;
    let rule = |name: &str, rule: &str| json!({ "AlarmName": name, "AlarmRule": rule, "AlarmActions": [TOPIC] });
    let refused = world.refused("PutCompositeAlarm", rule("c", "ALARM(gone)")).await;
    assert!(refused.1.contains("alarms [gone] in the alarm rule do not exist"), "{refused:?}");
    world.call("PutCompositeAlarm", rule("c", "ALARM(a) AND ALARM(\"b\")")).await;
    world.call("PutCompositeAlarm", rule("d", "ALARM(c) OR FALSE")).await;
    let refused = world.refused("PutCompositeAlarm", rule("c", "ALARM(d)")).await;
    assert!(refused.1.contains("depend on itself"), "{refused:?}");
    world.evaluate().await;
    assert_eq!((world.state("c").await, world.state("d").await), ("OK".to_owned(), "OK".to_owned()));
    let set = |name: &str, state: &str| json!({ "AlarmName": name, "StateValue": state, "StateReason": "test" });
    world.call("SetAlarmState", set("a", "ALARM")).await;
    world.evaluate().await;
    assert_eq!(world.state("c").await, "OK");
    world.call("SetAlarmState", set("b", "ALARM")).await;
    world.evaluate().await;
    assert_eq!((world.state("c").await, world.state("d").await), ("ALARM".to_owned(), "ALARM".to_owned()));
    let children = world.call("DescribeAlarms", json!({ "ChildrenOfAlarmName": "c" })).await;
    assert_eq!(children["MetricAlarms"].as_array().unwrap().len(), 2);
    let parents = world.call("DescribeAlarms", json!({ "ParentsOfAlarmName": "c" })).await;
    assert_eq!(parents["CompositeAlarms"][0]["AlarmName"], "d");
    world.call("DeleteAlarms", json!({ "AlarmNames": ["a"] })).await;
    world.evaluate().await;
    assert_eq!((world.state("c").await, world.state("d").await), ("OK".to_owned(), "OK".to_owned()));
}

#[tokio::test]
async fn a_suppressor_holds_actions_back() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("a")).await;
    let mut maintenance = above_two("maintenance");
    maintenance["MetricName"] = "maintenance".into();
    world.call("PutMetricAlarm", maintenance).await;
    world.evaluate().await;
    world.perform().await;
    world.performed.notifications.lock().clear();
    let input = json!({ "AlarmName": "c", "AlarmRule": "ALARM(a)", "AlarmActions": [TOPIC],
        "ActionsSuppressor": "maintenance", "ActionsSuppressorWaitPeriod": 20, "ActionsSuppressorExtensionPeriod": 30 });
    world.call("PutCompositeAlarm", input).await;
    world.evaluate().await;
    let composite_told = || world.told().iter().filter(|subject| subject.contains("\"c\"")).count();
    let by = async || {
        let found = world.call("DescribeAlarms", json!({ "AlarmTypes": ["CompositeAlarm"] })).await;
        found["CompositeAlarms"][0]["ActionsSuppressedBy"].as_str().map(str::to_owned)
    };
    world.put("errors", NOW, 3.0).await;
    world.evaluate().await;
    assert_eq!(by().await.as_deref(), Some("WaitPeriod"));
    world.put("maintenance", NOW, 3.0).await;
    world.evaluate().await;
    assert_eq!(by().await.as_deref(), Some("Alarm"));
    world.after(25).await;
    world.perform().await;
    assert_eq!(composite_told(), 0);
    // It stays so until the next period is over, at 62 seconds.
    let over = json!({ "AlarmName": "maintenance", "StateValue": "OK", "StateReason": "over" });
    world.call("SetAlarmState", over).await;
    world.evaluate().await;
    assert_eq!(by().await.as_deref(), Some("ExtensionPeriod"));
    world.after(29).await;
    world.perform().await;
    assert_eq!(composite_told(), 0);
    world.after(1).await;
    world.perform().await;
    assert_eq!((composite_told(), by().await), (1, None));
}

#[tokio::test]
async fn actions_that_are_off_are_not_done() {
    let world = World::new().await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.call("DisableAlarmActions", json!({ "AlarmNames": ["a", "gone"] })).await;
    world.evaluate().await;
    world.perform().await;
    assert_eq!(world.told(), Vec::<String>::new());
    world.call("EnableAlarmActions", json!({ "AlarmNames": ["a"] })).await;
    world.put("errors", NOW, 3.0).await;
    world.evaluate().await;
    world.perform().await;
    assert_eq!(world.told(), ["ALARM: \"a\" in EU (Ireland)"]);
}

#[tokio::test]
async fn an_action_that_fails_is_tried_again_and_what_came_of_it_is_told() {
    let fails = vec![ActionError::Permanent("no such topic".to_owned()), ActionError::Retryable("busy".to_owned())];
    let performed = Performed { fails: parking_lot::Mutex::new(fails), ..Performed::default() };
    let world = World::with(performed, Settings::default()).await;
    world.call("PutMetricAlarm", above_two("a")).await;
    world.evaluate().await;
    world.perform().await;
    world.clock.advance(Duration::from_millis(999));
    world.perform().await;
    assert_eq!(world.told().len(), 1);
    world.clock.advance(Duration::from_millis(1));
    world.perform().await;
    assert_eq!(world.told().len(), 2);
    let keys: Vec<_> =
        world.performed.notifications.lock().iter().map(|(_, told)| told.deduplication_key.clone()).collect();
    assert_eq!(keys[0], keys[1]);
    let last = world.history("a").await.pop().unwrap();
    assert_eq!(last, format!("Failed to execute action {TOPIC}. Received error: \"no such topic\""));
    world.clock.advance(Duration::from_secs(600));
    world.perform().await;
    assert_eq!(world.told().len(), 2);
}

#[tokio::test]
async fn an_action_that_hangs_holds_up_no_other() {
    let hanging = "arn:aws:sns:eu-west-1:111122223333:hangs";
    let performed = Performed { hangs: Some(hanging.to_owned()), ..Performed::default() };
    let world = World::with(performed, Settings::default()).await;
    let mut alarm = above_two("a");
    alarm["OKActions"] = json!([hanging, TOPIC]);
    world.call("PutMetricAlarm", alarm).await;
    let shutdown = Shutdown::new();
    let running = sends(world.background.run(shutdown.clone()));
    let told = async {
        world.performed.done.notified().await;
        shutdown.begin();
    };
    let (ended, ()) = tokio::join!(running, told);
    ended.unwrap();
    assert_eq!(world.performed.notifications.lock()[0].0, TOPIC);
}

#[tokio::test]
async fn tags_are_kept_and_bounded() {
    let world = World::new().await;
    let mut alarm = above_two("a");
    alarm["Tags"] = json!([{ "Key": "team", "Value": "one" }]);
    world.call("PutMetricAlarm", alarm.clone()).await;
    alarm["Tags"] = json!([{ "Key": "other", "Value": "x" }]);
    world.call("PutMetricAlarm", alarm).await;
    let arn = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a";
    let tags = async || world.call("ListTagsForResource", json!({ "ResourceARN": arn })).await["Tags"].clone();
    assert_eq!(tags().await, json!([{ "Key": "team", "Value": "one" }]));
    let many: Vec<_> = (0..50).map(|i| json!({ "Key": i.to_string(), "Value": "" })).collect();
    let refused = world.refused("TagResource", json!({ "ResourceARN": arn, "Tags": many })).await;
    assert_eq!(refused.0, "InvalidParameterValueException", "{}", refused.1);
    world.call("UntagResource", json!({ "ResourceARN": arn, "TagKeys": ["team"] })).await;
    assert_eq!(tags().await, json!([]));
    let gone = json!({ "ResourceARN": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:gone" });
    assert_eq!(world.refused("ListTagsForResource", gone).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn alarms_are_described_in_pages_and_deleted_together() {
    let world = World::new().await;
    for i in 0..5 {
        world.call("PutMetricAlarm", above_two(&format!("a{i}"))).await;
    }
    let first = world.call("DescribeAlarms", json!({ "AlarmNamePrefix": "a", "MaxRecords": 3 })).await;
    let token = first["NextToken"].clone();
    let second =
        world.call("DescribeAlarms", json!({ "AlarmNamePrefix": "a", "MaxRecords": 3, "NextToken": token })).await;
    let names = |page: &Value| {
        page["MetricAlarms"].as_array().unwrap().iter().map(|a| a["AlarmName"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["a0".into(), "a1".into(), "a2".into()], vec!["a3".into(), "a4".into()])
    );
    let metric = json!({ "Namespace": "App", "MetricName": "errors" });
    assert_eq!(world.call("DescribeAlarmsForMetric", metric).await["MetricAlarms"].as_array().unwrap().len(), 5);
    assert_eq!(world.refused("DeleteAlarms", json!({ "AlarmNames": ["a0", "gone"] })).await.0, "ResourceNotFound");
    world.call("DeleteAlarms", json!({ "AlarmNames": ["a0", "a1"] })).await;
    assert_eq!(names(&world.call("DescribeAlarms", json!({})).await).len(), 3);
    assert_eq!(world.refused("DescribeAlarms", json!({ "NextToken": "x" })).await.0, "InvalidNextToken");
    let set = json!({ "AlarmName": "a0", "StateValue": "OK", "StateReason": "r" });
    assert_eq!(world.refused("SetAlarmState", set).await.0, "ResourceNotFound");
}
