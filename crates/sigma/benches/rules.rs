//! What it costs to run five hundred rules over a record: real records, or made ones of the usual size where there are none.
//! The time is that of one record.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_sigma::RuleSet;

const RULES: usize = 500;

fn rule(number: usize, detection: &str) -> String {
    let source = "logsource: {product: aws, service: cloudtrail}";
    format!("title: rule {number}\nid: rule-{number}\n{source}\ndetection:\n{detection}---\n")
}

/// Most published rules: a source, some names, now and then a value within the parameters, and exceptions.
fn usual() -> String {
    let one = |number: usize| {
        let names: Vec<String> =
            ["Create", "Delete", "Update"].iter().map(|verb| format!("{verb}Thing{number}")).collect();
        let more = if number.is_multiple_of(3) { "    requestParameters.policy|contains: '*Allow*'\n" } else { "" };
        let filter = "  filter_main: {userIdentity.invokedBy|endswith: .amazonaws.com}\n";
        let selection = format!(
            "  selection:\n    eventSource: service{}.amazonaws.com\n    eventName: [{}]\n{more}",
            number % 50,
            names.join(", ")
        );
        rule(
            number,
            &format!("{selection}{filter}  condition: selection and not 1 of filter_main_*\n")
                .replace("filter_main:", "filter_main_a:"),
        )
    };
    (0..RULES).map(one).collect()
}

/// The names that records have, so that each is looked at by some rules.
fn frequent() -> String {
    let names = ["GetObject", "AssumeRole", "DescribeInstances", "PutObject", "GetCallerIdentity", "CreateUser"];
    let one = |number: usize| {
        let name = names[number % names.len()];
        rule(
            number,
            &format!("  s:\n    eventName: {name}\n    userIdentity.arn|contains: ':user/{number}-'\n  condition: s\n"),
        )
    };
    (0..RULES).map(one).collect()
}

/// Rules that name no event: each record is read.
fn open() -> String {
    let one = |number: usize| {
        rule(
            number,
            &format!(
                "  a: {{userAgent|contains: tool-{number}-}}\n  b: {{userIdentity.arn: '*:user/{number}-*'}}\n  condition: a or b\n"
            ),
        )
    };
    (0..RULES).map(one).collect()
}

/// As rules are loaded: mostly usual ones, twenty that name no event.
fn mixed() -> String {
    let documents = |text: &str, from: usize, to: usize| {
        text.split("---\n").take(to).skip(from).map(|text| format!("{text}---\n")).collect::<String>()
    };
    documents(&usual(), 20, RULES) + &documents(&open(), 0, 20)
}

fn records() -> Vec<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA").map_or(beside, PathBuf::from);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).map(|files| files.flatten().map(|file| file.path()).collect()).unwrap_or_default();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    paths.sort();
    let real: Vec<String> = paths
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
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

/// The columns that the gate asks, as a batch has them.
fn name_and_source(record: &str) -> (Option<String>, Option<String>) {
    let value: serde_json::Value = serde_json::from_str(record).expect("a record");
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    (text("eventName"), text("eventSource"))
}

fn rules(c: &mut Criterion) {
    let records = records();
    let bytes: usize = records.iter().map(String::len).sum();
    println!("{} records of {} bytes on average", records.len(), bytes / records.len());
    let columns: Vec<_> = records.iter().map(|record| name_and_source(record)).collect();
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements(1));
    for (name, text) in [("usual", usual()), ("mixed", mixed()), ("frequent", frequent()), ("open", open())] {
        let (set, refused) = RuleSet::load([("bench.yml", text.as_str())]);
        assert!(refused.is_empty(), "{refused:?}");
        println!("{name}: {} rules", set.len());
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = (turn + 1) % records.len();
                let (event_name, source) = &columns[turn];
                if !set.may_match(event_name.as_deref(), source.as_deref()) {
                    return 0;
                }
                set.matches(black_box(records[turn].as_bytes())).map_or(0, |found| found.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
