//! Event data stores: what the journal gets of each change, and what time does.

use std::time::Duration;

use opentrail_api::{JournalChange, RecordOrder, retire_store};
use opentrail_stores::{EventDataStore, StoreChange};
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
