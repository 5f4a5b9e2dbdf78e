//! Decoding against a plain evaluator, on real records and on hostile ones.

#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

use std::path::PathBuf;

use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

fn batch(bodies: Vec<Bytes>) -> EventBatch {
    let entries: Vec<Entry> = (1..)
        .zip(bodies)
        .map(|(position, body)| Entry {
            position: Position(position),
            source: Source::Records,
            account: "111122223333".parse().unwrap(),
            received: Timestamp::from_secs(1_795_000_000),
            body,
        })
        .collect();
    EventBatch::decode(Position::START, &entries)
}

fn one(body: &str) -> EventBatch {
    batch(vec![Bytes::copy_from_slice(body.as_bytes())])
}

#[test]
fn a_batch_of_one_takes_little_more_than_its_record() {
    let body = format!(r#"{{"eventName":"PutObject","requestParameters":"{}"}}"#, "x".repeat(1_000));
    let size_bytes = one(&body).size_bytes();
    assert!((1_000..12_000).contains(&size_bytes), "{size_bytes} bytes");
}

fn lenient_bool(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()?.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}

/// Every column of every row against what serde_json says of the same bytes.
fn assert_like_serde(bodies: Vec<Bytes>) {
    let batch = batch(bodies.clone());
    assert_eq!(batch.len(), bodies.len());
    for (event, body) in batch.events().zip(&bodies) {
        assert_eq!(event.raw(), &body[..], "the raw bytes are untouched");
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| value[name].as_str();
        let identity = &value["userIdentity"];
        let seen = String::from_utf8_lossy(body);
        assert_eq!(event.name(), text("eventName"), "{seen}");
        assert_eq!(event.event_source(), text("eventSource"), "{seen}");
        assert_eq!(event.event_type(), text("eventType"), "{seen}");
        assert_eq!(event.region(), text("awsRegion"), "{seen}");
        assert_eq!(event.error_code(), text("errorCode"), "{seen}");
        assert_eq!(event.id(), text("eventID").or(text("eventId")), "{seen}");
        assert_eq!(event.time(), text("eventTime").and_then(|t| t.parse().ok()), "{seen}");
        assert_eq!(event.read_only(), lenient_bool(&value["readOnly"]), "{seen}");
        let from_console = lenient_bool(&value["sessionCredentialFromConsole"]);
        assert_eq!(event.session_credential_from_console(), from_console, "{seen}");
        assert_eq!(event.vpc_endpoint_id(), text("vpcEndpointId"), "{seen}");
        assert_eq!(event.user_arn(), identity["arn"].as_str(), "{seen}");
        assert_eq!(event.access_key_id(), identity["accessKeyId"].as_str().filter(|k| !k.is_empty()), "{seen}");
        assert_eq!(event.invoked_by(), identity["invokedBy"].as_str(), "{seen}");
        let resources: Vec<_> = event.resources().collect();
        let expected: Vec<_> = value["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|r| (r["type"].as_str(), r["ARN"].as_str().or(r["ARNPrefix"].as_str())))
            .collect();
        assert_eq!(resources, expected, "{seen}");
    }
}

fn real_records() -> Vec<Bytes> {
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: no real records in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
        return Vec::new();
    };
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ndjson"));
    paths
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn real_records_decode_as_serde_json_reads_them() {
    assert_like_serde(real_records());
}

#[test]
fn real_bucket_calls_name_their_bucket() {
    for event in batch(real_records()).events() {
        let value: Value = serde_json::from_slice(event.raw()).unwrap();
        if let (Some("s3.amazonaws.com"), Some(bucket)) =
            (event.event_source(), value["requestParameters"]["bucketName"].as_str())
        {
            assert_eq!(event.lookup_resources().collect::<Vec<_>>(), [(Some("AWS::S3::Bucket"), Some(bucket))]);
        }
    }
}

#[test]
fn usernames_are_derived_by_identity_type() {
    for (identity, expected) in [
        (r#"{"type":"IAMUser","userName":"alice"}"#, Some("alice")),
        (r#"{"type":"AssumedRole","principalId":"AROAX:session"}"#, Some("session")),
        (r#"{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/R/s2"}"#, Some("s2")),
        (r#"{"type":"FederatedUser","principalId":"111122223333:bob"}"#, Some("bob")),
        (r#"{"type":"Root","principalId":"111122223333"}"#, Some("root")),
        (r#"{"type":"AWSService","invokedBy":"ec2.amazonaws.com","userName":"x"}"#, None),
        (r#"{"type":"AWSAccount","principalId":"AIDAX","accountId":"111122223333"}"#, None),
        (r#"{"userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#, Some("HIDDEN_DUE_TO_SECURITY_REASONS")),
        (r#"["IAMUser"]"#, None),
    ] {
        let batch = one(&format!(r#"{{"userIdentity":{identity}}}"#));
        assert_eq!(batch.event(0).username(), expected, "{identity}");
    }
}

#[test]
fn assume_role_names_key_session_and_role() {
    let batch = one(r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole",
        "requestParameters":{"roleArn":"arn:aws:iam::111122223333:role/R","roleSessionName":"s"},
        "responseElements":{"credentials":{"accessKeyId":"ASIAX"},"assumedRoleUser":{"assumedRoleId":"AROAX:s",
        "arn":"arn:aws:sts::111122223333:assumed-role/R/s"}},
        "resources":[{"type":"AWS::IAM::Role","ARN":"arn:aws:iam::111122223333:role/R"}]}"#);
    let found: Vec<_> = batch.event(0).lookup_resources().map(|(t, n)| (t.unwrap(), n.unwrap())).collect();
    assert_eq!(
        found,
        [
            ("AWS::IAM::AccessKey", "ASIAX"),
            ("AWS::STS::AssumedRole", "s"),
            ("AWS::STS::AssumedRole", "AROAX:s"),
            ("AWS::STS::AssumedRole", "arn:aws:sts::111122223333:assumed-role/R/s"),
            ("AWS::IAM::Role", "arn:aws:iam::111122223333:role/R"),
        ]
    );
}

#[test]
fn run_instances_names_every_thing_once() {
    let batch = one(
        r#"{"eventSource":"ec2.amazonaws.com","requestParameters":{"instancesSet":{"items":[{"imageId":"ami-1"}]}},
        "responseElements":{"instancesSet":{"items":[{"instanceId":"i-1","imageId":"ami-1","vpcId":"vpc-1"},
        {"instanceId":"i-2","imageId":"ami-1","vpcId":"vpc-1"}]}}}"#,
    );
    let found: Vec<_> = batch.event(0).lookup_resources().filter_map(|(_, name)| name).collect();
    assert_eq!(found, ["ami-1", "i-1", "i-2", "vpc-1"]);
}

#[test]
fn a_service_without_rules_falls_back_to_the_records_resources() {
    let batch = one(
        r#"{"eventSource":"glue.amazonaws.com","resources":[{"type":"AWS::Glue::Job","ARN":"arn:x"},{"ARN":"arn:y"}]}"#,
    );
    let found: Vec<_> = batch.event(0).lookup_resources().collect();
    assert_eq!(found, [(Some("AWS::Glue::Job"), Some("arn:x")), (None, Some("arn:y"))]);
}

#[test]
fn bytes_that_are_no_record_have_null_columns_and_keep_their_bytes() {
    let bodies: Vec<Bytes> =
        [&b"{\"eventName\":\"X\",oops"[..], b"", b"\xff\xfe", b"[1]", b"\"eventName\"", b"{\"eventName\":\"X\"} {}"]
            .map(Bytes::from_static)
            .to_vec();
    assert_like_serde(bodies);
}

#[test]
fn the_last_of_a_repeated_key_counts() {
    assert_like_serde(vec![Bytes::from_static(
        br#"{"eventName":"A","eventName":"B","userIdentity":{"arn":"a"},"userIdentity":{"arn":"b"},"readOnly":true,"readOnly":7}"#,
    )]);
}

#[test]
fn a_key_of_half_a_character_costs_no_column() {
    let record = |odd: &str| {
        one(&format!(
            r#"{{{odd}"eventID":"id-1","eventName":"RunInstances","eventSource":"ec2.amazonaws.com","readOnly":false,
            "awsRegion":"us-east-1","eventTime":"2026-01-02T03:04:05Z","errorCode":"E","eventType":"AwsApiCall",{odd}
            "userIdentity":{{{odd}"type":"IAMUser","userName":"alice","arn":"arn:a",{odd}"accessKeyId":"AKIAX"}},
            "resources":[{{{odd}"type":"AWS::EC2::Instance","ARN":"arn:i"}}],
            "requestParameters":{{{odd}"instancesSet":{{{odd}"items":[{{{odd}"imageId":"ami-1"}}]}}}},
            "responseElements":{{{odd}"instancesSet":{{"items":[{{{odd}"instanceId":"i-1"}}]}}}},
            {odd}"eventCategory":"Data"}}"#
        ))
    };
    let columns = |batch: &EventBatch| {
        let event = batch.event(0);
        let texts = [event.id(), event.name(), event.event_source(), event.region(), event.error_code()];
        let who = [event.event_type(), event.user_arn(), event.access_key_id(), event.username()];
        let owned = |pairs: Vec<(Option<&str>, Option<&str>)>| format!("{pairs:?}");
        let resources = [owned(event.resources().collect()), owned(event.lookup_resources().collect())];
        let rest = (event.time(), event.read_only(), event.category().to_owned());
        (texts.map(|text| text.unwrap().to_owned()), who.map(|text| text.unwrap().to_owned()), resources, rest)
    };
    let plain = columns(&record(""));
    for odd in [r#""\ud800": 1, "#, r#""\udfff":{"eventName":"no"},"#, r#""eventName\ud800":"no","#] {
        assert_eq!(columns(&record(odd)), plain, "{odd}");
    }
    // What is no JSON has no columns, whatever the key before it.
    assert_eq!(one(r#"{"eventName":"A","\ud800":1,}"#).event(0).name(), None);
    assert_eq!(one(r#"{"eventName":"A","\ud8zz":1}"#).event(0).name(), None);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof!["true", "False", "AssumedRole", "2026-01-02T03:04:05Z", "s3.amazonaws.com", "ec2.amazonaws.com"]
            .prop_map(Value::from),
    ];
    let keys = prop_oneof![
        prop::sample::select(vec![
            "type",
            "ARN",
            "ARNPrefix",
            "arn",
            "principalId",
            "userName",
            "accessKeyId",
            "bucketName",
            "instancesSet",
            "items",
            "instanceId",
            "roleArn",
            "name",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn wrong_types_anywhere_decode_as_serde_json_reads_them(
        members in prop::collection::vec((prop::sample::select(vec![
            "eventTime", "awsRegion", "eventID", "eventId", "eventName", "eventSource", "eventType", "eventCategory",
            "managementEvent", "readOnly", "errorCode", "userIdentity", "resources", "requestParameters",
            "responseElements", "sessionCredentialFromConsole", "vpcEndpointId", "other",
        ]), any_json()), 0..12),
    ) {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?} : {value}")).collect();
        assert_like_serde(vec![Bytes::from(format!("{{{}}}", members.join(" ,")))]);
    }

    #[test]
    fn cut_records_never_panic(cut in 0usize..200) {
        let whole = br#"{"eventName":"A","userIdentity":{"type":"IAMUser","userName":"\u00e9"},"eventSource":"ec2.amazonaws.com","requestParameters":{"instancesSet":{"items":[{"instanceId":"i-1"}]}}}"#;
        let body = Bytes::from_static(&whole[..cut.min(whole.len())]);
        assert_like_serde(vec![body]);
    }
}

#[test]
fn an_event_of_insights_has_the_name_of_the_calls_that_it_is_about() {
    let trails = one(
        r#"{"eventCategory":"Insight","eventType":"AwsCloudTrailInsight","insightDetails":{"eventSource":"s3.amazonaws.com",
            "eventName":"GetObject","insightType":"ApiCallRateInsight","sourceEventCategory":"Data","insightSource":"arn:trail"}}"#,
    );
    let event = trails.event(0);
    assert_eq!((event.event_source(), event.name()), (Some("s3.amazonaws.com"), Some("GetObject")));
    let subject = event.insight();
    assert_eq!(subject.insight_type.as_deref(), Some("ApiCallRateInsight"));
    assert_eq!((subject.category.as_deref(), subject.source.as_deref()), (Some("Data"), Some("arn:trail")));
    let stores = one(r#"{"eventCategory":"Insight","insightSource":"arn:store","insightEventName":"PutObject"}"#);
    assert_eq!(stores.event(0).insight().source.as_deref(), Some("arn:store"));
    for odd in
        [r#"{"insightDetails":7,"insightSource":{}}"#, r#"{"insightDetails":{"eventName":[],"insightType":1}}"#, "[]"]
    {
        let event = one(odd);
        assert_eq!(
            (event.event(0).name(), event.event(0).insight()),
            (None, opentrail_event::InsightSubject::default()),
            "{odd}"
        );
    }
    let named = one(r#"{"eventName":"A","insightDetails":{"eventName":"B"}}"#);
    assert_eq!(named.event(0).name(), Some("A"));
}
