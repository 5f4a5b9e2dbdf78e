use http::{HeaderMap, Method, Uri};

use crate::generated::s3_operations::{Level, S3_OPERATIONS, S3Operation};
use crate::query::{self, Pair};

/// Operations that CloudTrail logs under another name, from the S3 guide's lists of logged calls.
const RENAMED: &[(&str, &str)] = &[
    ("DeletePublicAccessBlock", "DeleteBucketPublicAccessBlock"),
    ("GetBucketLifecycleConfiguration", "GetBucketLifecycle"),
    ("GetBucketNotificationConfiguration", "GetBucketNotification"),
    ("GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("ListObjectsV2", "ListObjects"),
    ("PutBucketLifecycleConfiguration", "PutBucketLifecycle"),
    ("PutBucketNotificationConfiguration", "PutBucketNotification"),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
];

/// Operations of other hosts than S3's own, which nothing in the request but the host or path tells.
const ELSEWHERE: &[&str] = &["ListDirectoryBuckets", "WriteGetObjectResponse"];

/// The operation of a request.
#[derive(Debug)]
pub(super) struct Matched {
    /// Its name in records.
    pub(super) event_name: String,
    /// What it works on.
    pub(super) level: Level,
    /// `None` for a combination that the model does not know.
    pub(super) operation: Option<&'static S3Operation>,
}

/// Finds the operation: of those that fit, the one that asks for most. What none fits is named in S3's own manner by
/// verb, level and sub-resource: `PATCH /b/k?acl` is `PatchObjectAcl`. A form posted to a bucket is `PostObject`.
pub(super) fn matched(method: &Method, uri: &Uri, headers: &HeaderMap, level: Level) -> Matched {
    let parameters: Vec<Pair> = query::pairs(uri.query().unwrap_or_default()).collect();
    let fitting = S3_OPERATIONS
        .iter()
        .filter(|operation| operation.method == method.as_str() && operation.level == level)
        .filter(|operation| !ELSEWHERE.contains(&operation.name))
        .filter_map(|operation| Some((fit(operation, &parameters, headers)?, operation)))
        .max_by_key(|(fit, _)| *fit);
    let event_name = match fitting {
        Some((_, operation)) => {
            let renamed = RENAMED.iter().find(|(name, _)| *name == operation.name);
            renamed.map_or(operation.name, |(_, logged)| logged).to_owned()
        }
        None if *method == Method::POST && level == Level::Bucket && parameters.is_empty() => "PostObject".to_owned(),
        None => made_up(method, level, &parameters),
    };
    Matched { event_name, level, operation: fitting.map(|(_, operation)| operation) }
}

/// How much of what is in the request an operation asks for; `None` when something that it asks for is not there.
fn fit(operation: &S3Operation, parameters: &[Pair], headers: &HeaderMap) -> Option<usize> {
    let given = |name: &str| parameters.iter().find(|pair| pair.name == name);
    for (name, value) in operation.query {
        let pair = given(name)?;
        if value.is_some_and(|value| pair.value != value) {
            return None;
        }
    }
    if !operation.required_query.iter().all(|name| given(name).is_some()) {
        return None;
    }
    // Other headers are required too, but a call without them is still that call, and fails.
    let copies = operation.required_headers.contains(&"x-amz-copy-source");
    if copies && !headers.contains_key("x-amz-copy-source") {
        return None;
    }
    Some(2 * operation.query.len() + operation.required_query.len() + usize::from(copies))
}

fn made_up(method: &Method, level: Level, parameters: &[Pair]) -> String {
    let level = match level {
        Level::Service => "Service",
        Level::Bucket => "Bucket",
        Level::Object => "Object",
    };
    let sub_resource = parameters.iter().find(|pair| {
        pair.value.is_empty() && (1..=64).contains(&pair.name.len()) && pair.name.bytes().all(is_word_byte)
    });
    let words = sub_resource.map_or("", |pair| pair.name.as_str()).split('-');
    let mut name = capitalized(&method.as_str().to_ascii_lowercase().chars().take(16).collect::<String>());
    name.push_str(level);
    words.for_each(|word| name.push_str(&capitalized(word)));
    name
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn name(method: &str, uri: &str, level: Level, header: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(header, HeaderValue::from_static("x"));
        }
        matched(&method.parse().unwrap(), &uri.parse().unwrap(), &headers, level).event_name
    }

    #[test]
    fn operations_are_told_by_method_path_query_and_headers() {
        let (service, bucket, object) = (Level::Service, Level::Bucket, Level::Object);
        for (method, uri, level, expected) in [
            ("GET", "/", service, "ListBuckets"),
            ("GET", "/?x-id=ListBuckets&max-buckets=1", service, "ListBuckets"),
            ("GET", "/b", bucket, "ListObjects"),
            ("GET", "/b?list-type=2&prefix=", bucket, "ListObjects"),
            ("GET", "/b?versions", bucket, "ListObjectVersions"),
            ("GET", "/b?uploads", bucket, "ListMultipartUploads"),
            ("GET", "/b?location", bucket, "GetBucketLocation"),
            ("GET", "/b?lifecycle", bucket, "GetBucketLifecycle"),
            ("GET", "/b?publicAccessBlock", bucket, "GetBucketPublicAccessBlock"),
            ("GET", "/b?analytics", bucket, "ListBucketAnalyticsConfigurations"),
            ("GET", "/b?analytics&id=1", bucket, "GetBucketAnalyticsConfiguration"),
            ("PUT", "/b", bucket, "CreateBucket"),
            ("PUT", "/b?policy", bucket, "PutBucketPolicy"),
            ("PUT", "/b?notification=", bucket, "PutBucketNotification"),
            ("POST", "/b?delete", bucket, "DeleteObjects"),
            ("POST", "/b", bucket, "PostObject"),
            ("HEAD", "/b", bucket, "HeadBucket"),
            ("DELETE", "/b?policy", bucket, "DeleteBucketPolicy"),
            ("PUT", "/b/k", object, "PutObject"),
            ("PUT", "/b/k?partNumber=1&uploadId=u", object, "UploadPart"),
            ("POST", "/b/k?uploads", object, "CreateMultipartUpload"),
            ("POST", "/b/k?uploadId=u", object, "CompleteMultipartUpload"),
            ("DELETE", "/b/k?uploadId=u", object, "AbortMultipartUpload"),
            ("GET", "/b/k?uploadId=u", object, "ListParts"),
            ("GET", "/b/k?attributes", object, "GetObjectAttributes"),
            ("GET", "/b/k?versionId=v", object, "GetObject"),
            ("POST", "/b/k?select&select-type=2", object, "SelectObjectContent"),
            ("PATCH", "/b/k?acl", object, "PatchObjectAcl"),
            ("POST", "/b/k?foo-bar", object, "PostObjectFooBar"),
        ] {
            assert_eq!(name(method, uri, level, None), expected, "{method} {uri}");
        }
        assert_eq!(name("PUT", "/b/k", object, Some("x-amz-copy-source")), "CopyObject");
        let part = "/b/k?partNumber=1&uploadId=u";
        assert_eq!(name("PUT", part, object, Some("x-amz-copy-source")), "UploadPartCopy");
    }

    /// Every operation of the model is found again from its own description.
    #[test]
    fn no_operation_of_the_model_hides_another() {
        for operation in S3_OPERATIONS.iter().filter(|operation| !ELSEWHERE.contains(&operation.name)) {
            let fixed = operation.query.iter().map(|(key, value)| format!("{key}={}", value.unwrap_or_default()));
            let required = operation.required_query.iter().map(|key| format!("{key}=1"));
            let uri = format!("/x?{}", fixed.chain(required).collect::<Vec<_>>().join("&"));
            let header = operation.required_headers.iter().find(|name| **name == "x-amz-copy-source").copied();
            let expected = RENAMED.iter().find(|(name, _)| *name == operation.name).map_or(operation.name, |r| r.1);
            assert_eq!(name(operation.method, &uri, operation.level, header), expected);
        }
    }
}
