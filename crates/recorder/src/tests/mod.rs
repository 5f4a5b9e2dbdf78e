//! Records of whole exchanges, one file per protocol.

mod crossing;
mod forms;
mod hostile;
mod json;
mod real;
mod resources;
mod s3;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use opentrail_model::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Caller, Captured, Endpoint, Exchange, TlsDetails};

/// An exchange with `127.0.0.1:9000` as its host, signed for `service`, answered with 200 and nothing else.
fn exchange(method: &str, uri: &str, service: &str) -> Exchange {
    let mut exchange = Exchange {
        endpoint: Endpoint {
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            service: None,
            s3_hosts: vec!["s3.example.org".into()],
        },
        started: Timestamp::from_millis(1_767_323_045_999),
        peer: "192.0.2.10".parse().unwrap(),
        tls: None,
        method: method.parse::<Method>().unwrap(),
        uri: uri.parse().unwrap(),
        version: Version::HTTP_11,
        request_headers: HeaderMap::new(),
        request_body: Captured::None,
        status: Some(StatusCode::OK),
        response_headers: HeaderMap::new(),
        response_body: Captured::None,
        bytes_in: 0,
        bytes_out: 0,
        caller: Caller::Identity(json!({ "type": "Root", "principalId": "111122223333" })),
        event_id: Uuid::nil(),
    };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260102/us-east-1/{service}/aws4_request, SignedHeaders=host, \
         Signature=5ec2e7"
    );
    for (name, value) in [("host", "127.0.0.1:9000"), ("user-agent", "aws-cli/2"), ("authorization", &authorization)] {
        with_header(&mut exchange.request_headers, name, value);
    }
    exchange
}

/// A JSON call and the answer to it.
fn json_call(target: &'static str, service: &str, request: &Value, response: &Value) -> Exchange {
    let mut exchange = exchange("POST", "/", service);
    with_header(&mut exchange.request_headers, "x-amz-target", target);
    with_header(&mut exchange.response_headers, "x-amzn-requestid", "11111111-0000-4000-8000-000000000000");
    exchange.request_body = body(request.to_string());
    exchange.response_body = body(response.to_string());
    exchange
}

fn with_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

fn body(text: impl Into<Bytes>) -> Captured {
    Captured::Complete(text.into())
}

fn tls() -> TlsDetails {
    TlsDetails {
        version: "TLSv1.3".into(),
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        key_exchange: Some("x25519".into()),
    }
}

fn record(exchange: &Exchange) -> Value {
    serde_json::from_slice(&crate::record(exchange).unwrap().body).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
