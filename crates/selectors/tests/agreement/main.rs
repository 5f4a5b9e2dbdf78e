//! The compiled matcher against a plain evaluator that reads each record as JSON: on generated records and real ones.

#![allow(clippy::unwrap_used, reason = "a test whose preparation fails has failed")]

use std::cell::Cell;
use std::path::PathBuf;

use bytes::Bytes;
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_model::{
    AdvancedEventSelector, DataResource, EventSelector, FieldSelector, Position, ReadWriteType, SelectorField,
    Selectors, Source, Timestamp,
};
use opentrail_selectors::Matcher;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

mod plain;

fn batch(bodies: impl IntoIterator<Item = Bytes>) -> EventBatch {
    let entry = |(position, body)| Entry {
        position: Position(position),
        source: Source::Records,
        account: "111122223333".parse().unwrap(),
        received: Timestamp::EPOCH,
        body,
    };
    let entries: Vec<Entry> = (1..).zip(bodies).map(entry).collect();
    EventBatch::decode(Position::START, &entries)
}

/// Every record that either takes must be taken by both. Returns how many are taken.
fn agree(selectors: &Selectors, batch: &EventBatch, records: &[Value]) -> Result<usize, TestCaseError> {
    let mut rows: Vec<usize> = (0..batch.len()).collect();
    Matcher::of(selectors).retain(batch, &mut rows);
    let expected: Vec<usize> = (0..records.len()).filter(|row| plain::takes(selectors, &records[*row])).collect();
    let differs = (0..records.len()).find(|row| rows.contains(row) != expected.contains(row));
    prop_assert!(differs.is_none(), "{:?}\n{}", selectors, differs.map_or(&Value::Null, |row| &records[row]));
    prop_assert_eq!(&rows, &expected, "in order");
    Ok(rows.len())
}

/// What the fields of records are, so that selectors ask for what is there.
struct Texts(Vec<(SelectorField, Vec<String>)>);

impl Texts {
    fn of(records: &[Value]) -> Self {
        Self(
            SelectorField::ALL
                .into_iter()
                .map(|field| {
                    let mut texts: Vec<String> =
                        records.iter().flat_map(|record| plain::texts(field, record)).collect();
                    texts.sort();
                    texts.dedup();
                    texts.push("absent".into());
                    (field, texts)
                })
                .collect(),
        )
    }

    fn of_field(&self, field: SelectorField) -> Vec<String> {
        self.0.iter().find(|(known, _)| *known == field).map(|(_, texts)| texts.clone()).unwrap_or_default()
    }

    /// Some of the field's texts, cut by `cut`.
    fn some(&self, field: SelectorField, cut: fn(&str, Index) -> String) -> BoxedStrategy<Vec<String>> {
        let value = (select(self.of_field(field)), any::<Index>()).prop_map(move |(text, at)| cut(&text, at));
        prop_oneof![3 => Just(Vec::new()), 2 => vec(value, 1..4)].boxed()
    }

    fn field_selector(&self, field: SelectorField) -> BoxedStrategy<FieldSelector> {
        let whole = |text: &str, _: Index| text.to_owned();
        let start = |text: &str, at: Index| text.chars().take(1 + at.index(text.chars().count().max(1))).collect();
        let end = |text: &str, at: Index| text.chars().skip(at.index(text.chars().count().max(1))).collect();
        (
            self.some(field, whole),
            self.some(field, start),
            self.some(field, end),
            self.some(field, whole),
            self.some(field, start),
            self.some(field, end),
        )
            .prop_map(move |(equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with)| {
                FieldSelector { field, equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with }
            })
            .boxed()
    }

    /// Any fields with any operators, whether the API would take them together or not.
    fn advanced(&self) -> BoxedStrategy<Selectors> {
        let others: Vec<_> =
            SelectorField::ALL.into_iter().filter(|field| *field != SelectorField::EventCategory).collect();
        let fields: Vec<_> = others.iter().map(|field| self.field_selector(*field)).collect();
        let category = select(self.of_field(SelectorField::EventCategory)).prop_map(|category| FieldSelector {
            equals: vec![category],
            ..FieldSelector::of(SelectorField::EventCategory)
        });
        let selector = (category, fields, subsequence((0..others.len()).collect::<Vec<_>>(), 0..4)).prop_map(
            |(category, fields, chosen)| AdvancedEventSelector {
                name: None,
                field_selectors: chosen.into_iter().map(|field| fields[field].clone()).chain([category]).collect(),
            },
        );
        vec(selector, 1..4).prop_map(|advanced| Selectors::Advanced { advanced }).boxed()
    }

    fn basic(&self) -> BoxedStrategy<Selectors> {
        let direction = select(vec![ReadWriteType::All, ReadWriteType::ReadOnly, ReadWriteType::WriteOnly]);
        let arns = self.of_field(SelectorField::ResourcesArn).into_iter();
        let all = ["arn:aws:s3", "arn:aws-cn:s3:::", "arn:aws:lambda", "arn:aws:dynamodb"];
        let values: Vec<String> = arns.chain(all.map(str::to_owned)).collect();
        let kinds = vec!["AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"];
        let resource = (select(kinds), vec(select(values), 0..3))
            .prop_map(|(kind, values)| DataResource { kind: kind.to_owned(), values });
        let excluded = subsequence(vec!["kms.amazonaws.com", "rdsdata.amazonaws.com"], 0..=2);
        let selector = (direction, any::<bool>(), vec(resource, 0..3), excluded).prop_map(
            |(read_write_type, include_management_events, data_resources, excluded)| EventSelector {
                read_write_type,
                include_management_events,
                data_resources,
                exclude_management_event_sources: excluded.into_iter().map(str::to_owned).collect(),
            },
        );
        vec(selector, 1..4).prop_map(Selectors::Basic).boxed()
    }

    fn selectors(&self) -> BoxedStrategy<Selectors> {
        prop_oneof![self.basic(), self.advanced()].boxed()
    }
}

#[test]
fn the_compiled_matcher_takes_what_a_plain_reading_of_real_records_takes() {
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: no real records in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
        return;
    };
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ndjson"));
    let lines: Vec<String> = paths
        .flat_map(|path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let batch = batch(lines.into_iter().map(Bytes::from));
    let (taken, cases) = (Cell::new(0), Cell::new(0));
    let judge = |selectors| {
        taken.set(taken.get() + agree(&selectors, &batch, &records)?);
        cases.set(cases.get() + records.len());
        Ok(())
    };
    TestRunner::new(ProptestConfig::with_cases(1024)).run(&Texts::of(&records).selectors(), judge).unwrap();
    let share = taken.get() as f64 / cases.get() as f64;
    assert!((0.02..0.9).contains(&share), "{share} of the records were taken: the selectors tell nothing");
}

const RESOURCE_TYPES: [&str; 6] = [
    "AWS::S3::Object",
    "AWS::Lambda::Function",
    "AWS::DynamoDB::Table",
    "AWS::DynamoDB::Stream",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
];
const ARNS: [&str; 8] = [
    "arn:aws:s3:::b/",
    "arn:aws:s3:::b/pre/key",
    "arn:aws:s3:::b",
    "arn:aws:lambda:us-east-1:111122223333:function:f",
    "arn:aws:lambda:us-east-1:111122223333:function:f2",
    "arn:aws:dynamodb:us-east-1:111122223333:table/t",
    "arn:aws:dynamodb:us-east-1:111122223333:table/t/stream/1",
    "arn:aws:dynamodb:us-east-1:111122223333:table/t2",
];

fn record() -> BoxedStrategy<Value> {
    let texts = [
        ("eventCategory", vec!["Management", "Data", "Data", "NetworkActivity", "Insight"]),
        (
            "eventSource",
            vec!["s3.amazonaws.com", "lambda.amazonaws.com", "dynamodb.amazonaws.com", "kms.amazonaws.com"],
        ),
        ("eventName", vec!["GetObject", "PutObject", "Put", "ObjectPut", ""]),
        ("eventType", vec!["AwsApiCall", "AwsServiceEvent", "AwsVpceEvent"]),
        ("errorCode", vec!["VpceAccessDenied", "AccessDenied"]),
        ("vpcEndpointId", vec!["vpce-1", "vpce-12"]),
    ];
    let texts: Vec<_> = texts
        .into_iter()
        .map(|(name, values)| of(select(values)).prop_map(move |value| value.map(|value| (name, json!(value)))))
        .collect();
    let flag = || of(select(vec![json!(true), json!(false), json!("true"), json!("False"), json!("yes"), json!(1)]));
    let resource = (of(select(&RESOURCE_TYPES[..])), of(select(&ARNS[..])), any::<bool>())
        .prop_map(|(kind, arn, prefix)| json!({"type": kind, if prefix { "ARNPrefix" } else { "ARN" }: arn}));
    let resources = prop_oneof![
        4 => vec(resource, 0..3).prop_map(Value::from),
        1 => select(vec![Value::Null, json!("arn:aws:s3:::b/"), json!([7, null])]),
    ];
    let identity =
        of(select(vec!["arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/al", "root"]));
    (texts, flag(), flag(), flag(), of(resources), identity)
        .prop_map(|(texts, read_only, console, management, resources, arn)| {
            let mut record: Value = texts.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect();
            let members = [
                ("readOnly", read_only),
                ("sessionCredentialFromConsole", console),
                ("managementEvent", management),
                ("resources", resources),
                ("userIdentity", arn.map(|arn| json!({ "arn": arn }))),
            ];
            for (name, value) in members {
                if let Some(value) = value {
                    record[name] = value;
                }
            }
            record
        })
        .boxed()
}

#[test]
fn the_compiled_matcher_takes_what_a_plain_reading_of_any_record_takes() {
    // Some records first, so that the selectors ask for what the records of the cases may hold.
    let mut runner = TestRunner::new(ProptestConfig::with_cases(4096));
    let known: Vec<Value> = (0..400).map(|_| record().new_tree(&mut runner).unwrap().current()).collect();
    let strategy = (Texts::of(&known).selectors(), vec(record(), 0..16));
    let (taken, cases) = (Cell::new(0), Cell::new(0));
    let judge = |(selectors, records): (Selectors, Vec<Value>)| {
        let batch = batch(records.iter().map(|record| record.to_string().into()));
        taken.set(taken.get() + agree(&selectors, &batch, &records)?);
        cases.set(cases.get() + records.len());
        Ok(())
    };
    runner.run(&strategy, judge).unwrap();
    let share = taken.get() as f64 / cases.get() as f64;
    assert!((0.02..0.9).contains(&share), "{share} of the records were taken: the selectors tell nothing");
}
