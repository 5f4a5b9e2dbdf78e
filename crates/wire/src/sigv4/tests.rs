//! What `sign` makes, `verify` accepts; what was changed on the way, it refuses; AWS's own signer agrees.
//!
//! The public test vectors are replayed in `tests/sigv4_vectors.rs`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign as aws_sign,
};
use aws_sigv4::sign::v4;
use http::request::Parts;
use opentrail_model::Timestamp;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn credentials() -> Credentials {
    Credentials { access_key_id: "AKIDEXAMPLE".to_owned(), secret: SECRET.to_owned(), session_token: None }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn request(method: &str, uri: &str) -> Parts {
    http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
}

fn rules(service: &str) -> Rules<'_> {
    if service == "s3" { Rules::s3() } else { Rules::of(service) }
}

fn verify(parts: &Parts, body: &[u8], rules: &Rules<'_>, at: Timestamp) -> Result<(), SignatureError> {
    SignedRequest::parse(parts)?.expect("signed").verify(parts, SECRET, Some(&sha256(body)), at, rules)
}

fn signed(service: &str, uri: &str, body: &[u8]) -> Parts {
    let mut parts = request("POST", uri);
    sign_headers(&mut parts, &credentials(), "us-east-1", service, &hex_sha256(body), now()).unwrap();
    parts
}

fn header(parts: &mut Parts, name: &'static str, value: &str) {
    parts.headers.insert(name, value.parse().unwrap());
}

#[test]
fn a_signed_request_is_accepted_and_tells_what_it_is_for() {
    let parts = signed("cloudtrail", "http://127.0.0.1:4590/", b"{}");
    let signature = SignedRequest::parse(&parts).unwrap().unwrap();
    assert_eq!(signature.access_key_id(), "AKIDEXAMPLE");
    assert_eq!(signature.scope().scope(), "20260102/us-east-1/cloudtrail/aws4_request");
    assert_eq!(signature.content_sha256(), Payload::Absent);
    assert_eq!(signature.session_token(), None);
    assert!(!signature.is_presigned());
    assert_eq!(credential(&parts).as_ref(), Some(signature.scope()));
    verify(&parts, b"{}", &Rules::of("cloudtrail").in_region("us-east-1"), now()).unwrap();
}

#[test]
fn an_unsigned_request_is_told_from_a_badly_signed_one() {
    let mut parts = request("POST", "http://example.com/");
    assert!(SignedRequest::parse(&parts).unwrap().is_none());
    header(&mut parts, "authorization", "Bearer abc");
    assert!(SignedRequest::parse(&parts).unwrap().is_none());
    assert_eq!(credential(&parts), None);
    header(&mut parts, "authorization", "AWS AKIDEXAMPLE:abc");
    assert!(matches!(SignedRequest::parse(&parts), Err(SignatureError::UnsupportedAlgorithm { .. })));
}

#[test]
fn each_fault_of_the_header_is_named() {
    let fault = |value: &str| {
        let mut parts = request("POST", "http://example.com/");
        header(&mut parts, "x-amz-date", "20260102T030405Z");
        header(&mut parts, "authorization", value);
        SignedRequest::parse(&parts).unwrap_err()
    };
    let scope = "AKID/20260102/us-east-1/cloudtrail/aws4_request";
    assert_eq!(
        fault("AWS4-HMAC-SHA256 Credential").to_string(),
        "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header."
    );
    assert_eq!(
        fault("AWS4-HMAC-SHA256").to_string(),
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. \
         Authorization header requires 'SignedHeaders' parameter."
    );
    assert!(matches!(
        fault(&format!("AWS4-HMAC-SHA256 Credential={scope}, Credential={scope}, SignedHeaders=host, Signature=00")),
        SignatureError::RepeatedField { .. }
    ));
    assert!(matches!(
        fault("AWS4-HMAC-SHA256 Credential=AKID/20260102/cloudtrail/aws4_request, SignedHeaders=host, Signature=00"),
        SignatureError::MalformedCredential { .. }
    ));
    assert!(matches!(
        fault("AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/cloudtrail/aws3, SignedHeaders=host, Signature=00"),
        SignatureError::WrongTerminator { .. }
    ));
}

#[test]
fn a_request_without_a_readable_date_is_refused() {
    let mut parts = signed("cloudtrail", "http://example.com/", b"");
    header(&mut parts, "x-amz-date", "yesterday");
    assert!(matches!(SignedRequest::parse(&parts), Err(SignatureError::InvalidDate { .. })));
    parts.headers.remove("x-amz-date");
    let error = SignedRequest::parse(&parts).unwrap_err();
    assert!(error.to_string().contains("'X-Amz-Date' or a 'Date' header"), "{error}");
}

#[test]
fn the_date_header_serves_where_there_is_no_amz_date() {
    let mut parts = request("GET", "http://example.com/");
    header(&mut parts, "host", "example.com");
    header(&mut parts, "date", "Fri, 02 Jan 2026 03:04:05 GMT");
    let claimed = Credential {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        date: "20260102".to_owned(),
        region: "us-east-1".to_owned(),
        service: "cloudtrail".to_owned(),
    };
    let names = ["date", "host"];
    let canonical = canonical::request(&parts, "/", "", names.into_iter(), EMPTY_SHA256_HEX).unwrap();
    let signature = hex::encode(key::signature(SECRET, &claimed, "20260102T030405Z", &canonical));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}, SignedHeaders=date;host, Signature={signature}",
        claimed.scope()
    );
    header(&mut parts, "authorization", &value);
    verify(&parts, b"", &Rules::of("cloudtrail"), now()).unwrap();
}

#[test]
fn the_clock_may_differ_by_the_tolerance_and_no_more() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let second = Duration::from_secs(1);
    for (service, tolerance) in [("cloudtrail", minutes(5)), ("s3", minutes(15))] {
        let parts = signed(service, "http://example.com/", b"");
        let rules = rules(service);
        verify(&parts, b"", &rules, now() + tolerance).unwrap();
        verify(&parts, b"", &rules, now() - tolerance).unwrap();
        let late = verify(&parts, b"", &rules, now() + tolerance + second).unwrap_err();
        assert!(matches!(late, SignatureError::Expired { .. }), "{late}");
        let early = verify(&parts, b"", &rules, now() - tolerance - second).unwrap_err();
        assert!(matches!(early, SignatureError::NotYetCurrent { .. }), "{early}");
    }
}

#[test]
fn skew_is_told_in_each_protocols_words() {
    let parts = signed("cloudtrail", "http://example.com/", b"");
    let late = verify(&parts, b"", &Rules::of("cloudtrail"), now() + Duration::from_secs(3600)).unwrap_err();
    let told = late.exception();
    assert_eq!(told.name, "InvalidSignatureException");
    assert_eq!(
        told.message,
        "Signature expired: 20260102T030405Z is now earlier than 20260102T035905Z (20260102T040405Z - 5 min.)"
    );
    assert_eq!((late.s3().code, late.s3().status.as_u16()), ("RequestTimeTooSkewed", 403));
    assert_eq!((late.query().code, late.query().status.as_u16()), ("SignatureDoesNotMatch", 403));
    assert_eq!(late.rest_exception().status, 403);
}

#[test]
fn the_scope_must_fit_the_service_the_region_and_the_day() {
    let parts = signed("cloudtrail", "http://example.com/", b"");
    let wrong_service = verify(&parts, b"", &Rules::of("sts"), now()).unwrap_err();
    assert_eq!(wrong_service.to_string(), "Credential should be scoped to correct service: 'sts'. ");
    let wrong_region = verify(&parts, b"", &Rules::of("cloudtrail").in_region("eu-west-1"), now()).unwrap_err();
    assert!(matches!(wrong_region, SignatureError::WrongRegion { .. }));
    let mut next_day = parts;
    header(&mut next_day, "x-amz-date", "20260103T000000Z");
    let at = "2026-01-03T00:00:00Z".parse().unwrap();
    assert!(matches!(
        verify(&next_day, b"", &Rules::of("cloudtrail"), at).unwrap_err(),
        SignatureError::WrongDate { .. }
    ));
}

#[test]
fn an_amz_header_added_after_signing_is_refused() {
    let mut parts = signed("s3", "http://example.com/b/k", b"");
    header(&mut parts, "x-amz-acl", "public-read");
    let error = verify(&parts, b"", &Rules::s3(), now()).unwrap_err();
    assert_eq!(error, SignatureError::HeaderNotSigned { name: "x-amz-acl".to_owned() });
    assert_eq!(error.s3().code, "AccessDenied");
}

#[test]
fn the_host_must_be_signed() {
    let mut parts = signed("cloudtrail", "http://example.com/", b"");
    let header_value = parts.headers["authorization"].to_str().unwrap().replace("host;", "");
    header(&mut parts, "authorization", &header_value);
    assert_eq!(verify(&parts, b"", &Rules::of("cloudtrail"), now()), Err(SignatureError::HostNotSigned));
}

#[test]
fn a_signed_header_that_is_gone_is_named() {
    let mut parts = request("POST", "http://example.com/");
    header(&mut parts, "content-type", "application/x-amz-json-1.1");
    sign_headers(&mut parts, &credentials(), "us-east-1", "cloudtrail", &hex_sha256(b""), now()).unwrap();
    parts.headers.remove("content-type");
    let error = verify(&parts, b"", &Rules::of("cloudtrail"), now()).unwrap_err();
    assert_eq!(error, SignatureError::SignedHeaderAbsent { name: "content-type".to_owned() });
}

#[test]
fn another_body_is_refused_however_it_is_signed() {
    let parts = signed("cloudtrail", "http://example.com/", b"{}");
    assert_eq!(verify(&parts, b"{ }", &Rules::of("cloudtrail"), now()), Err(SignatureError::Mismatch));
    let parts = signed("s3", "http://example.com/b/k", b"{}");
    let error = verify(&parts, b"{ }", &Rules::s3(), now()).unwrap_err();
    assert_eq!(error.s3().code, "XAmzContentSHA256Mismatch");
}

#[test]
fn bodies_may_go_unsigned_to_s3_only() {
    let unsigned = |service: &str| {
        let mut parts = request("PUT", "http://example.com/b/k");
        sign_headers(&mut parts, &credentials(), "us-east-1", service, UNSIGNED_PAYLOAD, now()).unwrap();
        parts
    };
    verify(&unsigned("s3"), b"anything", &Rules::s3(), now()).unwrap();
    let refused = verify(&unsigned("cloudtrail"), b"anything", &Rules::of("cloudtrail"), now());
    assert_eq!(refused, Err(SignatureError::BodyNotSigned));
}

#[test]
fn streaming_payloads_are_told_apart_and_verified_as_literals() {
    for (literal, payload) in [
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::StreamingSigned),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Payload::StreamingSignedTrailer),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::StreamingUnsignedTrailer),
    ] {
        let mut parts = request("PUT", "http://example.com/b/k");
        sign_headers(&mut parts, &credentials(), "us-east-1", "s3", literal, now()).unwrap();
        let signature = SignedRequest::parse(&parts).unwrap().unwrap();
        assert_eq!(signature.content_sha256(), payload);
        signature.verify(&parts, SECRET, None, now(), &Rules::s3()).unwrap();
    }
    let mut parts = request("PUT", "http://example.com/b/k");
    sign_headers(&mut parts, &credentials(), "us-east-1", "s3", "NOTHING", now()).unwrap();
    assert_eq!(SignedRequest::parse(&parts).unwrap_err().s3().code, "InvalidArgument");
}

#[test]
fn a_session_token_is_signed_along() {
    let mut parts = request("POST", "http://example.com/");
    let temporary = Credentials { session_token: Some("token/+=".to_owned()), ..credentials() };
    sign_headers(&mut parts, &temporary, "us-east-1", "cloudtrail", &hex_sha256(b""), now()).unwrap();
    assert_eq!(SignedRequest::parse(&parts).unwrap().unwrap().session_token(), Some("token/+="));
    verify(&parts, b"", &Rules::of("cloudtrail"), now()).unwrap();
    let debug = format!("{:?} {temporary:?}", SignedRequest::parse(&parts).unwrap().unwrap());
    assert!(!debug.contains("token/+=") && !debug.contains(SECRET), "neither token nor secret is shown: {debug}");
    header(&mut parts, "x-amz-security-token", "another");
    assert_eq!(verify(&parts, b"", &Rules::of("cloudtrail"), now()), Err(SignatureError::Mismatch));
}

#[test]
fn a_presigned_url_holds_until_it_expires() {
    let mut parts = request("GET", "http://example.com/bucket/a%20key%281%29?versionId=x%2By");
    let temporary = Credentials { session_token: Some("token/+=".to_owned()), ..credentials() };
    let hour = Duration::from_secs(3600);
    presign(&mut parts, &temporary, "us-east-1", "s3", UNSIGNED_PAYLOAD, hour, now()).unwrap();
    let signature = SignedRequest::parse(&parts).unwrap().unwrap();
    assert!(signature.is_presigned());
    assert_eq!(signature.session_token(), Some("token/+="));
    assert_eq!(credential(&parts).as_ref(), Some(signature.scope()));
    let at = |now| signature.verify(&parts, SECRET, None, now, &Rules::s3());
    at(now()).unwrap();
    at(now() - Duration::from_secs(15 * 60)).unwrap();
    at(now() + hour).unwrap();
    let late = at(now() + hour + Duration::from_secs(1)).unwrap_err();
    assert_eq!((late.s3().code, late.s3().message.as_str()), ("AccessDenied", "Request has expired"));
    assert!(matches!(at(now() - hour).unwrap_err(), SignatureError::NotYetCurrent { .. }));
}

#[test]
fn presigned_urls_with_missing_or_senseless_parameters_are_refused() {
    let mut parts = request("GET", "http://example.com/bucket/key");
    presign(&mut parts, &credentials(), "us-east-1", "s3", UNSIGNED_PAYLOAD, Duration::from_secs(60), now()).unwrap();
    let uri = parts.uri.to_string();
    let fault = |from: &str, to: &str| {
        assert!(uri.contains(from), "{uri}");
        SignedRequest::parse(&request("GET", &uri.replace(from, to))).unwrap_err()
    };
    for senseless in ["0", "604801", "-1", "soon", ""] {
        let error = fault("X-Amz-Expires=60", &format!("X-Amz-Expires={senseless}"));
        assert_eq!(error.s3().code, "AuthorizationQueryParametersError", "{senseless}");
    }
    assert_eq!(fault("X-Amz-Date=", "Date="), SignatureError::MissingQueryParameter { name: "X-Amz-Date" });
    assert!(matches!(
        fault("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=90"),
        SignatureError::RepeatedField { .. }
    ));
    let mut twice = parts;
    header(&mut twice, "authorization", "AWS4-HMAC-SHA256 Credential=a");
    assert_eq!(SignedRequest::parse(&twice).unwrap_err(), SignatureError::SeveralMechanisms);
}

#[test]
fn s3_paths_are_accepted_as_sent_and_as_canonical() {
    // curl signs `(` as it sends it; SDKs send and sign `%28`.
    let mut parts = request("GET", "http://example.com/bucket/a(1)%2Fb");
    header(&mut parts, "host", "example.com");
    header(&mut parts, "x-amz-date", "20260102T030405Z");
    header(&mut parts, "x-amz-content-sha256", UNSIGNED_PAYLOAD);
    let claimed = Credential {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        date: "20260102".to_owned(),
        region: "us-east-1".to_owned(),
        service: "s3".to_owned(),
    };
    let names = ["host", "x-amz-content-sha256", "x-amz-date"];
    for path in ["/bucket/a(1)%2Fb", "/bucket/a%281%29/b"] {
        let canonical = canonical::request(&parts, path, "", names.into_iter(), UNSIGNED_PAYLOAD).unwrap();
        let signature = hex::encode(key::signature(SECRET, &claimed, "20260102T030405Z", &canonical));
        let value = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{},SignedHeaders={},Signature={signature}",
            claimed.scope(),
            names.join(";")
        );
        header(&mut parts, "authorization", &value);
        verify(&parts, b"", &Rules::s3(), now()).unwrap();
    }
}

/// Signs with AWS's own signer.
fn signed_by_aws(parts: &mut Parts, service: &str, body: &[u8], location: SignatureLocation) {
    let mut settings = SigningSettings::default();
    settings.signature_location = location;
    settings.expires_in = (location == SignatureLocation::QueryParams).then_some(Duration::from_secs(900));
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = aws_sigv4::http_request::PayloadChecksumKind::XAmzSha256;
    }
    let identity = AwsCredentials::new("AKIDEXAMPLE", SECRET, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_millis(now().as_millis() as u64))
        .settings(settings)
        .build()
        .unwrap();
    let signable_body = match (service, location) {
        ("s3", SignatureLocation::QueryParams) => SignableBody::UnsignedPayload,
        _ => SignableBody::Bytes(body),
    };
    let mut request = http::Request::from_parts(parts.clone(), ());
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, signable_body).unwrap();
    let (instructions, _) = aws_sign(signable, &params.into()).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    *parts = request.into_parts().0;
    if !parts.headers.contains_key("host") {
        let host = parts.uri.authority().unwrap().to_string();
        header(parts, "host", &host);
    }
}

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-zA-Z0-9._~-]{1,8}|%20|%2F|%E1%88%B4|%28", 0..5).prop_map(|s| format!("/{}", s.join("/")))
}

fn any_query() -> impl Strategy<Value = String> {
    prop::collection::vec(("[a-zA-Z0-9_-]{1,6}", "[a-zA-Z0-9._~-]{0,6}|%20|%2B|%3A|a%26b"), 0..4)
        .prop_map(|pairs| pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&"))
}

fn any_service() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["cloudtrail", "cloudtrail-data", "s3", "sts"])
}

fn uri(path: &str, query: &str) -> String {
    if query.is_empty() {
        format!("http://127.0.0.1:4590{path}")
    } else {
        format!("http://127.0.0.1:4590{path}?{query}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_sign_makes_verify_accepts(
        path in any_path(), query in any_query(), service in any_service(), body in any::<Vec<u8>>(), meta in "[ -~]{0,20}"
    ) {
        let mut parts = request("PUT", &uri(&path, &query));
        header(&mut parts, "x-amz-meta-note", &meta);
        sign_headers(&mut parts, &credentials(), "us-east-1", service, &hex_sha256(&body), now()).unwrap();
        prop_assert_eq!(verify(&parts, &body, &rules(service), now()), Ok(()));
    }

    #[test]
    fn what_awss_signer_makes_verify_accepts(
        path in any_path(), query in any_query(), service in any_service(), body in any::<Vec<u8>>(), presigned: bool
    ) {
        let mut parts = request("PUT", &uri(&path, &query));
        let location = if presigned { SignatureLocation::QueryParams } else { SignatureLocation::Headers };
        signed_by_aws(&mut parts, service, &body, location);
        prop_assert_eq!(verify(&parts, &body, &rules(service), now()), Ok(()));
    }

    #[test]
    fn one_changed_character_of_what_is_signed_is_refused(
        place in 0..5_usize, at in any::<prop::sample::Index>(), to in "[a-z0-9]"
    ) {
        let mut parts = request("PUT", "http://example.com/bucket/key?alpha=one&beta=two");
        header(&mut parts, "x-amz-meta-note", "remember");
        let body = b"the body".to_vec();
        sign_headers(&mut parts, &credentials(), "us-east-1", "s3", &hex_sha256(&body), now()).unwrap();
        let changed = |text: &str| {
            let at = at.index(text.len());
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            (changed != text).then_some(changed)
        };
        let mut sent_body = body.clone();
        match place {
            0 => {
                let Some(path) = changed("bucket/key") else { return Ok(()) };
                parts.uri = format!("http://example.com/{path}?alpha=one&beta=two").parse().unwrap();
            }
            1 => {
                let Some(query) = changed("alpha=one&beta=two") else { return Ok(()) };
                parts.uri = format!("http://example.com/bucket/key?{query}").parse().unwrap();
            }
            2 => {
                let Some(value) = changed("remember") else { return Ok(()) };
                header(&mut parts, "x-amz-meta-note", &value);
            }
            3 => {
                let authorization = parts.headers["authorization"].to_str().unwrap().to_owned();
                let (head, signature) = authorization.split_at(authorization.len() - 64);
                let Some(signature) = changed(signature) else { return Ok(()) };
                header(&mut parts, "authorization", &format!("{head}{signature}"));
            }
            _ => {
                let Some(text) = changed("the body") else { return Ok(()) };
                sent_body = text.into_bytes();
            }
        }
        prop_assert!(verify(&parts, &sent_body, &Rules::s3(), now()).is_err());
    }

    #[test]
    fn hostile_headers_never_panic(authorization in "\\PC{0,80}", date in "\\PC{0,20}", query in "[ -~]{0,60}") {
        let Ok(uri) = format!("http://h/?{query}").parse::<http::Uri>() else { return Ok(()) };
        let mut parts = request("GET", "http://h/");
        parts.uri = uri;
        for (name, text) in [("authorization", format!("AWS4-HMAC-SHA256 {authorization}")), ("x-amz-date", date)] {
            if let Ok(value) = http::HeaderValue::from_bytes(text.as_bytes()) {
                parts.headers.insert(name, value);
            }
        }
        let _ = credential(&parts);
        if let Ok(Some(signature)) = SignedRequest::parse(&parts) {
            prop_assert!(signature.verify(&parts, SECRET, None, now(), &Rules::s3()).is_err());
        }
    }
}
