//! A gateway as VPC endpoint: what passes its policy, and what the others leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::world::*;
use http::Response;
use http_body_util::BodyExt;
use opentrail_gateway::{EndpointCall, EndpointPolicy, GatewayConfig, VpcEndpoint};
use serde_json::json;

/// Lets through what does not ask for "closed" things.
#[derive(Debug)]
struct NothingClosed;

impl EndpointPolicy for NothingClosed {
    fn judge(&self, call: &EndpointCall<'_>) -> Result<(), String> {
        let Some(asks) = &call.asks else { return Err("unreadable".to_owned()) };
        match asks.iter().find(|ask| ask.resource.contains("closed")) {
            Some(ask) => Err(format!("{} is closed", ask.action)),
            None => Ok(()),
        }
    }
}

/// A gateway before an upstream that answers with the request's body, and how often that was called.
async fn world() -> (World, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let echo = upstream(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Response::new(full(request.into_body().collect().await.unwrap().to_bytes())) }
    })
    .await;
    let endpoint = VpcEndpoint {
        id: "vpce-0a1b2c3d".to_owned(),
        owner: "444455556666".parse().unwrap(),
        policy: Some(Arc::new(NothingClosed)),
    };
    let config = GatewayConfig { upstream: uri(echo), vpc_endpoint: Some(endpoint), ..GatewayConfig::default() };
    (World::with(config).await, calls)
}

fn dynamodb(body: impl Into<bytes::Bytes>) -> http::Request<Body> {
    let scope =
        "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let request = http::Request::post("/").header("host", "h").header("authorization", scope);
    request.header("x-amz-target", "DynamoDB_20120810.PutItem").body(full(body)).unwrap()
}

#[tokio::test]
async fn what_passes_is_unchanged_and_leaves_two_records() {
    let (mut world, calls) = world().await;
    let mut client = client(world.address).await;
    for request in [
        request("PUT", "/open").body(full(vec![b'x'; 3 << 20])).unwrap(),
        dynamodb(json!({ "TableName": "open", "Item": { "a": { "S": "x".repeat(1 << 20) } } }).to_string()),
    ] {
        let sent = http_body::Body::size_hint(request.body()).exact();
        client.ready().await.unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let back = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(Some(back.len() as u64), sent);
        let (ordinary, activity) = (world.record().await, world.record().await);
        assert_eq!(
            (&ordinary["eventCategory"], &activity["eventCategory"]),
            (&"Data".into(), &"NetworkActivity".into())
        );
        assert_eq!(ordinary["vpcEndpointId"], activity["vpcEndpointId"]);
        assert_eq!(ordinary["sharedEventID"], activity["sharedEventID"], "the endpoint is another account's");
        assert_eq!(activity["recipientAccountId"], "444455556666");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_denied_does_not_reach_the_upstream_and_the_connection_stays() {
    let (mut world, calls) = world().await;
    let mut client = client(world.address).await;
    for (request, status, text) in [
        (request("PUT", "/closed").body(full(vec![b'x'; 100_000])).unwrap(), 403, "<Code>AccessDenied</Code>"),
        (dynamodb(r#"{"TableName":"closed"}"#), 400, r#""__type":"AccessDeniedException""#),
        (dynamodb(r#"{"TableName":"open","TableName":"closed"}"#), 400, "unreadable"),
        (dynamodb(vec![b' '; (16 << 20) + 1]), 400, "unreadable"),
    ] {
        client.ready().await.unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(text), "{body:?}");
        let record = world.record().await;
        assert_eq!((&record["eventType"], &record["errorCode"]), (&"AwsVpceEvent".into(), &"VpceAccessDenied".into()));
        assert!(record["requestID"].is_string() && record.get("requestParameters").is_none());
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(world.remaining().await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_list_of_objects_is_judged_by_its_keys() {
    let (mut world, calls) = world().await;
    let mut client = client(world.address).await;
    for (key, status) in [("open", 200), ("closed", 403)] {
        client.ready().await.unwrap();
        let list = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
        let response = client.send_request(request("POST", "/?delete").body(full(list)).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{key}");
        response.into_body().collect().await.unwrap();
        assert_eq!(world.record().await["eventName"], "DeleteObjects");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
