//! Event data stores: what the journal gets of each change, and what time does.

use std::time::Duration;

use opentrail_api::{JournalChange, RecordOrder, retire_store};
use opentrail_stores::{EventDataStore, StoreChange, StoreKeyError};
use serde_json::json;

use crate::support::{Answer, Api};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn put(answer: &Answer) -> &EventDataStore {
    let [StoreChange::PutEventDataStore(store)] = &answer.stores[..] else { panic!("{:?}", answer.stores) };
    store
}

#[tokio::test]
async fn each_change_is_the_next_version_for_the_journal() {
    let api = Api::new().await;
    let root = api.root();
    let created =
        root.call("CreateEventDataStore", json!({ "Name": "main", "TerminationProtectionEnabled": false })).await;
    let store = put(&created);
    assert_eq!((store.version, created.order), (1, RecordOrder::ChangeFirst));
    let named = json!({ "EventDataStore": store.arn() });
    let update = json!({ "EventDataStore": store.arn(), "RetentionPeriod": 7 });
    let steps = [
        ("StopEventDataStoreIngestion", named.clone(), RecordOrder::RecordFirst),
        ("StartEventDataStoreIngestion", named.clone(), RecordOrder::ChangeFirst),
        ("UpdateEventDataStore", update.clone(), RecordOrder::RecordFirst),
        ("DeleteEventDataStore", named.clone(), RecordOrder::RecordFirst),
        ("RestoreEventDataStore", named, RecordOrder::ChangeFirst),
    ];
    for (version, (operation, input, order)) in (2..).zip(steps) {
        let answer = root.call(operation, input).await;
        assert_eq!((put(&answer).version, answer.order), (version, order), "{operation}");
    }
    assert!(root.call("UpdateEventDataStore", update).await.stores.is_empty(), "nothing changed");
}

#[tokio::test]
async fn a_deleted_store_is_gone_after_seven_days() {
    let api = Api::new().await;
    let root = api.root();
    let created =
        root.ok("CreateEventDataStore", json!({ "Name": "main", "TerminationProtectionEnabled": false })).await;
    let named = json!({ "EventDataStore": created["EventDataStoreArn"] });
    root.ok("DeleteEventDataStore", named.clone()).await;
    let retire = || retire_store(&api.services.stores, &api.services.turns, api.services.clock.now());
    api.clock.advance(DAY * 7 - Duration::from_millis(1));
    assert_eq!(root.ok("GetEventDataStore", named.clone()).await["Status"], "PENDING_DELETION");
    assert!(retire().await.unwrap().is_none());
    api.clock.advance(Duration::from_millis(1));
    for operation in ["GetEventDataStore", "RestoreEventDataStore", "DeleteEventDataStore"] {
        root.refused(operation, named.clone(), "EventDataStoreNotFoundException", "was not found").await;
    }
    assert_eq!(root.ok("ListEventDataStores", json!({})).await["EventDataStores"], json!([]));
    let retired = retire().await.unwrap().expect("its time has come");
    assert!(matches!(retired.change, JournalChange::EventDataStore(StoreChange::DeleteEventDataStore(_))));
    drop(retired);
    assert!(retire().await.unwrap().is_none());
    assert!(api.services.stores.all().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_creations_at_once_give_the_name_to_one() {
    let api = Api::new().await;
    let (first, second) = (api.root(), api.root());
    let input = json!({ "Name": "main" });
    let (a, b) = tokio::join!(
        first.call("CreateEventDataStore", input.clone()),
        second.call("CreateEventDataStore", input.clone())
    );
    let refused =
        [a, b].iter().filter(|answer| answer.body["__type"] == "EventDataStoreAlreadyExistsException").count();
    assert_eq!(refused, 1);
}

const ONE: &str = "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-1111-1111-111111111111";
const TWO: &str = "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-2222-2222-222222222222";

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused() {
    let api = Api::new().await;
    let root = api.root();
    api.kms.set("alias/closed", Err(StoreKeyError::AccessDenied { key: "alias/closed".into() }));
    let off = StoreKeyError::Unusable { key: "alias/off".into(), reason: "it is disabled".into() };
    api.kms.set("alias/off", Err(off));
    let away = StoreKeyError::Unavailable { key: "alias/away".into(), reason: "no answer".into() };
    api.kms.set("alias/away", Err(away));
    let foreign = StoreKeyError::Invalid { key: "arn:no".into(), reason: "no key".into() };
    api.kms.set("arn:no", Err(foreign));
    let plain = root.ok("CreateEventDataStore", json!({ "Name": "plain" })).await;
    for (key, error, told) in [
        ("alias/absent", "KmsKeyNotFoundException", "alias/absent"),
        ("a key", "InvalidKmsKeyIdException", "kmsKeyId"),
        ("", "InvalidKmsKeyIdException", "kmsKeyId"),
        ("arn:no", "InvalidKmsKeyIdException", "arn:no"),
        ("alias/closed", "InsufficientEncryptionPolicyException", "alias/closed"),
        ("alias/off", "KmsException", "is disabled"),
        ("alias/away", "ServiceUnavailable", "alias/away"),
    ] {
        root.refused("CreateEventDataStore", json!({ "Name": "main", "KmsKeyId": key }), error, told).await;
        let update = json!({ "EventDataStore": plain["EventDataStoreArn"], "KmsKeyId": key });
        root.refused("UpdateEventDataStore", update, error, told).await;
    }
    assert_eq!(root.ok("ListEventDataStores", json!({})).await["EventDataStores"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_key_is_echoed_by_its_arn_and_stays() {
    let api = Api::new().await;
    let root = api.root();
    api.kms.set("alias/one", Ok(ONE));
    api.kms.set(ONE, Ok(ONE));
    api.kms.set(TWO, Ok(TWO));
    let created = root.call("CreateEventDataStore", json!({ "Name": "main", "KmsKeyId": "alias/one" })).await;
    assert_eq!((put(&created).kms_key.as_deref(), &created.body["KmsKeyId"]), (Some(ONE), &json!(ONE)));
    let named = |key| json!({ "EventDataStore": put(&created).arn(), "KmsKeyId": key });
    assert!(root.call("UpdateEventDataStore", named(ONE)).await.stores.is_empty(), "nothing changed");
    root.refused("UpdateEventDataStore", named(TWO), "InvalidKmsKeyIdException", "cannot be changed").await;
    let got = root.ok("GetEventDataStore", json!({ "EventDataStore": put(&created).arn() })).await;
    assert_eq!(got["KmsKeyId"], ONE);
    assert_eq!(got["PartitionKeys"], json!([{ "Name": "event_date", "Type": "date" }]));

    let plain = root.call("CreateEventDataStore", json!({ "Name": "later" })).await;
    assert_eq!((put(&plain).kms_key.as_deref(), plain.body.get("KmsKeyId")), (None, None));
    let later = json!({ "EventDataStore": put(&plain).arn(), "KmsKeyId": TWO });
    let updated = root.call("UpdateEventDataStore", later).await;
    assert_eq!((put(&updated).kms_key.as_deref(), &updated.body["KmsKeyId"]), (Some(TWO), &json!(TWO)));
}
