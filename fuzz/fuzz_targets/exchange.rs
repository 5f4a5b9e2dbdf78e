//! Makes a record of any call and its answer: never panics, and what comes out is a record that ingest takes, small
//! enough, the same each time, without the secrets of the request's head.
//!
//! The first byte chooses how the call is signed and ends. The rest is text in four parts, between lines of two
//! hyphens: `METHOD target` and header lines, the request's body, the status and header lines, the response's body.
//! A call without a status was never answered.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use libfuzzer_sys::fuzz_target;
use opentrail_ingest::check;
use opentrail_model::{MAX_RECORD_BYTES, Timestamp};
use opentrail_recorder::{
    Break, Caller, CaptureMode, Captured, Endpoint, Exchange, record, record_broken, wanted_capture,
};
use serde_json::{Value, json};

/// Stands for what signs a request or decrypts its object.
const SECRET: &str = "6d1f0c9e5ec2e7b83a94";
const SERVICES: [&str; 8] = ["s3", "dynamodb", "sts", "cloudtrail", "kms", "sqs", "lambda", "iam"];

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// How a request carries its secrets, besides those that the input has.
fn sign(choice: u8, target: &str, headers: &mut HeaderMap) -> String {
    let service = SERVICES[usize::from(choice) % SERVICES.len()];
    let scope = format!("AKIDEXAMPLE/20260102/eu-west-1/{service}/aws4_request");
    let mut add = |name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).expect("ASCII"));
    };
    match choice / 8 % 4 {
        0 => target.to_owned(),
        1 => {
            let separator = if target.contains('?') { '&' } else { '?' };
            format!(
                "{target}{separator}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}\
                 &X-Amz-Security-Token={SECRET}&X-Amz-Signature={SECRET}"
            )
        }
        2 => {
            add("authorization", &format!("AWS AKIDEXAMPLE:{SECRET}"));
            target.to_owned()
        }
        _ => {
            let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={SECRET}");
            add("authorization", &signed);
            add("x-amz-security-token", SECRET);
            add("x-amz-server-side-encryption-customer-key", SECRET);
            add("x-amz-copy-source-server-side-encryption-customer-key", SECRET);
            target.to_owned()
        }
    }
}

/// What is kept of a body by whoever asks how much to keep.
fn captured(body: &[u8], kept: usize) -> Captured {
    match kept {
        0 => Captured::None,
        kept if body.len() > kept => Captured::Truncated,
        _ => Captured::Complete(Bytes::copy_from_slice(body)),
    }
}

fn exchange(choice: u8, text: &[u8]) -> Option<Exchange> {
    let mut lines = text.split(|b| *b == b'\n');
    let mut part = || lines.by_ref().take_while(|line| *line != b"--").collect::<Vec<&[u8]>>();
    let (head, body, answer_head, answer) = (part(), part().join(&b'\n'), part(), part().join(&b'\n'));
    let (first, lines) = head.split_first()?;
    let (method, target) = str::from_utf8(first).ok()?.split_once(' ')?;
    let mut request_headers = headers(lines);
    let target = sign(choice, target, &mut request_headers);
    let (method, uri): (Method, Uri) = (method.parse().ok()?, target.parse().ok()?);
    let endpoint = Endpoint {
        account: "111122223333".parse().expect("twelve digits"),
        region: "eu-west-1".parse().expect("a Region"),
        service: (choice >= 128).then(|| SERVICES[usize::from(choice) % SERVICES.len()].to_owned()),
        s3_hosts: vec!["s3.example.org".to_owned()],
    };
    let mut request = Request::builder().method(method.clone()).uri(uri.clone()).body(()).ok()?;
    *request.headers_mut() = request_headers.clone();
    let wanted = wanted_capture(&request.into_parts().0, &endpoint);
    let status = answer_head.first().and_then(|status| StatusCode::from_bytes(status).ok());
    let kept = |mode: CaptureMode| status.map_or(0, |status| mode.for_status(status));
    Some(Exchange {
        endpoint,
        started: Timestamp::from_millis(1_767_323_045_999),
        peer: "192.0.2.10".parse().expect("an address"),
        tls: None,
        method,
        uri,
        version: Version::HTTP_11,
        request_headers,
        request_body: captured(&body, wanted.request.for_request()),
        status,
        response_headers: headers(answer_head.get(1..).unwrap_or_default()),
        response_body: captured(&answer, kept(wanted.response)),
        bytes_in: body.len() as u64,
        bytes_out: answer.len() as u64,
        caller: match choice % 3 {
            0 => Caller::Identity(json!({ "type": "Root", "principalId": "111122223333" })),
            1 => Caller::UnknownKey { access_key_id: "AKIDEXAMPLE".to_owned() },
            _ => Caller::Anonymous,
        },
        event_id: uuid::Uuid::nil(),
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let Some(exchange) = exchange(*choice, text) else { return };
    let make = || match choice / 32 % 3 {
        0 => record(&exchange),
        1 => record_broken(&exchange, Break::Client),
        _ => record_broken(&exchange, Break::Upstream),
    };
    let made = make();
    assert_eq!(made.is_none(), exchange.method == Method::OPTIONS);
    let Some(made) = made else { return };
    assert_eq!(Some(&made.body), make().as_ref().map(|again| &again.body), "the same each time");
    assert!(made.body.len() < MAX_RECORD_BYTES && check(&made.body).is_ok(), "ingest takes it");
    let whole: Value = serde_json::from_slice(&made.body).expect("a record is JSON");
    assert_eq!(whole["eventName"], *made.operation);
    assert_eq!(whole["eventSource"], *made.event_source);
    assert_eq!(whole["managementEvent"], made.management);
    assert!(!made.operation.is_empty());
    let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(holds(text) || !holds(&made.body), "a secret of the head is in the record");
});
