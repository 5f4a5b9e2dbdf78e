//! Requests that need care: clients that hang, and what the store has not.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;

use crate::support::{Answer, Call, Signer, fixture, sha256};

#[tokio::test]
async fn a_client_that_hangs_in_a_body_is_given_up() {
    let s3 = fixture();
    let service = s3.service.clone().with_patience(Duration::from_millis(30));
    let whole = Call::new(Method::PUT, "/logs/x", b"hello world");
    let chunked = Call::new(Method::PUT, "/logs/x", b"").header("x-amz-decoded-content-length", "11");
    let chunked = Call { payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(), ..chunked };
    let policy = Call { query: "policy=", ..Call::new(Method::PUT, "/logs", b"hello world") };
    for (call, uri) in [(whole, "/logs/x"), (chunked, "/logs/x"), (policy, "/logs?policy=")] {
        let some = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"b;chunk")))]);
        let body = StreamBody::new(some.chain(stream::pending()));
        let mut request = Request::builder().method(Method::PUT).uri(uri).body(body).unwrap();
        *request.headers_mut() = Signer::default().headers(&call).0;
        request.headers_mut().insert("content-length", 11.into());
        let answer = Answer::of(service.call(request).await).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "RequestTimeout"));
    }
    assert_eq!(s3.get("/logs/x").await.code(), "NoSuchKey");
    let leftovers = std::fs::read_dir(s3.directory.path().join(".opentrail/tmp")).unwrap().count();
    assert_eq!(leftovers, 0);
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing() {
    let s3 = fixture();
    let call = Call::new(Method::PUT, "/logs/x", b"hello world");
    let body = stream::iter([Ok(Frame::data(Bytes::from_static(b"hello"))), Err(std::io::Error::other("reset"))]);
    let mut request = Request::builder().method(Method::PUT).uri("/logs/x").body(StreamBody::new(body)).unwrap();
    *request.headers_mut() = Signer::default().headers(&call).0;
    request.headers_mut().insert("content-length", 11.into());
    let answer = Answer::of(s3.service.call(request).await).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "IncompleteBody"));
    assert_eq!(s3.get("/logs/x").await.code(), "NoSuchKey");
}

#[tokio::test]
async fn encryption_is_accepted_where_it_asks_for_nothing() {
    let s3 = fixture();
    let signer = Signer::default();
    let put = |path, value: &str| Call::new(Method::PUT, path, b"x").header("x-amz-server-side-encryption", value);
    const ENCRYPTION: &str = "x-amz-server-side-encryption";
    let answer = s3.send(&signer, &put("/logs/x", "AES256"), "x").await;
    assert_eq!((answer.status, answer.header(ENCRYPTION)), (StatusCode::OK, Some("AES256")), "{answer:?}");
    for method in [Method::GET, Method::HEAD] {
        let answer = s3.send(&signer, &Call::new(method, "/logs/x", b""), "").await;
        assert_eq!(answer.header(ENCRYPTION), Some("AES256"));
    }
    s3.put("/logs/plain", b"x").await;
    assert_eq!(s3.get("/logs/plain").await.header(ENCRYPTION), None);

    let kms = s3.send(&signer, &put("/logs/y", "aws:kms"), "x").await;
    assert_eq!((kms.status, kms.code().as_str()), (StatusCode::NOT_IMPLEMENTED, "NotImplemented"));
    assert!(kms.error().1.contains("KMS"), "{kms:?}");
    assert_eq!(s3.get("/logs/y").await.code(), "NoSuchKey");

    let create = Call { query: "uploads=", ..put("/logs/z", "AES256") };
    let create = Call { method: Method::POST, payload: crate::support::sha256(b""), ..create };
    let created = s3.send(&signer, &create, "").await;
    assert_eq!((created.status, created.header(ENCRYPTION)), (StatusCode::OK, Some("AES256")));
}

#[tokio::test]
async fn acls_that_grant_are_refused() {
    let s3 = fixture();
    let put = |name, value: &str| Call::new(Method::PUT, "/logs/x", b"x").header(name, value);
    for call in [put("x-amz-acl", "public-read"), put("x-amz-grant-read", "id=1"), put("x-amz-grant-write-acp", "id=1")]
    {
        let answer = s3.send(&Signer::default(), &call, "x").await;
        assert_eq!(answer.code(), "AccessControlListNotSupported");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let grant = Call::new(Method::PUT, "/another", b"").header("x-amz-grant-full-control", "id=1");
    assert_eq!(s3.send(&Signer::default(), &grant, "").await.code(), "AccessControlListNotSupported");
    assert!(s3.store.bucket("another").unwrap().is_none());
    let harmless = s3.send(&Signer::default(), &put("x-amz-acl", "bucket-owner-full-control"), "x").await;
    assert_eq!(harmless.status, StatusCode::OK);
}

#[tokio::test]
async fn errors_are_told_as_s3_does() {
    let s3 = fixture();
    let missing = s3.get("/logs/a&b").await;
    assert_eq!((missing.status, missing.code().as_str()), (StatusCode::NOT_FOUND, "NoSuchKey"));
    let text = String::from_utf8(missing.body.to_vec()).unwrap();
    assert!(text.contains("<Resource>/logs/a&amp;b</Resource>") && text.contains("<RequestId>"), "{text}");
    assert_eq!(s3.get("/nowhere/x").await.code(), "NoSuchBucket");
    assert_eq!(s3.put("/Bad_Name", b"").await.code(), "InvalidBucketName");
    assert_eq!(s3.put("/logs", b"").await.code(), "BucketAlreadyOwnedByYou");
    let lifecycle = Call { query: "lifecycle=", ..Call::new(Method::GET, "/logs", b"") };
    let lifecycle = s3.send(&Signer::default(), &lifecycle, "").await;
    assert_eq!((lifecycle.status, lifecycle.code().as_str()), (StatusCode::NOT_IMPLEMENTED, "NotImplemented"));
    let head = s3.send(&Signer::default(), &Call::new(Method::HEAD, "/logs/x", b""), "").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::NOT_FOUND, 0));
}

#[tokio::test]
async fn many_objects_are_deleted_at_once_and_each_has_its_answer() {
    let s3 = fixture();
    for path in ["/logs/a.gz", "/logs/b.gz", "/logs/stays.gz"] {
        assert_eq!(s3.put(path, b"x").await.status, StatusCode::OK);
    }
    let keys = ["a.gz", "b.gz", "never.gz", "denied/x"].map(|key| format!("<Object><Key>{key}</Key></Object>"));
    let body = format!("<Delete>{}</Delete>", keys.concat());
    let call = Call { query: "delete=", ..Call::new(Method::POST, "/logs", body.as_bytes()) };
    let answer = s3.send(&Signer::default(), &call, body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(text.matches("<Deleted>").count(), 3, "{text}");
    let refusal = "<Code>AccessDenied</Code>";
    assert!(text.contains("<Key>denied/x</Key>") && text.matches(refusal).count() == 1, "{text}");
    assert_eq!(s3.get("/logs/a.gz").await.code(), "NoSuchKey");
    assert_eq!(s3.get("/logs/stays.gz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn documents_are_held_to_their_sums() {
    let s3 = fixture();
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let delete = "<Delete><Object><Key>a.gz</Key></Object></Delete>";
    assert_eq!(s3.put("/logs/a.gz", b"x").await.status, StatusCode::OK);
    let (of_policy, of_delete) = ("7ysbf9u2zR7hHgNqh4BIYg==", "+gYZtkSrRhDCd2D6ONdo2g==");
    for (method, query, body, md5, anothers) in [
        (Method::PUT, "policy=", policy, of_policy, of_delete),
        (Method::POST, "delete=", delete, of_delete, of_policy),
    ] {
        let send = async |name: &'static str, value: String| {
            let call = Call { query, ..Call::new(method.clone(), "/logs", body.as_bytes()) }.header(name, value);
            s3.send(&Signer::default(), &call, body).await
        };
        let crc = BASE64.encode(0x1234_5678u32.to_be_bytes());
        for (name, value, code) in [
            ("content-md5", anothers.to_owned(), "BadDigest"),
            ("content-md5", "bm90IGFuIE1ENQ==".to_owned(), "InvalidDigest"),
            ("x-amz-checksum-crc32", crc, "BadDigest"),
            ("x-amz-checksum-sha256", BASE64.encode(hex::decode(sha256(b"another")).unwrap()), "BadDigest"),
        ] {
            let answer = send(name, value).await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, code), "{query} {name}");
        }
        assert_eq!(s3.get("/logs/a.gz").await.status, StatusCode::OK, "nothing is done before the sum is known");
        let right = BASE64.encode(hex::decode(sha256(body.as_bytes())).unwrap());
        assert!(send("x-amz-checksum-sha256", right).await.status.is_success());
        assert!(send("content-md5", md5.to_owned()).await.status.is_success());
    }
    assert_eq!(s3.get("/logs/a.gz").await.code(), "NoSuchKey");
}
