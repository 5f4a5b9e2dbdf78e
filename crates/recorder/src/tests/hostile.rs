use super::*;
use crate::Break;
use proptest::prelude::*;

proptest! {
    /// Whatever comes in: no panic, one JSON object, within the size that the journal takes.
    #[test]
    fn any_bytes_make_a_record_that_can_be_read(
        method in "GET|PUT|POST|DELETE|HEAD|PATCH|OPTIONS",
        path in "(/[a-z%.]{0,8}){1,3}(\\?[a-zA-Z=&.+0-9%-]{0,40})?",
        service in "s3|dynamodb|sts|lambda|[ -~]{0,12}",
        target in proptest::option::of("[ -~]{0,60}|DynamoDB_20120810\\.PutItem"),
        kind in proptest::option::of("application/x-www-form-urlencoded|application/xml"),
        request in body_strategy(),
        response in body_strategy(),
        status in 200u16..600,
        broken in proptest::option::of(prop_oneof![Just(Break::Client), Just(Break::Upstream)]),
    ) {
        prop_assume!(path.parse::<http::Uri>().is_ok());
        let mut exchange = exchange(&method, &path, &service);
        if let Some(target) = target {
            with_header(&mut exchange.request_headers, "x-amz-target", &target);
        }
        if let Some(kind) = kind {
            with_header(&mut exchange.request_headers, "content-type", &kind);
        }
        exchange.status = StatusCode::from_u16(status).ok();
        exchange.request_body = body(request);
        exchange.response_body = body(response);
        let recorded = match broken {
            None => crate::record(&exchange),
            Some(by) => crate::record_broken(&exchange, by),
        };
        prop_assert_eq!(recorded.is_none(), method == "OPTIONS");
        if let Some(recorded) = recorded {
            let record: Value = serde_json::from_slice(&recorded.body).unwrap();
            prop_assert!(!record["eventName"].as_str().unwrap().is_empty());
            prop_assert!(recorded.body.len() < opentrail_model::MAX_RECORD_BYTES);
            prop_assert!(!record.to_string().contains("5ec2e7"), "the signature");
        }
    }
}

fn body_strategy() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        "[<>/a-z&;=\" ]{0,64}".prop_map(String::into_bytes),
        "[\\[\\]{}\":,a-z0-9]{0,64}".prop_map(String::into_bytes),
        "(Action|[A-Z.0-9member]{0,20})=[a-zA-Z&=.0-9%]{0,64}".prop_map(String::into_bytes),
    ]
}

#[test]
fn a_record_of_huge_parts_stays_small() {
    let mut exchange = exchange("PUT", "/bucket?tagging", "s3");
    with_header(&mut exchange.request_headers, "user-agent", &"a".repeat(100_000));
    with_header(&mut exchange.response_headers, "x-amz-id-2", &"b".repeat(100_000));
    exchange.request_body = body(format!("<Tagging><Tag>{}</Tag></Tagging>", "c".repeat(200_000)));
    let record = record(&exchange);
    assert_eq!(record["requestParameters"], json!({ "omitted": true }));
    assert_eq!(record["additionalEventData"], json!({ "omitted": true }));
    assert_eq!(record["userAgent"].as_str().unwrap().len(), 1026);
}

#[test]
fn a_document_nested_too_deep_is_omitted() {
    let mut exchange = exchange("POST", "/", "kms");
    with_header(&mut exchange.request_headers, "x-amz-target", "TrentService.TagResource");
    exchange.request_body = body(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(record(&exchange)["requestParameters"], json!({ "omitted": true }));
}
