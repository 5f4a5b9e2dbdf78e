//! How fast events become Lake's columns.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentrail_stores::Kind;
use opentrail_tables::lakes_columns;

/// An event of about 1.25 KB, shaped as AssumedRole calls are.
fn event(i: u64) -> Vec<u8> {
    let pad = "x".repeat(330);
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE:worker-{i}","arn":"arn:aws:sts::111122223333:assumed-role/Batch/worker-{i}","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE{i:08}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/Batch","accountId":"111122223333","userName":"Batch"}},"attributes":{{"creationDate":"2026-11-20T10:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-11-20T10:11:12Z","eventSource":"s3.amazonaws.com","eventName":"GetBucketAcl","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"{pad}","requestParameters":{{"bucketName":"logs-{i}","Host":"logs-{i}.s3.amazonaws.com","acl":""}},"responseElements":null,"requestID":"ABCDEF0123456789","eventID":"00000000-0000-4000-8000-{i:012}","readOnly":true,"resources":[{{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::logs-{i}"}}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
    )
    .into_bytes()
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("lakes columns");
    for rows in [1, 1000] {
        let events: Vec<Vec<u8>> = (1..=rows).map(event).collect();
        group.throughput(Throughput::Elements(rows));
        group.bench_function(format!("{rows} events"), |b| {
            b.iter(|| lakes_columns(Kind::CloudTrail, black_box(events.iter().map(Vec::as_slice))));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
