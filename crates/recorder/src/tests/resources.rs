//! Which resources records of S3 name: each operation of the model, and every way to address something.

use super::*;
use crate::generated::s3_operations::{Level, S3_OPERATIONS};

fn resources(exchange: &Exchange) -> Vec<(String, String)> {
    let record = record(exchange);
    let named = record.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |resource: &Value| match (resource.get("ARN"), resource.get("ARNPrefix")) {
        (Some(arn), None) => (text(&resource["type"]), text(arn)),
        (None, Some(prefix)) => (text(&resource["type"]), format!("{}*", text(prefix))),
        both => panic!("{both:?}"),
    };
    named.iter().map(one).collect()
}

fn named(resources: &[(&str, &str)]) -> Vec<(String, String)> {
    resources.iter().map(|(kind, arn)| (format!("AWS::{kind}"), (*arn).to_owned())).collect()
}

const BUCKET: (&str, &str) = ("S3::Bucket", "arn:aws:s3:::b");

/// Bucket-level operations whose events are data events. (S3 User Guide, "Amazon S3 CloudTrail events".)
const DATA_ON_BUCKETS: &[&str] = &["DeleteObjects", "HeadBucket", "ListObjectVersions", "ListObjects", "ListObjectsV2"];

#[test]
fn every_operation_of_the_model_names_what_it_works_on() {
    for operation in
        S3_OPERATIONS.iter().filter(|op| !["ListDirectoryBuckets", "WriteGetObjectResponse"].contains(&op.name))
    {
        let path = match operation.level {
            Level::Service => "/",
            Level::Bucket => "/b",
            Level::Object => "/b/a/k",
        };
        let fixed = operation.query.iter().map(|(key, value)| format!("{key}={}", value.unwrap_or_default()));
        let required = operation.required_query.iter().map(|key| format!("{key}=1"));
        let uri = format!("{path}?{}", fixed.chain(required).collect::<Vec<_>>().join("&"));
        let mut exchange = exchange(operation.method, &uri, "s3");
        let copies = operation.required_headers.contains(&"x-amz-copy-source");
        if copies {
            with_header(&mut exchange.request_headers, "x-amz-copy-source", "from/a%20k");
        }
        let object = ("S3::Object", "arn:aws:s3:::b/a/k");
        let expected = match operation.level {
            Level::Service => named(&[]),
            Level::Bucket if DATA_ON_BUCKETS.contains(&operation.name) => {
                named(&[("S3::Object", "arn:aws:s3:::b/*"), BUCKET])
            }
            Level::Bucket => named(&[BUCKET]),
            Level::Object if copies => {
                named(&[object, BUCKET, ("S3::Object", "arn:aws:s3:::from/a k"), ("S3::Bucket", "arn:aws:s3:::from")])
            }
            Level::Object => named(&[object, BUCKET]),
        };
        assert_eq!(resources(&exchange), expected, "{}", operation.name);
        // Whether a record is of a data event does not depend on more than its name.
        let data = operation.level == Level::Object || DATA_ON_BUCKETS.contains(&operation.name);
        assert_eq!(record(&exchange)["managementEvent"], json!(!data), "{}", operation.name);
    }
}

#[test]
fn access_points_and_directory_buckets_are_named_as_what_they_are() {
    let point = "arn:aws:s3:us-west-2:444455556666:accesspoint/p";
    let lambda = "arn:aws:s3-object-lambda:us-west-2:444455556666:accesspoint/p";
    let many = "arn:aws:s3::111122223333:accesspoint/m.mrap";
    let directory = "arn:aws:s3express:us-east-1:111122223333:bucket/b--use1-az4--x-s3";
    let local = "127.0.0.1:9000";
    for (method, uri, host, expected) in [
        (
            "GET",
            "/a/k",
            "p-444455556666.s3-accesspoint.us-west-2.amazonaws.com",
            vec![("S3::Object", format!("{point}/object/a/k")), ("S3::AccessPoint", point.to_owned())],
        ),
        (
            "GET",
            "/?list-type=2",
            "p-444455556666.s3-accesspoint.us-west-2.amazonaws.com",
            vec![("S3::Object", format!("{point}/object/*")), ("S3::AccessPoint", point.to_owned())],
        ),
        (
            "PUT",
            "/arn%3Aaws%3As3%3Aus-west-2%3A444455556666%3Aaccesspoint%2Fp/k",
            local,
            vec![("S3::Object", format!("{point}/object/k")), ("S3::AccessPoint", point.to_owned())],
        ),
        (
            "GET",
            "/k",
            "p-444455556666.s3-object-lambda.us-west-2.amazonaws.com",
            vec![("S3::Object", format!("{lambda}/object/k")), ("S3ObjectLambda::AccessPoint", lambda.to_owned())],
        ),
        (
            "GET",
            "/k",
            "m.mrap.accesspoint.s3-global.amazonaws.com",
            vec![("S3::Object", format!("{many}/object/k")), ("S3::AccessPoint", many.to_owned())],
        ),
        (
            "GET",
            "/b--use1-az4--x-s3/k",
            local,
            vec![("S3Express::Object", format!("{directory}/k")), ("S3Express::DirectoryBucket", directory.to_owned())],
        ),
        ("GET", "/b--use1-az4--x-s3?policy", local, vec![("S3Express::DirectoryBucket", directory.to_owned())]),
    ] {
        let mut exchange = exchange(method, uri, "s3");
        with_header(&mut exchange.request_headers, "host", host);
        let expected: Vec<_> = expected.iter().map(|(kind, arn)| (*kind, arn.as_str())).collect();
        assert_eq!(resources(&exchange), named(&expected), "{host}{uri}");
    }
    let mut exchange = exchange("GET", "/k", "s3");
    with_header(&mut exchange.request_headers, "host", "p-444455556666.s3-accesspoint.us-west-2.amazonaws.com");
    assert_eq!(record(&exchange)["resources"][1]["accountId"], "444455556666");
}

#[test]
fn a_copy_names_its_source_in_every_form_of_it() {
    let point = "arn:aws:s3:us-west-2:444455556666:accesspoint/p";
    for (source, object, container) in [
        ("from/a/b", "arn:aws:s3:::from/a/b", ("S3::Bucket", "arn:aws:s3:::from")),
        ("/from/a%2Fb%2520c?versionId=v", "arn:aws:s3:::from/a/b%20c", ("S3::Bucket", "arn:aws:s3:::from")),
        ("from%2Fa", "arn:aws:s3:::from/a", ("S3::Bucket", "arn:aws:s3:::from")),
        (
            "arn:aws:s3:us-west-2:444455556666:accesspoint/p/object/a/b",
            "arn:aws:s3:us-west-2:444455556666:accesspoint/p/object/a/b",
            ("S3::AccessPoint", point),
        ),
    ] {
        let mut exchange = exchange("PUT", "/b/k", "s3");
        with_header(&mut exchange.request_headers, "x-amz-copy-source", source);
        let expected = named(&[("S3::Object", "arn:aws:s3:::b/k"), BUCKET, ("S3::Object", object), container]);
        assert_eq!(resources(&exchange), expected, "{source}");
        // Whose the source's bucket is does not stand in the request.
        let record = record(&exchange);
        assert_eq!(record["resources"][3].get("accountId").is_some(), container.0 == "S3::AccessPoint", "{source}");
    }
    let mut nonsense = exchange("PUT", "/b/k", "s3");
    with_header(&mut nonsense.request_headers, "x-amz-copy-source", "from");
    assert_eq!(resources(&nonsense), named(&[("S3::Object", "arn:aws:s3:::b/k"), BUCKET]));
}
