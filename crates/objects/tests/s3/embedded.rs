//! The store inside the process, and its files as others see them.

use std::fs;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use opentrail_model::{AccountId, Region};
use opentrail_objects::{Store, signatures_below};
use opentrail_runtime::SystemClock;

use crate::support::fixture;

const KEY: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/x.json.gz";

fn signed(signature: &'static str) -> PutOptions {
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "application/json"),
        (Attribute::ContentEncoding, "gzip"),
        (Attribute::Metadata("signature".into()), signature),
    ]);
    PutOptions { attributes, ..PutOptions::default() }
}

async fn signature(objects: &Arc<dyn ObjectStore>, key: &Path) -> (Vec<u8>, Option<String>) {
    let got = objects.get(key).await.unwrap();
    let signature = got.attributes.get(&Attribute::Metadata("signature".into())).map(|value| value.to_string());
    (got.bytes().await.unwrap().to_vec(), signature)
}

#[tokio::test]
async fn bytes_and_signature_change_together_and_survive_a_restart() {
    let s3 = fixture();
    let (key, objects) = (Path::from(KEY), s3.store.object_store("logs"));
    assert!(matches!(objects.get(&key).await, Err(Error::NotFound { .. })));
    objects.put_opts(&key, PutPayload::from("one"), signed("aa")).await.unwrap();
    assert_eq!(signature(&objects, &key).await, (b"one".to_vec(), Some("aa".to_owned())));
    let put = objects.put_opts(&key, PutPayload::from("two"), signed("bb")).await.unwrap();
    assert_eq!(signature(&objects, &key).await, (b"two".to_vec(), Some("bb".to_owned())));
    objects.put_opts(&key, PutPayload::from("two"), PutOptions::default()).await.unwrap();
    assert_eq!(signature(&objects, &key).await, (b"two".to_vec(), None));
    objects.put_opts(&key, PutPayload::from("two"), signed("bb")).await.unwrap();

    let reopened = Store::open(s3.directory.path(), Arc::new(SystemClock)).unwrap().object_store("logs");
    assert_eq!(signature(&reopened, &key).await, (b"two".to_vec(), Some("bb".to_owned())));
    assert_eq!(reopened.head(&key).await.unwrap().e_tag, put.e_tag);
    assert_eq!(signatures_below(&s3.directory.path().join("logs")).unwrap()[KEY], "bb");
    reopened.delete(&key).await.unwrap();
    assert!(matches!(objects.head(&key).await, Err(Error::NotFound { .. })));
    assert_eq!(fs::read_dir(s3.directory.path().join("logs")).unwrap().count(), 0);
}

#[tokio::test]
async fn bytes_changed_by_hand_are_served_and_not_vouched_for() {
    let s3 = fixture();
    let (key, objects) = (Path::from(KEY), s3.store.object_store("logs"));
    objects.put_opts(&key, PutPayload::from("one"), signed("aa")).await.unwrap();
    let before = objects.head(&key).await.unwrap();
    fs::write(s3.directory.path().join("logs").join(KEY), "0ne").unwrap();
    assert_eq!(signature(&objects, &key).await, (b"0ne".to_vec(), Some("aa".to_owned())));
    assert_ne!(objects.head(&key).await.unwrap().e_tag, before.e_tag);
    let by_client = s3.get(&format!("/logs/{KEY}")).await;
    assert_eq!((&by_client.body[..], by_client.header("x-amz-meta-signature")), (&b"0ne"[..], Some("aa")));

    fs::write(s3.directory.path().join("logs").join("by-hand.txt"), "new").unwrap();
    let listed: Vec<_> = objects.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    assert_eq!(listed, [KEY, "by-hand.txt"]);
    objects.put_opts(&key, PutPayload::from("one"), signed("aa")).await.unwrap();
    assert_eq!(objects.head(&key).await.unwrap().e_tag, before.e_tag);
}

#[tokio::test]
async fn an_object_and_a_prefix_may_have_one_name() {
    let s3 = fixture();
    let objects = s3.store.object_store("logs");
    for key in ["a", "a/b", "a.b", "a.b/c", "a/b/c"] {
        objects.put(&Path::from(key), PutPayload::from(key.to_owned())).await.unwrap();
    }
    let listed: Vec<_> = objects.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    assert_eq!(listed, ["a", "a.b", "a.b/c", "a/b", "a/b/c"]);
    for key in listed {
        let key = Path::from(key);
        assert_eq!(objects.get(&key).await.unwrap().bytes().await.unwrap(), key.as_ref().as_bytes());
    }
    for key in ["folder/", "//", "..", "../x", "a//b"] {
        let path = format!("/logs/{key}");
        assert_eq!(s3.put(&path, b"odd").await.status, http::StatusCode::OK, "{key}");
        assert_eq!(&s3.get(&path).await.body[..], b"odd", "{key}");
    }
    assert!(
        fs::read_dir(s3.directory.path())
            .unwrap()
            .all(|entry| { [".opentrail", "logs"].contains(&entry.unwrap().file_name().to_str().unwrap()) })
    );
}

#[tokio::test]
async fn of_two_that_create_one_fails() {
    let s3 = fixture();
    let (key, objects) = (Path::from("x"), s3.store.object_store("logs"));
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    objects.put_opts(&key, PutPayload::from("1"), create()).await.unwrap();
    let again = objects.put_opts(&key, PutPayload::from("2"), create()).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })));
}

#[tokio::test]
async fn buckets_that_are_not_there_have_no_objects() {
    let s3 = fixture();
    let objects = s3.store.object_store("later");
    assert!(matches!(objects.put(&Path::from("x"), PutPayload::from("1")).await, Err(Error::NotFound { .. })));
    s3.store.create_bucket("later", AccountId::from_u64(1).unwrap(), Region::us_east_1()).unwrap();
    objects.put(&Path::from("x"), PutPayload::from("1")).await.unwrap();
    assert!(s3.store.delete_bucket("later").is_err());
}
