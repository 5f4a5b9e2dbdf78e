//! A store with callers, and a signer that shares no code with what verifies its signatures.

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use opentrail_model::{AccountId, Region};
use opentrail_objects::{Access, Body, Denied, NoSecret, S3Call, S3Service, Store, service};
use opentrail_runtime::{Clock, SystemClock};

pub(crate) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const SESSION_KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
pub(crate) const TOKEN: &str = "a session/token+with=signs";
pub(crate) const EXPIRED_TOKEN: &str = "an old token";
pub(crate) const HOST: &str = "127.0.0.1:9000";

/// One account with a key and a session; `denied/…` is nobody's to read or write.
pub(crate) struct Callers;

impl Access for Callers {
    fn secret(&self, access_key_id: &str, session_token: Option<&str>) -> Result<String, NoSecret> {
        match (access_key_id, session_token) {
            (KEY_ID, None) | (SESSION_KEY_ID, Some(TOKEN)) => Ok(SECRET.to_owned()),
            (SESSION_KEY_ID, Some(EXPIRED_TOKEN)) => Err(NoSecret::ExpiredToken),
            (KEY_ID | SESSION_KEY_ID, Some(_)) => Err(NoSecret::WrongToken),
            _ => Err(NoSecret::UnknownKey),
        }
    }

    fn check(&self, call: &S3Call<'_>) -> Result<AccountId, Denied> {
        if call.key.is_some_and(|key| key.starts_with("denied/")) {
            return Err(Denied { message: format!("{} is not allowed", call.action) });
        }
        Ok(AccountId::from_u64(111_122_223_333).unwrap())
    }
}

pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) service: S3Service,
}

/// A service over an empty bucket `logs`.
pub(crate) fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Arc::new(SystemClock)).unwrap();
    store.create_bucket("logs", AccountId::from_u64(111_122_223_333).unwrap(), Region::us_east_1()).unwrap();
    let service = service(store.clone(), Arc::new(Callers), &[]).unwrap();
    Fixture { directory, store, service }
}

/// Who signs, and when.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) key_id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) token: Option<&'static str>,
    pub(crate) at: DateTime<Utc>,
}

impl Default for Signer {
    fn default() -> Self {
        Self { key_id: KEY_ID, secret: SECRET, token: None, at: now() }
    }
}

/// The time that the S3 library compares with, which is the machine's.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(SystemClock.now().as_millis()).unwrap()
}

/// A request to sign. The path and the query are encoded already, and the query is in order.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The value of `x-amz-content-sha256`.
    pub(crate) payload: String,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a str, body: &[u8]) -> Self {
        Self { method, path, query: "", headers: Vec::new(), payload: sha256(body) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

impl Signer {
    pub(crate) fn time(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/us-east-1/s3/aws4_request", self.at.format("%Y%m%d"))
    }

    fn signature(&self, string_to_sign: &str) -> String {
        let day = self.at.format("%Y%m%d").to_string();
        let day = mac(format!("AWS4{}", self.secret).as_bytes(), &day);
        let key = mac(&mac(&mac(&day, "us-east-1"), "s3"), "aws4_request");
        hex::encode(mac(&key, string_to_sign))
    }

    fn sign(&self, call: &Call<'_>, query: &str, headers: &[(&str, String)], payload: &str) -> (String, String) {
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.trim())).collect();
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{}\n{}\n{query}\n{lines}\n{names}\n{payload}", call.method, call.path);
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{}\n{}", self.time(), self.scope(), sha256(canonical.as_bytes()));
        (names, self.signature(&to_sign))
    }

    /// The request's headers with its signature, and the signature.
    pub(crate) fn headers(&self, call: &Call<'_>) -> (HeaderMap, String) {
        let mut headers = call.headers.clone();
        headers.push(("host", HOST.to_owned()));
        headers.push(("x-amz-date", self.time()));
        headers.push(("x-amz-content-sha256", call.payload.clone()));
        headers.extend(self.token.map(|token| ("x-amz-security-token", token.to_owned())));
        let (names, signature) = self.sign(call, call.query, &headers, &call.payload);
        let credential = format!("{}/{}", self.key_id, self.scope());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
        headers.push(("authorization", authorization));
        let headers = headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        (headers.collect(), signature)
    }

    /// A presigned URL's path and query.
    pub(crate) fn presigned(&self, call: &Call<'_>, expires: u32) -> String {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, ENCODED).to_string();
        let credential = encode(&format!("{}/{}", self.key_id, self.scope()));
        let mut query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires={expires}",
            self.time()
        );
        if let Some(token) = self.token {
            query.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
        }
        query.push_str("&X-Amz-SignedHeaders=host");
        let (_, signature) = self.sign(call, &query, &[("host", HOST.to_owned())], "UNSIGNED-PAYLOAD");
        format!("{}?{query}&X-Amz-Signature={signature}", call.path)
    }

    /// A body in signed chunks, the last one empty. `trailer` is a header line without its end.
    pub(crate) fn chunked(&self, seed: &str, chunks: &[&[u8]], trailer: Option<&str>) -> Vec<u8> {
        let mut previous = seed.to_owned();
        let mut body = Vec::new();
        for chunk in chunks.iter().chain([&&b""[..]]) {
            let (time, scope) = (self.time(), self.scope());
            let (empty, data) = (sha256(b""), sha256(chunk));
            let to_sign = format!("AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{previous}\n{empty}\n{data}");
            previous = self.signature(&to_sign);
            body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            if !(chunk.is_empty() && trailer.is_some()) {
                body.extend_from_slice(b"\r\n");
            }
        }
        if let Some(trailer) = trailer {
            let hash = sha256(format!("{trailer}\n").as_bytes());
            let to_sign = format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{previous}\n{hash}", self.time(), self.scope());
            let signature = self.signature(&to_sign);
            body.extend_from_slice(format!("{trailer}\r\nx-amz-trailer-signature:{signature}\r\n\r\n").as_bytes());
        }
        body
    }
}

const ENCODED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What came back, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    /// The error's code and message.
    pub(crate) fn error(&self) -> (String, String) {
        let text = String::from_utf8_lossy(&self.body);
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {text}"));
            rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
        };
        (element("Code"), element("Message"))
    }

    pub(crate) fn code(&self) -> String {
        self.error().0
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Fixture {
    /// Signs `call`, sends it with `body`, and waits for the answer.
    pub(crate) async fn send(&self, signer: &Signer, call: &Call<'_>, body: impl Into<Bytes>) -> Answer {
        let (headers, _) = signer.headers(call);
        let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
        self.send_as_is(&call.method, &format!("{}{query}", call.path), headers, body).await
    }

    pub(crate) async fn send_as_is(
        &self,
        method: &Method,
        uri: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body.clone())).unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().insert("content-length", body.len().into());
        Answer::of(self.service.call(request).await).await
    }

    pub(crate) async fn put(&self, path: &str, body: &'static [u8]) -> Answer {
        self.send(&Signer::default(), &Call::new(Method::PUT, path, body), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&Signer::default(), &Call::new(Method::GET, path, b""), "").await
    }
}
