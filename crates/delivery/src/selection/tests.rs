use super::*;

use opentrail_journal::Entry;
use opentrail_model::{DataResource, EventSelector, Position, ReadWriteType, Selectors, Source, Timestamp};
use opentrail_trails::TrailKey;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const OWNER: &str = "111122223333";

fn trail(selectors: Vec<EventSelector>) -> Trail {
    Trail {
        key: TrailKey {
            account: OWNER.parse().unwrap(),
            home_region: Region::us_east_1(),
            name: "main".parse().unwrap(),
        },
        version: 1,
        bucket: "b".into(),
        prefix: None,
        kms_key: None,
        organization: None,
        include_global_service_events: true,
        multi_region: false,
        log_file_validation: false,
        recursive_logging: true,
        logging: true,
        started: None,
        stopped: None,
        selectors: Selectors::Basic(selectors),
        aggregation: Vec::new(),
        insights: Vec::new(),
        topic: None,
        log_group: None,
        tags: Vec::new(),
        created: Timestamp::EPOCH,
    }
}

fn entry(source: Source, account: &str, record: &Value) -> Entry {
    Entry {
        position: Position(1),
        source,
        account: account.parse().unwrap(),
        received: Timestamp::EPOCH,
        body: record.to_string().into(),
    }
}

fn takes(trail: &Trail, record: &Value) -> bool {
    takes_of(trail, Source::Gateway, OWNER, record)
}

fn takes_of(trail: &Trail, source: Source, account: &str, record: &Value) -> bool {
    let batch = EventBatch::decode(Position::START, &[entry(source, account, record)]);
    !Selection::of(trail).rows(&batch, 0..1).is_empty()
}

fn data(kind: &str, values: &[&str]) -> EventSelector {
    EventSelector {
        include_management_events: false,
        data_resources: vec![DataResource {
            kind: kind.into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }],
        ..EventSelector::default()
    }
}

#[test]
fn a_single_region_trail_takes_its_home_and_a_multi_region_trail_all() {
    let mut trail = trail(vec![EventSelector::default()]);
    let of = |region: Value| json!({"awsRegion": region, "eventSource": "ec2.amazonaws.com"});
    assert!(takes(&trail, &of(json!("us-east-1"))));
    assert!(!takes(&trail, &of(json!("eu-west-1"))));
    // Records without a usable Region belong to the home Region.
    for odd in [Value::Null, json!(""), json!("../x"), json!(7)] {
        assert!(takes(&trail, &of(odd.clone())), "{odd}");
    }
    trail.multi_region = true;
    assert!(takes(&trail, &of(json!("eu-west-1"))));
}

/// An event of Insights, and the trail that it names.
fn insight(insight_type: &str, category: Option<&str>, source: Option<&str>) -> Value {
    let mut record = json!({
        "awsRegion": "us-east-1", "eventType": "AwsCloudTrailInsight", "eventCategory": "Insight",
        "insightDetails": { "state": "Start", "eventSource": "ec2.amazonaws.com", "insightType": insight_type },
    });
    let texts = [("sourceEventCategory", category), ("insightSource", source)];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
        record["insightDetails"][name] = json!(text);
    }
    record
}

#[test]
fn events_of_insights_go_to_trails_that_have_it_switched_on() {
    let mut trail = trail(vec![EventSelector::default()]);
    let arn = trail.arn().to_string();
    let (rate, errors) = ("ApiCallRateInsight", "ApiErrorRateInsight");
    let insights = [
        insight(rate, None, None),
        insight(rate, Some("Management"), None),
        insight(errors, Some("Management"), None),
        insight(rate, Some("Data"), Some(&arn)),
        insight(rate, Some("Data"), Some("arn:aws:cloudtrail:us-east-1:111122223333:trail/other")),
        insight("Other", Some("Management"), None),
        insight(rate, Some("Other"), None),
    ];
    let taken = |trail: &Trail| insights.iter().map(|record| takes(trail, record)).collect::<Vec<_>>();
    assert_eq!(taken(&trail), [false; 7]);
    let on = |categories: &[InsightCategory]| {
        vec![InsightSelector {
            insight_type: InsightType::ApiCallRate,
            event_categories: categories.iter().copied().collect(),
        }]
    };
    trail.insights = on(&[InsightCategory::Management]);
    assert_eq!(taken(&trail), [true, true, false, false, false, false, false]);
    trail.insights = on(&[InsightCategory::Data]);
    assert_eq!(taken(&trail), [false, false, false, true, false, false, false]);
    // Whatever the event selectors say; where and for whom counts.
    trail.selectors = Selectors::Basic(vec![data("AWS::S3::Object", &["arn:aws:s3"])]);
    trail.insights = on(&[InsightCategory::Management]);
    assert!(takes(&trail, &insights[1]));
    assert!(takes_of(&trail, Source::Insights, OWNER, &insights[1]));
    assert!(!takes_of(&trail, Source::StoreInsights, OWNER, &insights[1]));
    assert!(!takes_of(&trail, Source::Insights, "444455556666", &insights[1]));
    let mut elsewhere = insights[1].clone();
    elsewhere["awsRegion"] = json!("eu-west-1");
    assert!(!takes(&trail, &elsewhere));
}

#[test]
fn insights_and_events_of_a_batch_stay_in_order() {
    let mut trail = trail(vec![EventSelector::default()]);
    trail.insights = vec![InsightSelector {
        insight_type: InsightType::ApiCallRate,
        event_categories: [InsightCategory::Management].into(),
    }];
    let call = json!({ "awsRegion": "us-east-1", "eventSource": "ec2.amazonaws.com" });
    let found = insight("ApiCallRateInsight", None, None);
    let entries = [&found, &call, &found].map(|record| entry(Source::Gateway, OWNER, record));
    let batch = EventBatch::decode(Position::START, &entries);
    assert_eq!(Selection::of(&trail).rows(&batch, 0..3), [0, 1, 2]);
}

#[test]
fn global_services_can_be_left_out() {
    let mut trail = trail(vec![EventSelector::default()]);
    trail.include_global_service_events = false;
    let of = |source: &str| json!({"awsRegion": "us-east-1", "eventSource": source});
    assert!(takes(&trail, &of("ec2.amazonaws.com")));
    for source in ["iam.amazonaws.com", "cloudfront.amazonaws.com", "sts.amazonaws.com"] {
        assert!(!takes(&trail, &of(source)), "{source}");
    }
    let mut regional = of("sts.amazonaws.com");
    regional["additionalEventData"] = json!({"RequestDetails": {"endpointType": "regional"}});
    assert!(takes(&trail, &regional));
    regional["additionalEventData"]["RequestDetails"]["endpointType"] = json!("global");
    assert!(!takes(&trail, &regional));
    // Elsewhere IAM is no global service.
    trail.multi_region = true;
    assert!(takes(&trail, &json!({"awsRegion": "garage", "eventSource": "iam.amazonaws.com"})));
}

#[test]
fn the_endpoint_type_is_found_whatever_the_spacing() {
    for regional in [r#"{"endpointType":"regional"}"#, "{\"endpointType\" :\n\t \"regional\"}"] {
        assert!(says_regional_endpoint(regional.as_bytes()), "{regional}");
    }
    for other in ["{}", r#"{"endpointType":"global"}"#, r#"{"endpointType""#, r#"{"a":"regional"}"#] {
        assert!(!says_regional_endpoint(other.as_bytes()), "{other}");
    }
}

#[test]
fn own_deliveries_can_be_left_out() {
    let mut trail = trail(vec![data("AWS::S3::Object", &["arn:aws:s3"])]);
    let put = json!({"eventSource": "s3.amazonaws.com", "eventName": "PutObject", "eventCategory": "Data",
        "userIdentity": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}});
    assert!(takes(&trail, &put));
    trail.recursive_logging = false;
    assert!(!takes(&trail, &put));
    let mut by_user = put.clone();
    by_user["userIdentity"] = json!({"type": "IAMUser"});
    assert!(takes(&trail, &by_user));
}

#[test]
fn imports_and_other_accounts_are_never_taken() {
    let trail = trail(vec![EventSelector::default()]);
    let record = json!({"eventSource": "ec2.amazonaws.com"});
    for (source, account) in [(Source::Import, OWNER), (Source::Gateway, "444455556666")] {
        assert!(!takes_of(&trail, source, account, &record));
    }
}

/// The same rules once more, written over the record as JSON. What the selectors say is tested where they are.
fn plainly(trail: &Trail, source: Source, account: &str, record: &Value) -> bool {
    let text = |name: &str| record[name].as_str();
    let home = trail.key.home_region.as_str();
    let region = text("awsRegion").filter(|region| region.parse::<Region>().is_ok()).unwrap_or(home);
    let global = match text("eventSource") {
        Some("iam.amazonaws.com") => true,
        Some("sts.amazonaws.com") => {
            record["additionalEventData"]["RequestDetails"]["endpointType"].as_str() != Some("regional")
        }
        _ => false,
    };
    let own = record["userIdentity"]["invokedBy"] == "cloudtrail.amazonaws.com"
        && text("eventSource") == Some("s3.amazonaws.com")
        && text("eventName") == Some("PutObject");
    source != Source::Import
        && account == trail.key.account.to_string()
        && (trail.multi_region || region == home)
        && (trail.include_global_service_events || region != "us-east-1" || !global)
        && (trail.recursive_logging || !own)
        && record["readOnly"] != true
}

fn records() -> impl Strategy<Value = (Source, &'static str, Value)> {
    (
        select(vec![Source::Records, Source::Gateway, Source::Import]),
        select(vec![OWNER, OWNER, "444455556666"]),
        of(select(vec!["us-east-1", "eu-west-1", "us east", "garage"])),
        of(select(vec!["iam.amazonaws.com", "sts.amazonaws.com", "s3.amazonaws.com", "ec2.amazonaws.com"])),
        select(vec!["PutObject", "GetObject"]),
        any::<bool>(),
        of(select(vec!["regional", "global"])),
        any::<bool>(),
    )
        .prop_map(|(source, account, region, event_source, name, read_only, endpoint, own)| {
            let mut record = json!({ "eventName": name, "readOnly": read_only });
            for (name, value) in [("awsRegion", region), ("eventSource", event_source)] {
                if let Some(value) = value {
                    record[name] = json!(value);
                }
            }
            if let Some(endpoint) = endpoint {
                record["additionalEventData"] = json!({"RequestDetails": {"endpointType": endpoint}});
            }
            if own {
                record["userIdentity"] = json!({"invokedBy": "cloudtrail.amazonaws.com"});
            }
            (source, account, record)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn compiled_and_plain_rules_agree(
        records in vec(records(), 0..12),
        home in select(vec!["us-east-1", "eu-west-1", "garage"]),
        multi_region in any::<bool>(),
        global in any::<bool>(),
        recursive in any::<bool>(),
        start in 0usize..12,
    ) {
        let writes = EventSelector { read_write_type: ReadWriteType::WriteOnly, ..EventSelector::default() };
        let mut trail = Trail {
            multi_region,
            include_global_service_events: global,
            recursive_logging: recursive,
            ..trail(vec![writes])
        };
        trail.key.home_region = home.parse().unwrap();
        let entries: Vec<Entry> = (1..)
            .zip(&records)
            .map(|(position, (source, account, record))| {
                Entry { position: Position(position), ..entry(*source, account, record) }
            })
            .collect();
        let batch = EventBatch::decode(Position::START, &entries);
        let among = start.min(records.len())..records.len();
        let expected: Vec<usize> = among
            .clone()
            .filter(|row| plainly(&trail, records[*row].0, records[*row].1, &records[*row].2))
            .collect();
        prop_assert_eq!(Selection::of(&trail).rows(&batch, among), expected, "{:?} {:?}", records, trail);
    }
}
