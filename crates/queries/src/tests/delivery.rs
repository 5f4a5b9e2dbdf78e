use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use object_store::{ObjectStoreExt, path::Path};
use opentrail_delivery::PublicKeys;
use opentrail_trails::BucketError;
use serde_json::Value;

use super::world::{ACCOUNT, World};
use crate::{DeliveryStatus, QueryKey, QueryStatus};

fn path(key: &QueryKey, file: &str) -> Path {
    Path::from(format!("a/b/AWSLogs/{ACCOUNT}/CloudTrail-Lake/Query/2026/01/02/{}/{file}", key.id))
}

async fn object(world: &World, key: &QueryKey, file: &str) -> Vec<u8> {
    world.bucket.objects.get(&path(key, file)).await.unwrap().bytes().await.unwrap().to_vec()
}

fn text(gzip: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(gzip).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn results_come_with_a_sign_file_that_the_listed_key_verifies() {
    let world = World::new().await;
    let key = world.begin_delivered("rows 3").await;
    world.until_delivery(&key, DeliveryStatus::Success).await;
    let gzip = object(&world, &key, "result_1.csv.gz").await;
    assert_eq!(
        text(&gzip),
        "# Execution Time: 2026-01-02T03:04:05.000000Z Query Statement: rows 3\r\n\
         number,\"what, exactly\"\r\n0,\"say \"\"hi\"\"\"\r\n1,\r\n2,\"say \"\"hi\"\"\"\r\n"
    );
    let sign: Value = serde_json::from_slice(&object(&world, &key, "result_sign.json").await).unwrap();
    let hash = hex::encode(digest(&SHA256, &gzip));
    assert_eq!(sign["files"], serde_json::json!([{ "fileHashValue": hash, "fileName": "result_1.csv.gz" }]));
    assert_eq!((&sign["version"], &sign["region"]), (&"1.0".into(), &"us-east-1".into()));
    assert_eq!((&sign["hashAlgorithm"], &sign["signatureAlgorithm"]), (&"SHA-256".into(), &"SHA256withRSA".into()));
    assert_eq!(sign["queryCompleteTime"], "2026-01-02T03:04:05Z");

    // The window that `aws cloudtrail verify-query-results` asks for.
    let keys = PublicKeys::new(Arc::clone(&world.catalog), Arc::clone(&world.clock) as _);
    let end = world.queries().find(&key).await.unwrap().query.ended.unwrap().at;
    let listed = keys.list(&key.region, Some(end), Some(end + Duration::from_secs(20 * 86_400))).await.unwrap();
    let public = listed.iter().find(|key| sign["publicKeyFingerprint"] == *key.fingerprint).unwrap();
    let signature = hex::decode(sign["hashSignature"].as_str().unwrap()).unwrap();
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public.value_der);
    verifier.verify(hash.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn large_results_go_in_parts() {
    let world = World::new().await;
    let key = world.begin_delivered("rows 150000 noisy").await;
    let wait = async {
        while world.bucket.objects.head(&path(&key, "result_sign.json")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait).await.unwrap();
    let gzip = object(&world, &key, "result_1.csv.gz").await;
    assert!(gzip.len() > 8 << 20, "{}", gzip.len());
    let sign: Value = serde_json::from_slice(&object(&world, &key, "result_sign.json").await).unwrap();
    assert_eq!(sign["files"][0]["fileHashValue"], hex::encode(digest(&SHA256, &gzip)));
}

#[tokio::test]
async fn a_bucket_that_refuses_is_not_asked_again_and_one_that_fails_is() {
    let world = World::new().await;
    let bucket = || "results".to_owned();
    for (error, status) in [
        (BucketError::NoSuchBucket { bucket: bucket() }, DeliveryStatus::ResourceNotFound),
        (BucketError::AccessDenied { bucket: bucket() }, DeliveryStatus::AccessDenied),
    ] {
        *world.bucket.error.lock() = Some(error);
        let key = world.begin_delivered("rows 1").await;
        world.until_delivery(&key, status).await;
    }
    assert_eq!(world.bucket.asked.load(Ordering::SeqCst), 2);

    *world.bucket.error.lock() = Some(BucketError::Unavailable { bucket: bucket(), reason: "down".to_owned() });
    let key = world.begin_delivered("rows 1").await;
    until_asked(&world, 3).await;
    assert_eq!(world.queries().find(&key).await.unwrap().query.delivery.unwrap().status, DeliveryStatus::Pending);
    *world.bucket.error.lock() = None;
    assert_eq!(ended_in_time(&world, &key).await, DeliveryStatus::Success);

    *world.bucket.error.lock() = Some(BucketError::Unavailable { bucket: bucket(), reason: "down".to_owned() });
    let key = world.begin_delivered("rows 1").await;
    until_asked(&world, 5).await;
    assert_eq!(ended_in_time(&world, &key).await, DeliveryStatus::Failed);
    assert!(world.bucket.asked.load(Ordering::SeqCst) < 40, "it is given up after a quarter of an hour");
}

/// How a delivery ends that is tried again as time goes by. The clock moves until then: when a pause begins is not to be seen.
async fn ended_in_time(world: &World, key: &QueryKey) -> DeliveryStatus {
    loop {
        world.clock.advance(Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(2)).await;
        let delivery = world.queries().find(key).await.unwrap().query.delivery.unwrap();
        if delivery.status != DeliveryStatus::Pending {
            return delivery.status;
        }
    }
}

async fn until_asked(world: &World, times: usize) {
    while world.bucket.asked.load(Ordering::SeqCst) < times {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_delivery_that_was_interrupted_goes_on() {
    let mut world = World::new().await;
    *world.bucket.error.lock() =
        Some(BucketError::Unavailable { bucket: "results".to_owned(), reason: "down".to_owned() });
    let key = world.begin_delivered("rows 2").await;
    world.until_status(&key, QueryStatus::Finished).await;
    until_asked(&world, 1).await;
    *world.bucket.error.lock() = None;
    world.restart().await;
    world.until_delivery(&key, DeliveryStatus::Success).await;
    assert!(text(&object(&world, &key, "result_1.csv.gz").await).ends_with("1,\r\n"));
}

#[tokio::test]
async fn nothing_is_delivered_of_a_cancelled_query() {
    let world = World::new().await;
    let key = world.begin_delivered("rows 2 then hang").await;
    world.until_status(&key, QueryStatus::Running).await;
    world.queries().cancel(&key).await.unwrap();
    world.until_delivery(&key, DeliveryStatus::Cancelled).await;
    assert_eq!(world.bucket.asked.load(Ordering::SeqCst), 0);
}
