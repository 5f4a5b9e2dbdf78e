//! Reads and verifies the signature of any request: never panics, never accepts what the secret did not sign.
//!
//! The input is a request as text: `METHOD target`, then header lines.
#![no_main]

use http::{HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use opentrail_model::Timestamp;
use opentrail_wire::sigv4::{Rules, SignedRequest, credential, sha256};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|b| *b == b'\n');
    let mut first = lines.next().unwrap_or_default().splitn(2, |b| *b == b' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let Ok(mut request) = Request::builder().method(method).uri(target).body(()) else { return };
    for line in lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            request.headers_mut().append(name, value);
        }
    }
    let (parts, ()) = request.into_parts();

    let claimed = credential(&parts);
    let Ok(Some(signature)) = SignedRequest::parse(&parts) else { return };
    assert_eq!(claimed.as_ref(), Some(signature.scope()), "the peek and the parser agree");
    let body = sha256(b"");
    for rules in [Rules::s3(), Rules::of("cloudtrail"), Rules::of(&signature.scope().service)] {
        for body in [None, Some(&body)] {
            // A secret that no corpus was signed with: whoever finds a signature for it has broken HMAC-SHA-256.
            let verdict = signature.verify(&parts, "6d1f0c9e", body, signature.time(), &rules);
            let error = verdict.expect_err("nothing is signed with this secret");
            let _ = (error.exception(), error.s3(), error.query());
        }
    }
    let _ = signature.verify(&parts, "", None, Timestamp::EPOCH, &Rules::s3());
});
