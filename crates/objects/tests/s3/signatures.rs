//! Who is let in: signatures in headers, in URLs and in chunks, right and wrong.

use crate::support::{Call, EXPIRED_TOKEN, HOST, SESSION_KEY_ID, Signer, TOKEN, fixture, now};
use chrono::TimeDelta;
use http::{HeaderMap, Method, StatusCode};

fn host() -> HeaderMap {
    HeaderMap::from_iter([(http::header::HOST, HOST.parse().unwrap())])
}

#[tokio::test]
async fn a_signed_request_is_answered() {
    let s3 = fixture();
    let put = s3.put("/logs/a%20b.txt", b"hello").await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    let get = s3.get("/logs/a%20b.txt").await;
    assert_eq!((get.status, &get.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(get.header("etag"), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert!(get.header("x-amz-request-id").is_some() && get.header("x-amz-id-2").is_some());
}

#[tokio::test]
async fn a_wrong_secret_or_key_is_refused() {
    let s3 = fixture();
    let call = Call::new(Method::GET, "/logs/x", b"");
    let wrong = s3.send(&Signer { secret: "another", ..Signer::default() }, &call, "").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    let unknown = s3.send(&Signer { key_id: "AKIAUNKNOWN", ..Signer::default() }, &call, "").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (StatusCode::FORBIDDEN, "InvalidAccessKeyId"));
    let (headers, _) = Signer::default().headers(&call);
    let moved = s3.send_as_is(&Method::GET, "/logs/y", headers, "").await;
    assert_eq!((moved.status, moved.code().as_str()), (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn a_session_needs_its_own_token() {
    let s3 = fixture();
    s3.put("/logs/x", b"hello").await;
    let call = Call::new(Method::GET, "/logs/x", b"");
    for (token, status) in
        [(Some(TOKEN), StatusCode::OK), (Some("another"), StatusCode::BAD_REQUEST), (None, StatusCode::FORBIDDEN)]
    {
        let signer = Signer { key_id: SESSION_KEY_ID, token, ..Signer::default() };
        assert_eq!(s3.send(&signer, &call, "").await.status, status, "{token:?}");
        let presigned = s3.send_as_is(&Method::GET, &signer.presigned(&call, 60), host(), "").await;
        assert_eq!(presigned.status, status, "{token:?} in a URL");
    }
    let stray = s3.send(&Signer { token: Some(TOKEN), ..Signer::default() }, &call, "").await;
    assert_eq!(stray.code(), "InvalidToken");
    let over = Signer { key_id: SESSION_KEY_ID, token: Some(EXPIRED_TOKEN), ..Signer::default() };
    let over = s3.send(&over, &call, "").await;
    assert_eq!((over.status, over.code().as_str()), (StatusCode::BAD_REQUEST, "ExpiredToken"));
}

#[tokio::test]
async fn clocks_may_differ_by_fifteen_minutes() {
    let s3 = fixture();
    s3.put("/logs/x", b"hello").await;
    let call = Call::new(Method::GET, "/logs/x", b"");
    for (minutes, skewed) in [(-16, true), (-14, false), (14, false), (16, true)] {
        let signer = Signer { at: now() + TimeDelta::minutes(minutes), ..Signer::default() };
        let answer = s3.send(&signer, &call, "").await;
        if skewed {
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"));
        } else {
            assert_eq!(answer.status, StatusCode::OK, "{minutes} minutes");
        }
    }
}

#[tokio::test]
async fn presigned_urls_work_until_they_expire() {
    let s3 = fixture();
    s3.put("/logs/x", b"hello").await;
    let call = Call::new(Method::GET, "/logs/x", b"");
    let issued = |hours| Signer { at: now() - TimeDelta::hours(hours), ..Signer::default() };

    let fresh = s3.send_as_is(&Method::GET, &issued(0).presigned(&call, 60), host(), "").await;
    assert_eq!((fresh.status, &fresh.body[..]), (StatusCode::OK, &b"hello"[..]));
    let old = s3.send_as_is(&Method::GET, &issued(20).presigned(&call, 86_400), host(), "").await;
    assert_eq!(old.status, StatusCode::OK);
    let expired = s3.send_as_is(&Method::GET, &issued(1).presigned(&call, 60), host(), "").await;
    assert_eq!(expired.status, StatusCode::FORBIDDEN);
    assert_eq!(expired.error(), ("AccessDenied".to_owned(), "Request has expired".to_owned()));
    let early = s3.send_as_is(&Method::GET, &issued(-1).presigned(&call, 60), host(), "").await;
    assert_eq!(early.status, StatusCode::FORBIDDEN);
    let prolonged = issued(1).presigned(&call, 60).replace("X-Amz-Expires=60", "X-Amz-Expires=86400");
    let prolonged = s3.send_as_is(&Method::GET, &prolonged, host(), "").await;
    assert_eq!((prolonged.status, prolonged.code().as_str()), (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    let other_method = s3.send_as_is(&Method::DELETE, &issued(0).presigned(&call, 60), host(), "").await;
    assert_eq!(other_method.status, StatusCode::FORBIDDEN);
    let put = Call::new(Method::PUT, "/logs/y", b"");
    let put = s3.send_as_is(&Method::PUT, &issued(0).presigned(&put, 60), host(), "by URL").await;
    assert_eq!(put.status, StatusCode::OK);
    assert_eq!(&s3.get("/logs/y").await.body[..], b"by URL");
}

#[tokio::test]
async fn anonymous_calls_are_refused() {
    let s3 = fixture();
    let answer = s3.send_as_is(&Method::GET, "/logs/x", host(), "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "AccessDenied"));
    let denied = s3.put("/logs/denied/x", b"hello").await;
    assert_eq!(denied.error(), ("AccessDenied".to_owned(), "s3:PutObject is not allowed".to_owned()));
}

#[tokio::test]
async fn a_body_must_have_the_signed_hash() {
    let s3 = fixture();
    let call = Call::new(Method::PUT, "/logs/x", b"hello");
    let answer = s3.send(&Signer::default(), &call, "jello").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch"));
    let md5 = Call::new(Method::PUT, "/logs/x", b"jello").header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==");
    assert_eq!(s3.send(&Signer::default(), &md5, "jello").await.code(), "BadDigest");
    let crc = Call::new(Method::PUT, "/logs/x", b"jello").header("x-amz-checksum-crc32", "NhCmhg==");
    assert_eq!(s3.send(&Signer::default(), &crc, "jello").await.code(), "BadDigest");
    assert_eq!(s3.get("/logs/x").await.code(), "NoSuchKey");
    let crc = Call::new(Method::PUT, "/logs/x", b"hello").header("x-amz-checksum-crc32", "NhCmhg==");
    let right = s3.send(&Signer::default(), &crc, "hello").await;
    assert_eq!((right.status, right.header("x-amz-checksum-crc32")), (StatusCode::OK, Some("NhCmhg==")));
}

/// A PUT of `hello world` in chunks.
fn chunked(payload: &str) -> Call<'static> {
    let call = Call::new(Method::PUT, "/logs/x", b"").header("x-amz-decoded-content-length", "11");
    let call = call.header("content-encoding", "aws-chunked");
    Call { payload: payload.to_owned(), ..call }
}

#[tokio::test]
async fn signed_chunks_are_taken_whole_and_unchanged_or_not_at_all() {
    let s3 = fixture();
    let signer = Signer::default();
    let call = chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let (headers, seed) = signer.headers(&call);
    let put = |body: Vec<u8>| s3.send_as_is(&Method::PUT, "/logs/x", headers.clone(), body);
    let right = signer.chunked(&seed, &[b"hello ", b"world"], None);

    let text = String::from_utf8(right.clone()).unwrap();
    let tampered = put(text.replace("world", "w0rld").into_bytes()).await;
    assert_eq!((tampered.status, tampered.code().as_str()), (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    let shorter = put(signer.chunked(&seed, &[b"hello "], None)).await;
    assert_eq!((shorter.status, shorter.code().as_str()), (StatusCode::BAD_REQUEST, "IncompleteBody"));
    let last = right.len() - text.rfind("0;chunk").unwrap();
    let cut_between_chunks = put(right[..right.len() - last].to_vec()).await;
    assert_eq!(cut_between_chunks.code(), "IncompleteBody");
    let cut_inside_a_chunk = put(right[..95].to_vec()).await;
    assert_eq!(cut_inside_a_chunk.code(), "IncompleteBody");
    let unsigned = put(b"b\r\nhello world\r\n0\r\n\r\n".to_vec()).await;
    assert_eq!((unsigned.status, unsigned.code().as_str()), (StatusCode::BAD_REQUEST, "InvalidRequest"));
    let no_chunks = put(b"hello world".to_vec()).await;
    assert_eq!((no_chunks.status, no_chunks.code().as_str()), (StatusCode::BAD_REQUEST, "IncompleteBody"));
    assert_eq!(s3.get("/logs/x").await.code(), "NoSuchKey");

    assert_eq!(put(right).await.status, StatusCode::OK);
    let get = s3.get("/logs/x").await;
    assert_eq!(&get.body[..], b"hello world");
    assert_eq!(get.header("content-encoding"), None);
}

#[tokio::test]
async fn signed_trailers_are_verified() {
    let s3 = fixture();
    let signer = Signer::default();
    let call = chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER").header("x-amz-trailer", "x-amz-checksum-crc32c");
    let (headers, seed) = signer.headers(&call);
    let put = |body: Vec<u8>| s3.send_as_is(&Method::PUT, "/logs/x", headers.clone(), body);
    let with = |sum: &str| signer.chunked(&seed, &[b"hello world"], Some(&format!("x-amz-checksum-crc32c:{sum}")));

    let forged = String::from_utf8(with("AAAAAA==")).unwrap().replace("AAAAAA==", "yZRlqg==");
    assert_eq!(put(forged.into_bytes()).await.code(), "SignatureDoesNotMatch");
    assert_eq!(put(with("AAAAAA==")).await.code(), "BadDigest");
    let missing = put(signer.chunked(&seed, &[b"hello world"], None)).await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST, "{missing:?}");
    assert_eq!(s3.get("/logs/x").await.code(), "NoSuchKey");
    let right = put(with("yZRlqg==")).await;
    assert_eq!((right.status, right.header("x-amz-checksum-crc32c")), (StatusCode::OK, Some("yZRlqg==")));
}

#[tokio::test]
async fn unsigned_chunks_are_held_to_their_trailer() {
    let s3 = fixture();
    let call = chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER").header("x-amz-trailer", "x-amz-checksum-crc32c");
    let (headers, _) = Signer::default().headers(&call);
    let put = |body: &'static str| s3.send_as_is(&Method::PUT, "/logs/x", headers.clone(), body);

    let wrong = put("b\r\nhello_world\r\n0\r\nx-amz-checksum-crc32c:yZRlqg==\r\n\r\n").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::BAD_REQUEST, "BadDigest"));
    let missing = put("b\r\nhello world\r\n0\r\n\r\n").await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST, "{missing:?}");
    assert_eq!(put("b\r\nhello world\r\n").await.code(), "IncompleteBody");
    assert_eq!(s3.get("/logs/x").await.code(), "NoSuchKey");
    let right = put("6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32c:yZRlqg==\r\n\r\n").await;
    assert_eq!(right.status, StatusCode::OK, "{right:?}");
    assert_eq!(&s3.get("/logs/x").await.body[..], b"hello world");
}
