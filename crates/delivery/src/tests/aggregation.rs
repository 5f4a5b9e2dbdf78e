//! Aggregated events as they are delivered: what they count, when they are written, and that they count each event once
//! whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentrail_model::{DataResource, EventSelector, Selectors};
use opentrail_trails::{AggregationTemplate, Trail};
use serde_json::{Value, json};

use super::crashes::until;
use super::world::{HOME, Mishap, World, trail};

const WINDOW: Duration = Duration::from_secs(300);
const GRACE: Duration = Duration::from_secs(30);
/// In the window from 05:05.
const NOW: &str = "2026-03-04T05:06:07Z";

fn summing(templates: &[AggregationTemplate]) -> Trail {
    let objects = DataResource { kind: "AWS::S3::Object".into(), values: vec!["arn:aws:s3".into()] };
    let selector =
        EventSelector { include_management_events: false, data_resources: vec![objects], ..EventSelector::default() };
    Trail { selectors: Selectors::Basic(vec![selector]), aggregation: templates.to_vec(), ..trail("main", "logs") }
}

/// A read of an object by alice.
fn read(name: &str, object: &str, time: &str) -> Value {
    json!({
        "eventID": format!("{name}-{object}-{time}"), "awsRegion": HOME, "eventTime": time, "eventName": name,
        "eventSource": "s3.amazonaws.com", "eventCategory": "Data", "managementEvent": false, "readOnly": true,
        "sourceIPAddress": "192.0.2.1", "userAgent": "test",
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" },
        "resources": [
            { "type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{object}") },
            { "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{}", object.split('/').next().unwrap()) },
        ],
    })
}

/// Every delivered aggregated event.
async fn aggregated(world: &World) -> Vec<Value> {
    let mut found = Vec::new();
    for bucket in ["logs", "more"] {
        for (key, text, _) in world.objects(bucket).await {
            if key.contains("/CloudTrail-Aggregated/") {
                assert!(
                    key.contains(&format!(
                        "AWSLogs/111122223333/CloudTrail-Aggregated/{HOME}/2026/03/04/111122223333_"
                    ))
                );
                let file: Value = serde_json::from_str(&text).unwrap();
                found.extend(file["Records"].as_array().unwrap().iter().cloned());
            }
        }
    }
    found
}

/// How often each primary value was counted, over all records.
fn totals(records: &[Value]) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for record in records {
        let one = &record["summary"]["primaryDimension"]["statistics"][0];
        *totals.entry(one["name"].as_str().unwrap().to_owned()).or_default() += one["value"].as_u64().unwrap();
    }
    totals
}

async fn until_total(world: &World, total: u64) -> Vec<Value> {
    world
        .until(&format!("{total} events are counted"), async || {
            totals(&aggregated(world).await).values().sum::<u64>() >= total
        })
        .await;
    aggregated(world).await
}

fn world() -> World {
    let world = World::new();
    world.make_bucket("logs");
    world.make_bucket("more");
    world
}

/// The end of the current window, and what is waited for after it.
fn over(world: &World) {
    let now = world.clock_now();
    world.clock.advance(Duration::from_secs(1) + (now.floor(WINDOW) + WINDOW + GRACE).since(now));
}

#[tokio::test]
async fn a_window_is_summed_up_by_each_template_once_it_is_over() {
    use AggregationTemplate::{ApiActivity, ResourceAccess, UserActions};
    let world = world();
    let _life = world.live().await;
    world.put_trail(&summing(&[ApiActivity, ResourceAccess, UserActions])).await;
    let mut denied = read("GetObject", "b/2", "2026-03-04T05:07:00Z");
    denied["errorCode"] = "AccessDenied".into();
    // Its time is yet to come: it counts when it arrived.
    let early = read("HeadObject", "c/1", "2026-03-05T00:00:00Z");
    world.records(&[read("GetObject", "b/1", NOW), denied, early]).await;
    // Neither management events nor what the selectors leave out.
    world.record(HOME, &["m1"]).await;
    world.clock.advance(Duration::from_secs(200));
    assert!(aggregated(&world).await.is_empty());
    over(&world);
    let records = until_total(&world, 3 + 3 + 3).await;

    assert_eq!(records.len(), 2 + 2 + 1, "{records:#?}");
    let mut first = records[0].clone();
    let id = first["eventId"].take();
    assert_eq!(id.as_str().unwrap().len(), 36);
    let one = |dimension: &str, values: &[(&str, u64)]| {
        let statistics: Vec<Value> = values.iter().map(|(name, n)| json!({ "name": name, "value": n })).collect();
        json!({ "dimension": dimension, "statistics": statistics, "aggregationType": "Count" })
    };
    let expected = json!({
        "eventVersion": "1.0",
        "accountId": "111122223333",
        "eventId": null,
        "eventCategory": "Aggregated",
        "eventType": "AwsAggregatedEvent",
        "awsRegion": "us-east-1",
        "eventSource": "s3.amazonaws.com",
        "timeWindow": {
            "windowStart": "2026-03-04T05:05:00Z", "windowEnd": "2026-03-04T05:10:00Z", "windowSize": "PT5M",
        },
        "summary": {
            "primaryDimension": one("eventName", &[("GetObject", 2)]),
            "details": [
                one("resourceARN", &[("arn:aws:s3:::b", 2)]),
                one("userIdentity", &[("arn:aws:iam::111122223333:user/alice", 2)]),
                one("sourceIpAddress", &[("192.0.2.1", 2)]),
                one("userAgent", &[("test", 2)]),
                one("errorCodes", &[("AccessDenied", 1)]),
            ],
        },
    });
    assert_eq!(first, expected);
    let expected: BTreeMap<String, u64> = [
        ("GetObject", 2),
        ("HeadObject", 1),
        ("arn:aws:iam::111122223333:user/alice", 3),
        ("arn:aws:s3:::b", 2),
        ("arn:aws:s3:::c", 1),
    ]
    .map(|(name, n)| (name.to_owned(), n))
    .into();
    assert_eq!(totals(&records), expected);
    // The events themselves are delivered as ever.
    world.until_delivered(&["GetObject-b/1-2026-03-04T05:06:07Z"]).await;
}

#[tokio::test]
async fn what_comes_after_its_window_was_written_is_a_record_of_its_own() {
    let world = world();
    let _life = world.live().await;
    world.put_trail(&summing(&[AggregationTemplate::ApiActivity])).await;
    world.records(&[read("GetObject", "b/1", NOW)]).await;
    over(&world);
    until_total(&world, 1).await;
    world.records(&[read("GetObject", "b/2", NOW), read("GetObject", "b/3", "2026-03-04T05:10:31Z")]).await;
    over(&world);
    let records = until_total(&world, 3).await;
    let told: BTreeSet<_> = records
        .iter()
        .map(|record| {
            let start = record["timeWindow"]["windowStart"].as_str().unwrap();
            (start, record["addendum"]["reason"].as_str(), record["eventId"].as_str().unwrap())
        })
        .map(|(start, reason, _)| (start, reason))
        .collect();
    let (before, after) = ("2026-03-04T05:05:00Z", "2026-03-04T05:10:00Z");
    assert_eq!(told, BTreeSet::from([(before, None), (before, Some("DELIVERY_DELAY")), (after, None)]));
    let ids: BTreeSet<_> = records.iter().map(|record| record["eventId"].to_string()).collect();
    assert_eq!(ids.len(), records.len());
}

#[tokio::test]
async fn a_change_of_the_trail_writes_what_is_open_first() {
    let world = world();
    let _life = world.live().await;
    let mut trail = summing(&[AggregationTemplate::ApiActivity]);
    world.put_trail(&trail).await;
    world.records(&[read("GetObject", "b/1", NOW)]).await;
    trail.version = 2;
    trail.aggregation.clear();
    world.put_trail_and_wait(&trail).await;
    assert_eq!(until_total(&world, 1).await.len(), 1);
    world.records(&[read("GetObject", "b/2", NOW)]).await;
    trail.version = 3;
    trail.aggregation.push(AggregationTemplate::UserActions);
    world.put_trail_and_wait(&trail).await;
    over(&world);
    world.records(&[read("GetObject", "b/3", &world.clock_now().to_iso())]).await;
    over(&world);
    let totals = totals(&until_total(&world, 2).await);
    assert_eq!(totals, BTreeMap::from([("GetObject".into(), 1), ("arn:aws:iam::111122223333:user/alice".into(), 1)]));
}

#[tokio::test]
async fn many_values_are_counted_together_and_the_totals_stay_right() {
    let world = world();
    let _life = world.live().await;
    world.put_trail(&summing(&[AggregationTemplate::ApiActivity, AggregationTemplate::ResourceAccess])).await;
    let many: Vec<Value> = (0..500).map(|n| read("GetObject", &format!("bucket-{n}/k"), NOW)).collect();
    world.records(&many).await;
    over(&world);
    let records = until_total(&world, 1000).await;
    let activity = records.iter().find(|r| r["summary"]["primaryDimension"]["dimension"] == "eventName").unwrap();
    assert_eq!(activity["summary"]["primaryDimension"]["statistics"], json!([{ "name": "GetObject", "value": 500 }]));
    let buckets = activity["summary"]["details"][0]["statistics"].as_array().unwrap();
    assert_eq!((buckets.len(), &buckets[50]), (51, &json!({ "name": "(others)", "value": 450 })));
    assert_eq!(records.len(), 1 + 500, "a primary value is never counted together with another");
}

#[tokio::test]
async fn windows_that_hold_too_much_are_written_before_they_are_over() {
    let world = world();
    let _life = world.live().await;
    world.put_trail(&summing(&[AggregationTemplate::ResourceAccess])).await;
    let long = "x".repeat(1000);
    for block in 0..12 {
        let many: Vec<Value> = (0..1000).map(|n| read("GetObject", &format!("{block}-{n}-{long}/k"), NOW)).collect();
        world.records(&many).await;
    }
    // No time has passed.
    world.until("something is written", async || !aggregated(&world).await.is_empty()).await;
    over(&world);
    let records = until_total(&world, 12_000).await;
    assert_eq!(totals(&records).len(), 12_000);
    let late = records.iter().filter(|record| record.get("addendum").is_some()).count();
    assert!(late > 0 && late < records.len(), "{late} of {} are later parts", records.len());
}

/// Sums up over several windows, two versions of the trail and its end, with `mishap` at step `steps`.
async fn survive(steps: i64, mishap: Mishap) -> bool {
    let world = world();
    let mut life = world.try_to_live(steps, mishap).await.unwrap();
    let fuse = std::sync::Arc::clone(&life.fuse);
    let mut crashed = false;
    let mut trail = summing(&[AggregationTemplate::ApiActivity, AggregationTemplate::UserActions]);
    // Keys for digests take most of a test's time.
    trail.log_file_validation = false;
    let counted = async |total: u64| totals(&aggregated(&world).await).values().sum::<u64>() >= 2 * total;

    world.put_trail(&trail).await;
    world.records(&[read("GetObject", "b/1", NOW), read("PutObject", "b/1", NOW)]).await;
    world.clock.advance(world.settings.max_age);
    until(&world, &mut life, &mut crashed, "the events are delivered", async || world.delivered().await.len() == 2)
        .await;
    over(&world);
    // One for each window: the one that is over, and the one that has begun.
    let next = world.clock_now().to_iso();
    world.records(&[read("GetObject", "b/2", NOW), read("GetObject", "b/3", &next)]).await;
    until(&world, &mut life, &mut crashed, "the first window is written", async || counted(2).await).await;
    over(&world);
    until(&world, &mut life, &mut crashed, "two windows are written", async || counted(4).await).await;

    world.records(&[read("GetObject", "b/4", &next)]).await;
    trail.version = 2;
    trail.bucket = "more".into();
    world.put_trail(&trail).await;
    world.records(&[read("PutObject", "b/5", &next)]).await;
    until(&world, &mut life, &mut crashed, "the change is obeyed", async || counted(5).await).await;
    world.delete_trail(&trail).await;
    world.records(&[read("PutObject", "b/6", &next)]).await;
    world.clock.advance(world.settings.digest_interval);
    until(&world, &mut life, &mut crashed, "the trail is gone", async || world.catalog_is_empty().await).await;

    let records = aggregated(&world).await;
    let alice = "arn:aws:iam::111122223333:user/alice".to_owned();
    let expected = BTreeMap::from([("GetObject".to_owned(), 4), ("PutObject".to_owned(), 2), (alice, 6)]);
    assert_eq!(totals(&records), expected, "{mishap:?} at step {steps}: {records:#?}");
    let ids: BTreeSet<_> = records.iter().map(|record| record["eventId"].to_string()).collect();
    assert_eq!(ids.len(), records.len(), "{mishap:?} at step {steps}");
    assert_eq!(world.delivered().await.len(), 6, "{mishap:?} at step {steps}");
    *fuse.blown.borrow()
}

#[tokio::test]
async fn each_event_is_counted_once_whatever_step_the_server_dies_at() {
    for mishap in [Mishap::Crash, Mishap::Failure] {
        let mut steps = 0;
        while survive(steps, mishap).await {
            steps += 1;
        }
        assert!(steps > 30, "the script has more steps than {steps}");
    }
}

#[tokio::test]
async fn the_journal_is_kept_from_the_oldest_open_window_on() {
    let world = world();
    let life = world.live().await;
    let trail = summing(&[AggregationTemplate::ApiActivity]);
    world.put_trail(&trail).await;
    let first = world.records(&[read("GetObject", "b/1", NOW)]).await;
    world.until_delivered(&["GetObject-b/1-2026-03-04T05:06:07Z"]).await;
    world.record(HOME, &["m1"]).await;
    let last = world.records(&[read("GetObject", "b/2", NOW)]).await;
    world.until_delivered(&["GetObject-b/2-2026-03-04T05:06:07Z"]).await;
    assert!(life.passed(&trail) < first, "the window is open");
    over(&world);
    until_total(&world, 2).await;
    // The commit that says so has been asked for.
    for _ in 0..100_000 {
        if life.passed(&trail) >= last {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the journal is kept from {} on", life.passed(&trail));
}
