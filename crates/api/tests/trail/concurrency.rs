use futures::FutureExt;
use serde_json::json;

use crate::support::{Api, answer};

/// A change keeps others of the account from being committed until it is journaled, so that both have one order.
#[tokio::test]
async fn changes_of_an_account_wait_until_the_one_before_is_journaled() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let call = |operation: &'static str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-amz-target", format!("CloudTrail_20131101.{operation}").parse().unwrap());
        let body = json!({ "Name": "main", "S3KeyPrefix": operation }).to_string().into();
        (headers, body)
    };
    let (headers, body) = call("UpdateTrail");
    let first = opentrail_api::cloudtrail(&api.services, root.raw(), &headers, &body).await;
    assert!(first.turn.is_some());
    let (headers, body) = call("DeleteTrail");
    let mut second = Box::pin(opentrail_api::cloudtrail(&api.services, root.raw(), &headers, &body));
    assert!((&mut second).now_or_never().is_none(), "it waits");
    root.ok("DescribeTrails", json!({})).await;
    drop(first);
    assert_eq!(answer(second.await).body, json!({}));
}

#[tokio::test]
async fn of_two_changes_made_from_the_same_state_one_is_told_of_the_conflict() {
    let api = Api::new().await;
    let (one, two) = (api.root(), api.root());
    one.create_trail("main").await;
    let update = |prefix: &str| json!({ "Name": "main", "S3KeyPrefix": prefix });
    let (first, second) = tokio::join!(one.call("UpdateTrail", update("a")), async {
        let answer = two.call("UpdateTrail", update("b"));
        answer.await
    });
    let prefix = one.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["S3KeyPrefix"].clone();
    match (first.status.is_success(), second.status.is_success()) {
        (true, true) => assert_eq!(prefix, second.body["S3KeyPrefix"], "both were applied, in order"),
        (true, false) => {
            second.assert_refused("ConflictException", "try again");
            assert_eq!(prefix, "a");
        }
        (false, true) => {
            first.assert_refused("ConflictException", "try again");
            assert_eq!(prefix, "b");
        }
        (false, false) => panic!("one of two must win: {first:?} {second:?}"),
    }
}
