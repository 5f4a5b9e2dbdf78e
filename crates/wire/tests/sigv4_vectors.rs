//! The public Signature Version 4 test vectors, as the package `aws-sigv4` carries them, replayed.
//!
//! Each case holds a request as it was signed by header and by query; the verifier accepts both, but for one query
//! in a form that no service of ours takes, and refuses both with another secret.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Request};
use opentrail_model::Timestamp;
use opentrail_wire::sigv4::{Rules, SignatureError, SignedRequest, sha256};
use serde_json::Value;

/// The directory of the vectors, where Cargo has unpacked the package to build this test.
fn vectors() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).expect("Cargo has a home");
    let sources = home.join("registry/src");
    let registries = fs::read_dir(&sources).unwrap_or_else(|error| panic!("{}: {error}", sources.display()));
    let packages = registries.flat_map(|registry| fs::read_dir(registry.unwrap().path()).unwrap());
    packages
        .map(|package| package.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aws-sigv4-1.")))
        .map(|path| path.join("aws-signing-test-suite/v4"))
        .find(|path| path.is_dir())
        .unwrap_or_else(|| panic!("no aws-sigv4 with its test suite under {}", sources.display()))
}

/// The case whose session token is not signed.
const TOKEN_ADDED_LATER: &str = "post-sts-header-after";

/// One case.
struct Vector {
    name: String,
    dir: PathBuf,
    context: Value,
}

impl Vector {
    fn all() -> Vec<Self> {
        let mut all: Vec<Self> = fs::read_dir(vectors())
            .unwrap()
            .map(|entry| entry.unwrap())
            // Two cases of the SDK's own lack the context: `an_encoded_path_is_encoded_again` has one, the other
            // repeats it.
            .filter(|entry| entry.path().join("context.json").is_file())
            .map(|entry| Self {
                name: entry.file_name().into_string().unwrap(),
                context: serde_json::from_slice(&fs::read(entry.path().join("context.json")).unwrap()).unwrap(),
                dir: entry.path(),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(all.len() >= 35, "only {} vectors", all.len());
        all
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap_or_else(|error| panic!("{}/{file}: {error}", self.name))
    }

    fn rules(&self) -> Rules<'_> {
        let mut rules = Rules::of(self.context["service"].as_str().unwrap());
        rules.normalize_path = self.context["normalize"].as_bool().unwrap();
        rules.double_encode = false; // the vectors name paths as they are before a client encodes them
        rules.in_region(self.context["region"].as_str().unwrap())
    }

    fn time(&self) -> Timestamp {
        self.context["timestamp"].as_str().unwrap().parse().unwrap()
    }

    fn secret(&self) -> &str {
        self.context["credentials"]["secret_access_key"].as_str().unwrap()
    }

    fn verify(&self, file: &str, secret: &str) -> Result<(), SignatureError> {
        let (parts, body) = read_request(&self.text(file));
        let signature = SignedRequest::parse(&parts)?.unwrap_or_else(|| panic!("{}/{file} is not signed", self.name));
        signature.verify(&parts, secret, Some(&sha256(body.as_bytes())), self.time(), &self.rules())
    }
}

/// Reads a request as the vectors write it: header lines may be folded, the path may hold spaces.
fn read_request(text: &str) -> (Parts, String) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end_matches('\n'), ""));
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().splitn(2, ' ');
    let method = words.next().unwrap();
    // No HTTP request carries a space in its path; clients send it encoded.
    let target = words.next().unwrap().trim_end_matches(" HTTP/1.1").replace(' ', "%20");
    let mut unfolded: Vec<String> = Vec::new();
    for line in lines {
        match (line.starts_with(' '), unfolded.last_mut()) {
            (true, Some(last)) => last.push_str(line),
            _ => unfolded.push(line.to_owned()),
        }
    }
    let mut request = Request::builder().method(method).body(()).unwrap();
    let mut uri = Uri::default().into_parts();
    uri.path_and_query = Some(PathAndQuery::try_from(target).unwrap());
    *request.uri_mut() = Uri::from_parts(uri).unwrap();
    for line in unfolded.iter().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    (request.into_parts().0, body.to_owned())
}

#[test]
fn every_header_signature_is_accepted() {
    for vector in Vector::all() {
        let verdict = vector.verify("header-signed-request.txt", vector.secret());
        assert_eq!(verdict, Ok(()), "{}", vector.name);
    }
}

#[test]
fn every_query_signature_is_accepted() {
    for vector in Vector::all() {
        let verdict = vector.verify("query-signed-request.txt", vector.secret());
        // Here the token joins the query after signing, as a few services want it; none of ours does.
        let expected = if vector.name == TOKEN_ADDED_LATER { Err(SignatureError::Mismatch) } else { Ok(()) };
        assert_eq!(verdict, expected, "{}", vector.name);
    }
}

#[test]
fn an_encoded_path_is_encoded_again() {
    let (parts, _) =
        read_request(&fs::read_to_string(vectors().join("double-url-encode/header-signed-request.txt")).unwrap());
    let signature = SignedRequest::parse(&parts).unwrap().unwrap();
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"; // that of all cases
    let verify = |rules: &Rules<'_>| signature.verify(&parts, secret, Some(&sha256(b"")), signature.time(), rules);
    let rules = Rules::of("lambda");
    assert_eq!(verify(&rules), Ok(()));
    assert_eq!(verify(&Rules { double_encode: false, ..rules }), Err(SignatureError::Mismatch));
}

#[test]
fn no_signature_is_accepted_with_another_secret() {
    for vector in Vector::all() {
        for file in ["header-signed-request.txt", "query-signed-request.txt"] {
            let verdict = vector.verify(file, "another secret");
            assert_eq!(verdict, Err(SignatureError::Mismatch), "{}/{file}", vector.name);
        }
    }
}
