//! How fast records become columns.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_event::EventBatch;
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};

/// A record of about 1.25 KB, shaped as AssumedRole calls are.
fn record(i: u64) -> String {
    let pad = "x".repeat(330);
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE:worker-{i}","arn":"arn:aws:sts::111122223333:assumed-role/Batch/worker-{i}","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE{i:08}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/Batch","accountId":"111122223333","userName":"Batch"}},"attributes":{{"creationDate":"2026-11-20T10:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-11-20T10:11:12Z","eventSource":"s3.amazonaws.com","eventName":"GetBucketAcl","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"{pad}","requestParameters":{{"bucketName":"logs-{i}","Host":"logs-{i}.s3.amazonaws.com","acl":""}},"responseElements":null,"requestID":"ABCDEF0123456789","eventID":"00000000-0000-4000-8000-{i:012}","readOnly":true,"resources":[{{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::logs-{i}"}}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
    )
}

fn decode(c: &mut Criterion) {
    let entries: Vec<Entry> = (1..=1000)
        .map(|i| Entry {
            position: Position(i),
            source: Source::Records,
            account: "111122223333".parse().expect("an account id"),
            received: Timestamp::from_secs(1_795_000_000),
            body: Bytes::from(record(i)),
        })
        .collect();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(entries.iter().map(|entry| entry.body.len() as u64).sum()));
    group.bench_function("1000 records", |b| b.iter(|| EventBatch::decode(Position::START, black_box(&entries))));
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
