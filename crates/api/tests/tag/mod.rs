mod add_tags;
mod list_tags;
mod remove_tags;

use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, Caller, arn};

async fn tags_of(caller: &Caller<'_>, arn: &str) -> Value {
    let output = caller.ok("ListTags", json!({ "ResourceIdList": [arn] })).await;
    assert_eq!(output["ResourceTagList"][0]["ResourceId"], arn);
    output["ResourceTagList"][0]["TagsList"].clone()
}

/// What each of the three operations says of resources that it cannot work on.
async fn bad_resources_are_refused(operation: &str, input: impl Fn(&str) -> Value) {
    let api = Api::new().await;
    let wide = json!({ "Name": "wide", "S3BucketName": "logs" });
    api.root().at("eu-west-1").ok("CreateTrail", wide).await;
    let named = |kind: &str, name: &str| format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:{kind}/{name}");
    let here = "you can only access resources in region us-east-1";
    let cases = [
        (arn("us-east-1", "absent"), "ResourceNotFoundException", "absent"),
        (named("eventdatastore", "e"), "ResourceNotFoundException", "eventdatastore/e"),
        (named("channel", "c"), "ResourceNotFoundException", "channel/c"),
        (named("query", "q"), "ResourceTypeNotSupportedException", "query/q"),
        (named("trail", "-"), "CloudTrailARNInvalidException", "trail/-"),
        ("main".to_owned(), "CloudTrailARNInvalidException", "main"),
        ("arn:aws:s3:::bucket".to_owned(), "CloudTrailARNInvalidException", "arn:aws:s3:::bucket"),
        (arn("eu-west-1", "wide"), "CloudTrailARNInvalidException", here),
    ];
    for (resource, error, message) in cases {
        api.root().refused(operation, input(&resource), error, message).await;
    }
    let other = api.caller("other-root", None).at("eu-west-1");
    other.refused(operation, input(&arn("eu-west-1", "wide")), "ResourceNotFoundException", "").await;
}
