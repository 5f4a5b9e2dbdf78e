//! What it costs to decide which events five trails with advanced selectors take: in batches of 500 records, and of the
//! single record that the tail of the journal mostly gives. The throughput is in records times trails.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_delivery::Selection;
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_model::{
    AdvancedEventSelector, FieldSelector, Position, Region, SelectorField as F, Selectors, Source, Timestamp,
};
use opentrail_trails::{Trail, TrailKey};

const OWNER: &str = "111122223333";

/// The `n`th record: three of four are data events of S3 objects, one is a management event.
fn record(n: u64) -> String {
    let name = ["GetObject", "PutObject", "HeadObject", "AssumeRole"][n as usize % 4];
    let (source, category, read_only) = match name {
        "AssumeRole" => ("sts.amazonaws.com", "Management", true),
        _ => ("s3.amazonaws.com", "Data", name != "PutObject"),
    };
    let bucket = ["logs", "data", "images"][n as usize % 3];
    let resources = match category {
        "Data" => format!(
            r#"[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/2026/11/{n}"}},{{"accountId":"{OWNER}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}]"#
        ),
        _ => format!(r#"[{{"accountId":"{OWNER}","type":"AWS::IAM::Role","ARN":"arn:aws:iam::{OWNER}:role/Batch"}}]"#),
    };
    let pad = "x".repeat(330);
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE:worker-{n}","arn":"arn:aws:sts::{OWNER}:assumed-role/Batch/worker-{n}","accountId":"{OWNER}"}},"eventTime":"2026-11-20T10:11:12Z","eventSource":"{source}","eventName":"{name}","awsRegion":"us-east-1","userAgent":"{pad}","requestParameters":{{"bucketName":"{bucket}"}},"responseElements":null,"eventID":"00000000-0000-4000-8000-{n:012}","readOnly":{read_only},"resources":{resources},"eventType":"AwsApiCall","managementEvent":{},"recipientAccountId":"{OWNER}","eventCategory":"{category}"}}"#,
        category == "Management"
    )
}

fn batch(records: u64) -> EventBatch {
    let entry = |n| Entry {
        position: Position(n),
        source: Source::Records,
        account: OWNER.parse().expect("an account id"),
        received: Timestamp::from_secs(1_795_000_000),
        body: record(n).into(),
    };
    EventBatch::decode(Position::START, &(1..=records).map(entry).collect::<Vec<_>>())
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn equals(field: F, values: &[&str]) -> FieldSelector {
    FieldSelector { equals: texts(values), ..FieldSelector::of(field) }
}

/// The data events of objects for which `more` holds as well.
fn objects(more: Vec<FieldSelector>) -> AdvancedEventSelector {
    let mut field_selectors = vec![equals(F::EventCategory, &["Data"]), equals(F::ResourcesType, &["AWS::S3::Object"])];
    field_selectors.extend(more);
    AdvancedEventSelector { name: None, field_selectors }
}

fn management(more: Vec<FieldSelector>) -> AdvancedEventSelector {
    let mut field_selectors = vec![equals(F::EventCategory, &["Management"])];
    field_selectors.extend(more);
    AdvancedEventSelector { name: None, field_selectors }
}

fn trails() -> Vec<Trail> {
    let no_kms = FieldSelector { not_equals: texts(&["kms.amazonaws.com"]), ..FieldSelector::of(F::EventSource) };
    let in_logs = FieldSelector { starts_with: texts(&["arn:aws:s3:::logs/"]), ..FieldSelector::of(F::ResourcesArn) };
    let not_in_logs =
        FieldSelector { not_starts_with: texts(&["arn:aws:s3:::logs/"]), ..FieldSelector::of(F::ResourcesArn) };
    let no_service_roles = FieldSelector {
        not_starts_with: texts(&["arn:aws:sts::111122223333:assumed-role/AWSServiceRole"]),
        ..FieldSelector::of(F::UserIdentityArn)
    };
    let changes = FieldSelector { starts_with: texts(&["Put", "Delete", "Copy"]), ..FieldSelector::of(F::EventName) };
    let hundred: Vec<String> = (0..100).map(|n| format!("arn:aws:s3:::data/2026/{n:02}/")).collect();
    let in_hundred = FieldSelector { starts_with: hundred, ..FieldSelector::of(F::ResourcesArn) };
    let writes = || equals(F::ReadOnly, &["false"]);
    [
        vec![management(vec![no_kms])],
        vec![management(vec![writes()]), objects(vec![writes(), not_in_logs])],
        vec![objects(vec![in_logs]), objects(vec![changes])],
        vec![management(vec![]), objects(vec![no_service_roles])],
        vec![objects(vec![in_hundred])],
    ]
    .into_iter()
    .enumerate()
    .map(|(n, advanced)| Trail {
        key: TrailKey {
            account: OWNER.parse().expect("an account id"),
            home_region: Region::us_east_1(),
            name: format!("trail-{n}").parse().expect("a name"),
        },
        version: 1,
        bucket: "logs".into(),
        prefix: None,
        kms_key: None,
        organization: None,
        include_global_service_events: true,
        multi_region: true,
        log_file_validation: true,
        recursive_logging: true,
        logging: true,
        started: None,
        stopped: None,
        selectors: Selectors::Advanced { advanced },
        aggregation: Vec::new(),
        insights: Vec::new(),
        topic: None,
        log_group: None,
        tags: Vec::new(),
        created: Timestamp::EPOCH,
    })
    .collect()
}

fn select(c: &mut Criterion) {
    let selections: Vec<Selection> = trails().iter().map(Selection::of).collect();
    let mut group = c.benchmark_group("selection");
    for records in [500, 1] {
        let batch = batch(records);
        group.throughput(Throughput::Elements(records * selections.len() as u64));
        group.bench_function(format!("{records} records, 5 trails"), |b| {
            b.iter(|| {
                let taken = |selection: &Selection| selection.rows(black_box(&batch), 0..batch.len()).len();
                selections.iter().map(taken).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, select);
criterion_main!(benches);
