//! What a body of records costs the processor until it is in the journal: cutting, checking, fingerprints, batches.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::stream;
use opentrail_ingest::{AccountRule, DedupWindow, Encoding, Ingest, check};
use opentrail_journal::{Journal, MemoryJournal};
use opentrail_model::Source;
use opentrail_runtime::SystemClock;

const RECORDS: u64 = 500;

/// A record of the shape and size that real ones have on average: 1.25 KB.
fn record(number: u64) -> String {
    format!(
        concat!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLEID{n:012}:session","#,
            r#""arn":"arn:aws:sts::111122223333:assumed-role/Deploy/session","accountId":"111122223333","#,
            r#""accessKeyId":"ASIAEXAMPLE{n:09}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"#,
            r#""AROAEXAMPLEID","arn":"arn:aws:iam::111122223333:role/Deploy","accountId":"111122223333","userName":"#,
            r#""Deploy"}},"attributes":{{"creationDate":"2026-03-01T08:00:00Z","mfaAuthenticated":"false"}}}}}},"#,
            r#""eventTime":"2026-03-01T08:12:31Z","eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","#,
            r#""awsRegion":"us-east-1","sourceIPAddress":"198.51.100.17","userAgent":"[aws-cli/2.15.0 Python/3.11.6 "#,
            r#"Linux/6.1 exe/x86_64]","requestParameters":{{"bucketName":"example-{n}","policy":"{{\"Version\":\"2012-"#,
            r#"10-17\"}}","Host":"s3.us-east-1.amazonaws.com","x-id":["a","b"]}},"responseElements":null,"#,
            r#""additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn""#,
            r#":512,"AuthenticationMethod":"AuthHeader","bytesTransferredOut":0}},"requestID":"{n:016X}","eventID":"#,
            r#""4f7d1f2e-0c1b-4b5c-9d3e-{n:012x}","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"#,
            r#""recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","#,
            r#""cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"s3.us-east-1.amazonaws.com"}}}}"#
        ),
        n = number
    )
}

fn put(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a thread has a runtime");
    let mut group = c.benchmark_group("put");
    let bytes: usize = (0..RECORDS).map(|number| record(number).len() + 1).sum();
    group.throughput(Throughput::Bytes(bytes as u64));
    for framing in ["lines", "document"] {
        let journal = Arc::new(MemoryJournal::default());
        let window = DedupWindow::new(100_000);
        let ingest = Ingest::new(Arc::clone(&journal) as Arc<dyn Journal>, Arc::new(SystemClock), window);
        let mut next = 0;
        let mut body = || {
            next += RECORDS;
            let records: Vec<String> = (next - RECORDS..next).map(record).collect();
            match framing {
                "lines" => Bytes::from(records.join("\n")),
                _ => Bytes::from(format!("{{\"Records\":[{}]}}", records.join(","))),
            }
        };
        let put = |body: Bytes| {
            let account = "111122223333".parse().expect("twelve digits");
            let rule = AccountRule::allowing(account, |_| true);
            let body = stream::iter([Ok::<_, Infallible>(body)]);
            runtime.block_on(async {
                let put = ingest.put_records(body, Encoding::Identity, Source::Records, rule).await;
                assert_eq!(put.expect("memory takes all").accepted, RECORDS);
                journal.trim(journal.tail()).await.expect("memory can be freed");
            });
        };
        group.bench_function(BenchmarkId::new("500 records", framing), |b| {
            b.iter_batched(&mut body, put, BatchSize::LargeInput);
        });
    }
    let one = record(1);
    group.throughput(Throughput::Bytes(one.len() as u64));
    group.bench_function("check", |b| b.iter(|| check(std::hint::black_box(one.as_bytes()))));
    group.finish();
}

criterion_group!(benches, put);
criterion_main!(benches);
