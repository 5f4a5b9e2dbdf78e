use serde_json::json;

use super::bad_resources_are_refused;
use crate::support::Api;

#[tokio::test]
async fn tags_come_in_the_order_asked_for() {
    let api = Api::new().await;
    let root = api.root();
    let tagged = json!({ "Name": "tagged", "S3BucketName": "logs", "TagsList": [{ "Key": "k", "Value": "v" }] });
    let tagged = root.ok("CreateTrail", tagged).await["TrailARN"].clone();
    let plain = root.create_trail("plain").await;
    let expected = json!({ "ResourceTagList": [
        { "ResourceId": plain, "TagsList": [] },
        { "ResourceId": tagged, "TagsList": [{ "Key": "k", "Value": "v" }] },
    ] });
    assert_eq!(root.ok("ListTags", json!({ "ResourceIdList": [plain, tagged] })).await, expected);
    assert_eq!(root.ok("ListTags", json!({ "ResourceIdList": [] })).await, json!({ "ResourceTagList": [] }));
}

#[tokio::test]
async fn shadows_show_the_tags_of_their_trail() {
    let api = Api::new().await;
    let wide = json!({ "Name": "wide", "S3BucketName": "logs", "IsMultiRegionTrail": true });
    let arn = api.root().ok("CreateTrail", wide).await["TrailARN"].clone();
    api.root().at("eu-west-1").ok("ListTags", json!({ "ResourceIdList": [arn] })).await;
}

#[tokio::test]
async fn bad_requests_are_refused() {
    bad_resources_are_refused("ListTags", |arn| json!({ "ResourceIdList": [arn] })).await;
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let many = json!({ "ResourceIdList": vec![arn.clone(); 21] });
    api.root().refused("ListTags", many, "ValidationException", "less than or equal to 20").await;
    let token = json!({ "ResourceIdList": [arn], "NextToken": "made up" });
    api.root().refused("ListTags", token, "InvalidTokenException", "reserved").await;
}
