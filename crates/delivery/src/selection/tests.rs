use super::*;

use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_model::{Position, Timestamp};
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
        include_global_service_events: true,
        multi_region: false,
        log_file_validation: false,
        recursive_logging: true,
        logging: true,
        started: None,
        stopped: None,
        selectors,
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
    let batch = EventBatch::decode(Position::START, &[entry(Source::Gateway, OWNER, record)]);
    Selection::of(trail).matches(batch.event(0))
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
        let batch = EventBatch::decode(Position::START, &[entry(source, account, &record)]);
        assert!(!Selection::of(&trail).matches(batch.event(0)));
    }
}

#[test]
fn streams_match_their_table_and_functions_only_exactly() {
    let table = "arn:aws:dynamodb:us-east-1:111122223333:table/t";
    let of = |kind: &str, arn: &str| json!({"eventCategory": "Data", "resources": [{"type": kind, "ARN": arn}]});
    let tables = trail(vec![data("AWS::DynamoDB::Table", &[table])]);
    assert!(takes(&tables, &of("AWS::DynamoDB::Table", table)));
    assert!(takes(&tables, &of("AWS::DynamoDB::Stream", &format!("{table}/stream/2026"))));
    assert!(!takes(&tables, &of("AWS::DynamoDB::Table", &format!("{table}2"))));
    let function = "arn:aws:lambda:us-east-1:111122223333:function:f";
    let functions = trail(vec![data("AWS::Lambda::Function", &[function])]);
    assert!(takes(&functions, &of("AWS::Lambda::Function", function)));
    assert!(!takes(&functions, &of("AWS::Lambda::Function", &format!("{function}2"))));
}

/// The same rules once more, written over the record as JSON.
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
    let category = text("eventCategory").unwrap_or("Management");
    let read_only = record["readOnly"].as_bool();
    source != Source::Import
        && account == trail.key.account.to_string()
        && (trail.multi_region || region == home)
        && (trail.include_global_service_events || region != "us-east-1" || !global)
        && (trail.recursive_logging || !own)
        && trail.selectors.iter().any(|selector| {
            let direction = match selector.read_write_type {
                ReadWriteType::All => true,
                ReadWriteType::ReadOnly => read_only == Some(true),
                ReadWriteType::WriteOnly => read_only != Some(true),
            };
            let excluded = &selector.exclude_management_event_sources;
            direction
                && match category {
                    "Management" => {
                        let source = text("eventSource").unwrap_or_default();
                        selector.include_management_events && !excluded.iter().any(|e| e == source)
                    }
                    "Data" => selector.data_resources.iter().any(|wanted| plainly_data(wanted, record)),
                    _ => false,
                }
        })
}

fn plainly_data(wanted: &DataResource, record: &Value) -> bool {
    let all: &[&str] = match wanted.kind.as_str() {
        "AWS::S3::Object" => &["arn:aws:s3", "arn:aws:s3:::"],
        "AWS::Lambda::Function" => &["arn:aws:lambda"],
        _ => &["arn:aws:dynamodb"],
    };
    let resources = record["resources"].as_array().cloned().unwrap_or_default();
    let types: &[&str] = match wanted.kind.as_str() {
        "AWS::DynamoDB::Table" => &["AWS::DynamoDB::Table", "AWS::DynamoDB::Stream"],
        _ => &[wanted.kind.as_str()],
    };
    let service = all[0].rsplit(':').next().unwrap();
    let wants_all = wanted.values.iter().any(|value| all.contains(&value.as_str()));
    if resources.is_empty() {
        return wants_all && record["eventSource"] == format!("{service}.amazonaws.com");
    }
    resources.iter().any(|resource| {
        let arn = resource["ARN"].as_str();
        let typed = match resource["type"].as_str() {
            Some(kind) => types.contains(&kind),
            None => arn.is_some_and(|arn| arn.split(':').nth(2) == Some(service)),
        };
        let named = arn.is_some_and(|arn| {
            wanted.values.iter().any(|value| match service {
                "s3" => arn.starts_with(value.as_str()),
                "lambda" => arn == value,
                _ => arn == value || arn.starts_with(&format!("{value}/stream/")),
            })
        });
        typed && (wants_all || named)
    })
}

const SOURCES: [&str; 7] = [
    "iam.amazonaws.com",
    "sts.amazonaws.com",
    "s3.amazonaws.com",
    "lambda.amazonaws.com",
    "dynamodb.amazonaws.com",
    "kms.amazonaws.com",
    "ec2.amazonaws.com",
];
const TYPES: [&str; 5] =
    ["AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table", "AWS::DynamoDB::Stream", "AWS::S3::Bucket"];
const ARNS: [&str; 9] = [
    "arn:aws:s3",
    "arn:aws:s3:::",
    "arn:aws:s3:::b/",
    "arn:aws:s3:::b/pre/key",
    "arn:aws:s3:::b",
    "arn:aws:lambda",
    "arn:aws:lambda:us-east-1:111122223333:function:f",
    "arn:aws:dynamodb:us-east-1:111122223333:table/t",
    "arn:aws:dynamodb:us-east-1:111122223333:table/t/stream/1",
];

fn records() -> impl Strategy<Value = Value> {
    let resource = (of(select(&TYPES[..])), of(select(&ARNS[..])));
    (
        of(select(vec!["us-east-1", "eu-west-1", "us east", "garage"])),
        of(select(&SOURCES[..])),
        select(vec!["PutObject", "GetObject"]),
        of(select(vec!["Management", "Data", "Insight"])),
        of(any::<bool>()),
        of(select(vec!["regional", "global"])),
        any::<bool>(),
        vec(resource, 0..3),
    )
        .prop_map(|(region, source, name, category, read_only, endpoint, own, resources)| {
            let mut record = json!({ "eventName": name });
            let texts = [("awsRegion", region), ("eventSource", source), ("eventCategory", category)];
            for (name, value) in texts {
                if let Some(value) = value {
                    record[name] = json!(value);
                }
            }
            if let Some(read_only) = read_only {
                record["readOnly"] = json!(read_only);
            }
            if let Some(endpoint) = endpoint {
                record["additionalEventData"] = json!({"RequestDetails": {"endpointType": endpoint}});
            }
            if own {
                record["userIdentity"] = json!({"invokedBy": "cloudtrail.amazonaws.com"});
            }
            if !resources.is_empty() {
                record["resources"] = resources.iter().map(|(kind, arn)| json!({"type": kind, "ARN": arn})).collect();
            }
            record
        })
}

fn selectors() -> impl Strategy<Value = EventSelector> {
    let direction = select(vec![ReadWriteType::All, ReadWriteType::ReadOnly, ReadWriteType::WriteOnly]);
    let resource = (select(&TYPES[..3]), vec(select(&ARNS[..]), 0..3))
        .prop_map(|(kind, values)| (kind.to_owned(), values.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    (direction, any::<bool>(), vec(resource, 0..3), any::<bool>()).prop_map(|(direction, management, data, exclude)| {
        EventSelector {
            read_write_type: direction,
            include_management_events: management,
            data_resources: data.into_iter().map(|(kind, values)| DataResource { kind, values }).collect(),
            exclude_management_event_sources: exclude.then(|| "kms.amazonaws.com".to_owned()).into_iter().collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn compiled_and_plain_rules_agree(
        record in records(),
        selectors in vec(selectors(), 1..3),
        multi_region in any::<bool>(),
        global in any::<bool>(),
        recursive in any::<bool>(),
        import in any::<bool>(),
        foreign in any::<bool>(),
    ) {
        let trail = Trail {
            multi_region,
            include_global_service_events: global,
            recursive_logging: recursive,
            ..trail(selectors)
        };
        let source = if import { Source::Import } else { Source::Records };
        let account = if foreign { "444455556666" } else { OWNER };
        let batch = EventBatch::decode(Position::START, &[entry(source, account, &record)]);
        prop_assert_eq!(
            Selection::of(&trail).matches(batch.event(0)),
            plainly(&trail, source, account, &record),
            "{} {:?}", record, trail
        );
    }
}
