//! What it costs to ask five hundred filters about a record: real records, or made ones of the usual size where there
//! are none, and CIS's patterns over and over, as they are for many accounts. The time is that of one record.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_filters::{FilterPattern, FilterSet, Scratch};

#[path = "../tests/common/mod.rs"]
mod common;

const FILTERS: usize = 500;

/// The same patterns for everybody.
fn same() -> Vec<String> {
    common::cis_patterns().map(|(_, pattern)| pattern.to_owned()).cycle().take(FILTERS).collect()
}

/// Each time for another account, as filters of an organization's trail may be.
fn by_account() -> Vec<String> {
    let one = |(number, pattern): (usize, String)| {
        let inside = pattern.trim_start_matches('{').trim_end_matches('}').trim();
        let limited = format!("{{ ({inside}) && $.recipientAccountId = \"1111222{number:05}\" }}");
        if limited.len() > 1024 { pattern } else { limited }
    };
    same().into_iter().enumerate().map(one).collect()
}

/// Five hundred different ones, each about events of its own.
fn different() -> Vec<String> {
    let one = |number| {
        let name = |verb: &str| format!("$.eventName = {verb}Thing{number}");
        let names = ["Create", "Delete", "Update"].map(name).join(" || ");
        format!("{{ $.eventSource = service{}.amazonaws.com && ({names}) && $.errorCode NOT EXISTS }}", number % 50)
    };
    (0..FILTERS).map(one).collect()
}

/// What no index helps with.
fn plain() -> Vec<String> {
    let one = |number| format!("{{ $.userAgent = \"*tool-{number}*\" || $.userIdentity.arn = \"*:user/{number}-*\" }}");
    (0..FILTERS).map(one).collect()
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

fn filters(c: &mut Criterion) {
    let records = records();
    let bytes: usize = records.iter().map(String::len).sum();
    println!("{} records of {} bytes on average", records.len(), bytes / records.len());
    let mut group = c.benchmark_group("filters");
    group.throughput(Throughput::Elements(1));
    // A single one that never matches: what walking the messages costs.
    let one = vec!["{ $.nowhere = x }".to_owned()];
    let sets =
        [("one", one), ("same", same()), ("by_account", by_account()), ("different", different()), ("plain", plain())];
    for (name, patterns) in sets {
        let set = FilterSet::new(patterns.iter().map(|pattern| FilterPattern::parse(pattern).expect("a pattern")));
        let mut scratch = Scratch::default();
        let matches: usize = records.iter().map(|record| set.matching(record, &mut scratch).len()).sum();
        println!("{name}: {} filters, {matches} matches", set.patterns().len());
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = (turn + 1) % records.len();
                set.matching(black_box(&records[turn]), &mut scratch).len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, filters);
criterion_main!(benches);
