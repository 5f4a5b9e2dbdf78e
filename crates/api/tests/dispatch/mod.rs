use std::time::Duration;

use http::StatusCode;
use opentrail_api::Quotas;
use opentrail_wire::cloudtrail::Operation;
use serde_json::json;

use crate::support::{Api, answer};

#[tokio::test]
async fn every_operation_is_built() {
    let api = Api::new().await;
    for operation in Operation::ALL {
        let answer = api.root().call(operation.name(), json!({})).await;
        assert_ne!(answer.body["__type"], "UnsupportedOperationException", "{}: {}", operation.name(), answer.body);
    }
}

#[tokio::test]
async fn the_data_plane_knows_its_one_operation() {
    let api = Api::new().await;
    for (path, error) in [("/PutAuditEvents", "ValidationException"), ("/Other", "UnknownOperationException")] {
        let (head, ()) = http::Request::post(path).body(()).unwrap().into_parts();
        let root = api.root();
        let reply = opentrail_api::cloudtrail_data(&api.services, root.raw(), &head, &Default::default()).await;
        let answer = answer(reply);
        assert_eq!(answer.headers["x-amzn-errortype"], error);
    }
}

#[tokio::test]
async fn both_prefixes_of_targets_are_understood_and_others_refused() {
    let api = Api::new().await;
    let root = api.root();
    for target in
        ["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListTrails", "CloudTrail_20131101.ListTrails"]
    {
        let answer = root.send(target, "").await;
        assert_eq!(answer.body, json!({ "Trails": [] }));
        assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
        assert_eq!(answer.headers["x-amzn-requestid"], "7f3a1c52-0000-4000-8000-000000000001");
    }
    for target in ["CloudTrail_20131101.Unheard", "ListTrails"] {
        root.send(target, "{}").await.assert_refused("UnknownOperationException", "");
    }
}

#[tokio::test]
async fn a_body_that_is_not_the_input_is_refused() {
    let api = Api::new().await;
    for body in ["{", "[]", "{\"NextToken\":1}", "\u{0}"] {
        let answer = api.root().send("CloudTrail_20131101.ListTrails", body).await;
        answer.assert_refused("SerializationException", "");
    }
    let answer = api.root().send("CloudTrail_20131101.ListTrails", "{\"Unknown\":1,\"NextToken\":null}").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn quotas_throttle_when_they_are_on() {
    let mut api = Api::new().await;
    for _ in 0..100 {
        api.root().ok("LookupEvents", json!({})).await;
    }
    api.services.quotas = Some(Quotas::new(api.clock.clone()));
    for _ in 0..2 {
        api.root().ok("LookupEvents", json!({})).await;
    }
    api.root().refused("LookupEvents", json!({}), "ThrottlingException", "Rate exceeded").await;
    api.root().ok("ListTrails", json!({})).await;
    api.root().at("eu-west-1").ok("LookupEvents", json!({})).await;
    api.clock.advance(Duration::from_millis(500));
    api.root().ok("LookupEvents", json!({})).await;
}
