//! What it costs to ask five hundred rules about a record: real records, or made ones of the usual size where there are
//! none. The time is that of one record.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_patterns::{EventPattern, PatternSet, Scratch};

#[path = "../tests/common/mod.rs"]
mod common;

const RULES: usize = 500;

const EVENTS: [&str; 8] = [
    "AssumeRole",
    "ConsoleLogin",
    "CreateAccessKey",
    "DeleteTrail",
    "DescribeInstances",
    "GetCallerIdentity",
    "ListBuckets",
    "PutBucketPolicy",
];

/// Rules as they are written: of the calls of a service, each of some events of its own.
fn different(rules: usize) -> Vec<String> {
    let one = |number: usize| {
        let names = ["Create", "Delete", "Update"].map(|verb| format!("\"{verb}Thing{number}\"")).join(",");
        format!(
            r#"{{"source":["aws.service{}"],"detail-type":["AWS API Call via CloudTrail"],"detail":{{"eventSource":["service{}.amazonaws.com"],"eventName":[{names}]}}}}"#,
            number % 50,
            number % 50
        )
    };
    (0..rules).map(one).collect()
}

/// The same events for everybody, each rule for an account of its own.
fn by_account() -> Vec<String> {
    let one = |number: usize| {
        let event = EVENTS[number % EVENTS.len()];
        format!(
            r#"{{"detail-type":["AWS API Call via CloudTrail"],"detail":{{"eventName":["{event}"],"errorCode":[{{"exists":false}}],"recipientAccountId":["1111222{number:05}"]}}}}"#
        )
    };
    (0..RULES).map(one).collect()
}

/// All operators.
fn mixed() -> Vec<String> {
    let one = |number: usize| {
        let detail = match number % 8 {
            0 => format!(r#""eventName":[{{"prefix":"Thing{number}"}}]"#),
            1 => format!(r#""eventName":[{{"suffix":"Thing{number}"}}]"#),
            2 => format!(r#""userAgent":[{{"wildcard":"*tool-{number}*"}}]"#),
            3 => format!(r#""sourceIPAddress":[{{"cidr":"10.{}.{}.0/24"}}]"#, number / 200, number % 200),
            4 => format!(r#""userIdentity":{{"userName":[{{"equals-ignore-case":"User{number}"}}]}}"#),
            5 => format!(r#""requestParameters":{{"maxResults":[{{"numeric":[">",{number}]}}]}}"#),
            6 => format!(r#""eventName":["Get{number}"],"userIdentity":{{"arn":[{{"anything-but":"a"}}]}}"#),
            _ => format!(
                r#""$or":[{{"errorCode":["Error{number}"]}},{{"userIdentity":{{"type":["Root"],"userName":["r{number}"]}}}}]"#
            ),
        };
        format!(r#"{{"source":[{{"prefix":"aws."}}],"detail":{{{detail}}}}}"#)
    };
    (0..RULES).map(one).collect()
}

/// Wildcards alone.
fn wildcards() -> Vec<String> {
    let one = |number| {
        format!(
            r#"{{"detail":{{"userAgent":[{{"wildcard":"*tool-{number}*"}}],"userIdentity":{{"arn":[{{"wildcard":"*:user/{number}-*"}}]}}}}}}"#
        )
    };
    (0..RULES).map(one).collect()
}

fn records() -> Vec<String> {
    let real = common::real_records();
    if !real.is_empty() {
        return real;
    }
    let made = |number: usize| {
        let pad = "x".repeat(700);
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/Batch/{number}","accountId":"111122223333"}},"eventTime":"2026-11-20T10:11:12Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli","requestParameters":{{"key":"{pad}"}},"responseElements":null,"readOnly":true,"eventType":"AwsApiCall","recipientAccountId":"111122223333"}}"#
        )
    };
    (0..600).map(made).collect()
}

fn patterns(c: &mut Criterion) {
    let records = records();
    let bytes: usize = records.iter().map(String::len).sum();
    println!("{} records of {} bytes on average", records.len(), bytes / records.len());
    let mut group = c.benchmark_group("patterns");
    group.throughput(Throughput::Elements(1));
    // A single one that never matches: what walking the records costs.
    let one = vec![r#"{"detail":{"nowhere":["x"]}}"#.to_owned()];
    let sets = [
        ("one", one),
        ("different_5", different(5)),
        ("different", different(RULES)),
        ("by_account", by_account()),
        ("mixed", mixed()),
        ("wildcards", wildcards()),
    ];
    for (name, patterns) in sets {
        let parse = |(number, pattern): (usize, &String)| (number, EventPattern::parse(pattern).expect("a pattern"));
        let set: PatternSet<usize> = patterns.iter().enumerate().map(parse).collect();
        let mut scratch = Scratch::default();
        let count = |record, scratch: &mut Scratch| set.matches(&common::event("aws.s3", record), scratch).count();
        let matches: usize = records.iter().map(|record| count(record, &mut scratch)).sum();
        println!("{name}: {} rules, {matches} matches", set.len());
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = (turn + 1) % records.len();
                count(black_box(&records[turn]), &mut scratch)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, patterns);
criterion_main!(benches);
