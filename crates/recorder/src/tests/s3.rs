use super::*;
use crate::{Break, record_broken};

#[test]
fn an_object_written_over_tls_is_a_data_event_with_everything_s3_shows() {
    let mut exchange = exchange("PUT", "/bucket/a%20b/c.txt?x-id=PutObject", "s3");
    exchange.tls = Some(tls());
    exchange.bytes_in = 42;
    with_header(&mut exchange.request_headers, "x-amz-storage-class", "STANDARD_IA");
    with_header(&mut exchange.request_headers, "x-amz-security-token", "secret-token");
    with_header(&mut exchange.request_headers, "x-amz-server-side-encryption-customer-key", "secret-key");
    with_header(&mut exchange.response_headers, "x-amz-request-id", "9E67F4B1EA896060");
    with_header(&mut exchange.response_headers, "x-amz-id-2", "id2=");
    with_header(&mut exchange.response_headers, "x-amz-version-id", "v1");
    with_header(&mut exchange.response_headers, "x-amz-server-side-encryption", "AES256");
    let recorded = crate::record(&exchange).unwrap();
    assert_eq!((recorded.operation.as_str(), recorded.management), ("PutObject", false));

    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": { "type": "Root", "principalId": "111122223333" },
        "eventTime": "2026-01-02T03:04:05Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "PutObject",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "[aws-cli/2]",
        "requestParameters": {
            "bucketName": "bucket",
            "Host": "127.0.0.1:9000",
            "key": "a b/c.txt",
            "x-id": "PutObject",
            "x-amz-storage-class": "STANDARD_IA",
            "x-amz-server-side-encryption-customer-key": "HIDDEN_DUE_TO_SECURITY_REASONS",
        },
        "responseElements": { "x-amz-server-side-encryption": "AES256", "x-amz-version-id": "v1" },
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 42,
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": "id2=",
            "bytesTransferredOut": 0,
            "SSEApplied": "Default_SSE_S3",
        },
        "requestID": "9E67F4B1EA896060",
        "eventID": "00000000-0000-0000-0000-000000000000",
        "readOnly": false,
        "resources": [
            { "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::bucket/a b/c.txt" },
            { "accountId": "111122223333", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::bucket" },
        ],
        "eventType": "AwsApiCall",
        "managementEvent": false,
        "recipientAccountId": "111122223333",
        "eventCategory": "Data",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "127.0.0.1:9000",
            "keyExchange": "x25519",
        },
    });
    let record: Value = serde_json::from_slice(&recorded.body).unwrap();
    assert_eq!(record, expected);
    assert_eq!(keys(&record), keys(&expected), "in CloudTrail's order");
    assert!(!String::from_utf8_lossy(&recorded.body).contains("secret-"));
}

#[test]
fn a_presigned_url_leaves_no_signature_behind() {
    let uri = "/bucket/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA1%2F20260102%2Fap-south-1%2Fs3%2F\
               aws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host\
               &X-Amz-Security-Token=secret&X-Amz-Signature=5ec2e7";
    let mut exchange = exchange("GET", uri, "s3");
    exchange.request_headers.remove("authorization");
    let record = record(&exchange);
    assert_eq!(record["awsRegion"], "ap-south-1");
    assert_eq!(record["additionalEventData"]["AuthenticationMethod"], "QueryString");
    let shown = keys(&record["requestParameters"]);
    let signing = ["X-Amz-Algorithm", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"];
    assert_eq!(shown, [&["bucketName", "Host", "key"][..], &signing].concat());
    assert!(!record.to_string().contains("5ec2e7") && !record.to_string().contains("secret"));
}

#[test]
fn a_configuration_is_shown_under_its_root_element() {
    let mut exchange = exchange("PUT", "/?publicAccessBlock", "s3");
    with_header(&mut exchange.request_headers, "host", "bucket.s3.example.org");
    exchange.request_body = body(
        r#"<PublicAccessBlockConfiguration xmlns="urn:s3"><BlockPublicAcls>true</BlockPublicAcls>
           </PublicAccessBlockConfiguration>"#,
    );
    let record = record(&exchange);
    assert_eq!(record["eventName"], "PutBucketPublicAccessBlock");
    assert_eq!((&record["managementEvent"], &record["responseElements"]), (&json!(true), &Value::Null));
    let expected = json!({
        "bucketName": "bucket",
        "Host": "bucket.s3.example.org",
        "publicAccessBlock": "",
        "PublicAccessBlockConfiguration": { "xmlns": "urn:s3", "BlockPublicAcls": true },
    });
    assert_eq!(record["requestParameters"], expected);
    let bucket = json!([{ "accountId": "111122223333", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::bucket" }]);
    assert_eq!(record["resources"], bucket);
}

#[test]
fn a_bucket_policy_is_shown_as_a_document_and_an_unreadable_one_as_omitted() {
    let mut exchange = exchange("PUT", "/bucket?policy", "s3");
    exchange.request_body = body(r#"{"Statement":[]}"#);
    assert_eq!(record(&exchange)["requestParameters"]["bucketPolicy"], json!({ "Statement": [] }));
    exchange.request_body = Captured::Truncated;
    assert_eq!(record(&exchange)["requestParameters"]["bucketPolicy"], json!({ "omitted": true }));
}

#[test]
fn errors_come_from_the_document_or_else_from_the_status() {
    let mut get = exchange("GET", "/bucket/k", "s3");
    get.status = Some(StatusCode::FORBIDDEN);
    get.response_body = body("<Error><Code>InvalidAccessKeyId</Code><Message>No such key id.</Message></Error>");
    let get = record(&get);
    assert_eq!((&get["errorCode"], &get["errorMessage"]), (&json!("InvalidAccessKeyId"), &json!("No such key id.")));

    for (uri, status, code) in [
        ("/bucket/k", 404, json!("NoSuchKey")),
        ("/bucket", 404, json!("NoSuchBucket")),
        ("/bucket/k", 403, json!("AccessDenied")),
        ("/bucket/k", 304, Value::Null),
    ] {
        let mut head = exchange("HEAD", uri, "s3");
        head.status = Some(StatusCode::from_u16(status).unwrap());
        assert_eq!(record(&head)["errorCode"], code, "{status}");
    }
}

#[test]
fn an_error_after_status_200_is_an_error() {
    let mut exchange = exchange("POST", "/bucket/k?uploadId=u", "s3");
    exchange.response_body = body("<Error><Code>InternalError</Code></Error>");
    let record = record(&exchange);
    assert_eq!(
        (&record["eventName"], &record["errorCode"]),
        (&json!("CompleteMultipartUpload"), &json!("InternalError"))
    );
}

#[test]
fn unsigned_and_unknown_callers_are_told_apart() {
    let mut unsigned = exchange("GET", "/bucket/k", "s3");
    unsigned.request_headers.remove("authorization");
    unsigned.caller = Caller::Anonymous;
    let unsigned = record(&unsigned);
    let anonymous = json!({ "type": "AWSAccount", "principalId": "", "accountId": "anonymous" });
    assert_eq!((&unsigned["userIdentity"], &unsigned["awsRegion"]), (&anonymous, &json!("eu-west-1")));
    assert_eq!(keys(&unsigned["additionalEventData"]), ["bytesTransferredIn", "bytesTransferredOut"]);

    let mut stranger = exchange("GET", "/bucket/k", "s3");
    stranger.caller = Caller::UnknownKey { access_key_id: "AKIASTRANGER".into() };
    assert_eq!(record(&stranger)["userIdentity"]["accessKeyId"], "AKIASTRANGER");
}

#[test]
fn calls_that_broke_off_say_who_broke_them() {
    let broken = |exchange: &Exchange, by| -> Value {
        serde_json::from_slice(&record_broken(exchange, by).unwrap().body).unwrap()
    };
    let mut exchange = exchange("GET", "/bucket/k", "s3");
    exchange.bytes_out = 7;
    let client = broken(&exchange, Break::Client);
    assert_eq!(
        (&client["errorCode"], &client["additionalEventData"]["interruptedBy"]),
        (&Value::Null, &json!("client"))
    );
    assert_eq!(client["additionalEventData"]["bytesTransferredOut"], 7);
    assert_eq!(broken(&exchange, Break::Upstream)["errorCode"], "ServiceUnavailable");
    exchange.status = None;
    assert_eq!(broken(&exchange, Break::Client)["errorCode"], "ClientDisconnected");
}

#[test]
fn a_pre_flight_is_no_call() {
    assert!(crate::record(&exchange("OPTIONS", "/bucket/k", "s3")).is_none());
}

#[test]
fn objects_are_never_kept_and_documents_are() {
    let wanted = |method: &str, uri: &str| {
        let exchange = exchange(method, uri, "s3");
        let (mut parts, ()) = http::Request::new(()).into_parts();
        (parts.method, parts.uri, parts.headers) = (exchange.method, exchange.uri, exchange.request_headers);
        let capture = crate::wanted_capture(&parts, &exchange.endpoint);
        let kept = |status| capture.response.for_status(status) > 0;
        (capture.request.for_request() > 0, kept(StatusCode::OK), kept(StatusCode::NOT_FOUND))
    };
    assert_eq!(wanted("PUT", "/b/k"), (false, false, true));
    assert_eq!(wanted("GET", "/b/k"), (false, false, true));
    assert_eq!(wanted("PUT", "/b?policy"), (true, false, true));
    assert_eq!(wanted("POST", "/b/k?uploadId=u"), (false, true, true));
}

#[test]
fn the_request_id_is_found_under_the_name_that_s3_look_alikes_give_it() {
    let mut exchange = exchange("GET", "/bucket/key", "s3");
    with_header(&mut exchange.response_headers, "x-amzn-requestid", "from-a-look-alike");
    assert_eq!(record(&exchange)["requestID"], "from-a-look-alike");
    with_header(&mut exchange.response_headers, "x-amz-request-id", "9E67F4B1EA896060");
    assert_eq!(record(&exchange)["requestID"], "9E67F4B1EA896060");
}

fn deletions(exchange: &crate::Exchange, broken: Option<Break>) -> Vec<Value> {
    let mut ids = 0;
    let records = crate::record_deletions(exchange, broken, None, || {
        ids += 1;
        uuid::Uuid::from_u128(ids)
    });
    assert!(records.iter().all(|record| record.operation == "DeleteObject" && !record.management));
    records.iter().map(|record| serde_json::from_slice(&record.body).unwrap()).collect()
}

#[test]
fn each_object_of_a_bulk_deletion_has_an_event() {
    let mut exchange = exchange("POST", "/bucket?delete", "s3");
    with_header(&mut exchange.response_headers, "x-amz-request-id", "9E67F4B1EA896060");
    exchange.request_body = body(
        "<Delete><Object><Key>a &amp; b</Key></Object><Object><Key>c</Key><VersionId>v1</VersionId></Object>\
         <Object><Key>c</Key></Object><Quiet>true</Quiet></Delete>",
    );
    exchange.response_body = body(
        "<DeleteResult><Error><Key>c</Key><VersionId>v1</VersionId><Code>AccessDenied</Code>\
         <Message>Access Denied</Message></Error></DeleteResult>",
    );
    let records = deletions(&exchange, None);
    let keys: Vec<_> = records.iter().map(|record| &record["requestParameters"]["key"]).collect();
    assert_eq!(keys, ["a & b", "c", "c"]);
    let errors: Vec<_> = records.iter().map(|record| record["errorCode"].as_str()).collect();
    assert_eq!(errors, [None, Some("AccessDenied"), None]);
    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": { "type": "Root", "principalId": "111122223333" },
        "eventTime": "2026-01-02T03:04:05Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "DeleteObject",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "[aws-cli/2]",
        "errorCode": "AccessDenied",
        "errorMessage": "Access Denied",
        "requestParameters": { "bucketName": "bucket", "Host": "127.0.0.1:9000", "key": "c", "versionId": "v1" },
        "responseElements": null,
        "requestID": "9E67F4B1EA896060",
        "eventID": "00000000-0000-0000-0000-000000000002",
        "readOnly": false,
        "resources": [
            { "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::bucket/c" },
            { "accountId": "111122223333", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::bucket" },
        ],
        "eventType": "AwsServiceEvent",
        "managementEvent": false,
        "recipientAccountId": "111122223333",
        "eventCategory": "Data",
    });
    assert_eq!(records[1], expected);
    assert_eq!(super::keys(&records[1]), super::keys(&expected), "in CloudTrail's order");
}

#[test]
fn a_bulk_deletion_that_failed_deletes_nothing_and_one_that_broke_off_may_have() {
    let mut exchange = exchange("POST", "/bucket?delete", "s3");
    exchange.request_body = body("<Delete><Object><Key>a</Key></Object></Delete>");
    exchange.status = None;
    assert_eq!(deletions(&exchange, Some(Break::Client))[0]["errorCode"], "ClientDisconnected");
    exchange.status = Some(http::StatusCode::OK);
    assert_eq!(deletions(&exchange, Some(Break::Client))[0]["additionalEventData"]["interruptedBy"], "client");
    exchange.status = Some(http::StatusCode::FORBIDDEN);
    assert!(deletions(&exchange, None).is_empty());
    exchange.status = Some(http::StatusCode::OK);
    exchange.request_body = body("<Delete>");
    assert!(deletions(&exchange, None).is_empty());
    exchange.method = http::Method::GET;
    assert!(deletions(&exchange, None).is_empty());
}
