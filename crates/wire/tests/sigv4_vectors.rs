//! The public Signature Version 4 test vectors, as the package `aws-sigv4` carries them, replayed.
//!
//! Each case holds a request as it was signed by header and by query; the verifier must accept both, and refuse
//! both with another secret.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Request};
use opentrail_model::Timestamp;
use opentrail_wire::sigv4::{Rules, SignatureError, SignedRequest, sha256};
use serde_json::Value;

/// The directory of the vectors, asked of Cargo, which has unpacked the package.
fn vectors() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == "aws-sigv4").unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("aws-signing-test-suite/v4")
}

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
            // Two cases of the SDK's own lack the context and say nothing the others do not.
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
    // An HTTP request cannot carry a space in its path, so clients send it encoded; that is what then is signed.
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
        assert_eq!(verdict, Ok(()), "{}", vector.name);
    }
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
