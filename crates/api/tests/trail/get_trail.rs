use serde_json::json;

use crate::support::{ACCOUNT, Api, OTHER_ACCOUNT, allow, arn};

#[tokio::test]
async fn all_settings_that_terraform_reads_are_there() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let expected = json!({ "Trail": {
        "Name": "main",
        "S3BucketName": "logs",
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": false,
        "HomeRegion": "us-east-1",
        "TrailARN": arn("us-east-1", "main"),
        "LogFileValidationEnabled": false,
        "HasCustomEventSelectors": false,
        "HasInsightSelectors": false,
        "IsOrganizationTrail": false,
        "RecursiveLogging": true,
    } });
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await, expected);
    let elsewhere = api.root().at("eu-west-1");
    assert_eq!(elsewhere.ok("GetTrail", json!({ "Name": arn("us-east-1", "main") })).await, expected);
}

#[tokio::test]
async fn names_that_are_nobodys_are_told_as_aws_does() {
    let api = Api::new().await;
    api.root().create_trail("main").await;
    let cases = [
        (
            "absent".to_owned(),
            "TrailNotFoundException",
            format!("Unknown trail: {} for the user: {ACCOUNT}", arn("us-east-1", "absent")),
        ),
        ("a".to_owned(), "InvalidTrailNameException", "Specified name length: 1 characters.".to_owned()),
        ("arn:aws:s3:::bucket".to_owned(), "CloudTrailARNInvalidException", "arn:aws:s3:::bucket".to_owned()),
        (
            arn("us-east-1", "main").replace("arn:aws:", "arn:aws-cn:"),
            "CloudTrailARNInvalidException",
            "arn:aws:".to_owned(),
        ),
        (arn("us-east-1", "main").replace(ACCOUNT, "1"), "CloudTrailARNInvalidException", String::new()),
    ];
    for (name, error, message) in cases {
        api.root().refused("GetTrail", json!({ "Name": name }), error, &message).await;
    }
}

#[tokio::test]
async fn a_trail_of_another_account_is_not_found() {
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let other = api.caller("other-root", None);
    let text = format!("Unknown trail: {arn} for the user: {OTHER_ACCOUNT}");
    other.refused("GetTrail", json!({ "Name": arn }), "TrailNotFoundException", &text).await;
}

#[tokio::test]
async fn permissions_can_hang_on_the_trail_its_tags_and_the_call() {
    let api = Api::with_users(vec![
        ("team", allow(&["cloudtrail:GetTrail"], "*", json!({ "StringEquals": { "aws:ResourceTag/team": "audit" } }))),
        ("near", allow(&["cloudtrail:GetTrail"], "*", json!({ "IpAddress": { "aws:SourceIp": "192.0.2.0/24" } }))),
        ("safe", allow(&["cloudtrail:GetTrail"], "*", json!({ "Bool": { "aws:SecureTransport": "true" } }))),
        (
            "west",
            allow(&["cloudtrail:GetTrail"], "*", json!({ "StringEquals": { "aws:RequestedRegion": "eu-west-1" } })),
        ),
    ])
    .await;
    let tags = json!([{ "Key": "team", "Value": "audit" }]);
    api.root().ok("CreateTrail", json!({ "Name": "tagged", "S3BucketName": "logs", "TagsList": tags })).await;
    api.root().create_trail("plain").await;
    let input = |name: &str| json!({ "Name": arn("us-east-1", name) });

    api.caller("team", None).ok("GetTrail", input("tagged")).await;
    for name in ["plain", "absent"] {
        let text = format!("on resource: {}", arn("us-east-1", name));
        api.caller("team", None).refused("GetTrail", input(name), "AccessDeniedException", &text).await;
    }
    api.caller("near", None).ok("GetTrail", input("plain")).await;
    let far = api.caller("near", None).with(|call| call.source_ip = "198.51.100.1".parse().unwrap());
    far.refused("GetTrail", input("plain"), "AccessDeniedException", "").await;
    api.caller("safe", None).refused("GetTrail", input("plain"), "AccessDeniedException", "").await;
    api.caller("safe", None).with(|call| call.secure_transport = true).ok("GetTrail", input("plain")).await;
    api.caller("west", None).refused("GetTrail", input("plain"), "AccessDeniedException", "").await;
    api.caller("west", None).at("eu-west-1").ok("GetTrail", input("plain")).await;
}
