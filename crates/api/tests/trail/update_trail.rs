use opentrail_api::RecordOrder;
use opentrail_trails::{BucketError, TrailChange};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, Caller, arn};

async fn update(caller: &Caller<'_>, change: Value) -> Value {
    let mut input = json!({ "Name": "main" });
    input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    caller.ok("UpdateTrail", input).await
}

#[tokio::test]
async fn only_what_is_given_changes() {
    let api = Api::new().await;
    let root = api.root();
    root.ok("CreateTrail", json!({ "Name": "main", "S3BucketName": "logs", "S3KeyPrefix": "old" })).await;
    api.buckets.checked();

    let output = update(&root, json!({ "EnableLogFileValidation": true })).await;
    let expected = json!({
        "Name": "main",
        "S3BucketName": "logs",
        "S3KeyPrefix": "old",
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": false,
        "TrailARN": arn("us-east-1", "main"),
        "LogFileValidationEnabled": true,
        "IsOrganizationTrail": false,
        "RecursiveLogging": true,
    });
    assert_eq!(output, expected);
    assert!(api.buckets.checked().is_empty(), "the bucket is looked at when it or the prefix is given");

    let output = update(&root, json!({ "S3KeyPrefix": "", "RecursiveLogging": false })).await;
    assert_eq!((output.get("S3KeyPrefix"), &output["RecursiveLogging"]), (None, &json!(false)));
    assert_eq!(api.buckets.checked().len(), 1);
}

#[tokio::test]
async fn a_change_is_journaled_after_the_call_and_no_change_not_at_all() {
    let api = Api::new().await;
    let root = api.root();
    let arn = root.create_trail("main").await;
    let nothing = root.call("UpdateTrail", json!({ "Name": arn, "IsMultiRegionTrail": false })).await;
    assert!(nothing.changes.is_empty());
    let first = root.call("UpdateTrail", json!({ "Name": arn, "S3KeyPrefix": "a" })).await;
    let second = root.call("UpdateTrail", json!({ "Name": arn, "S3KeyPrefix": "b" })).await;
    assert_eq!(second.order, RecordOrder::RecordFirst);
    let version = |changes: &[TrailChange]| match changes {
        [TrailChange::PutTrail(trail)] => trail.version,
        other => panic!("{other:?}"),
    };
    assert!(version(&second.changes) > version(&first.changes));
}

#[tokio::test]
async fn terraform_clears_with_empty_texts() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let empty =
        json!({ "SnsTopicName": "", "KmsKeyId": "", "CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": "" });
    update(&root, empty).await;
}

#[tokio::test]
async fn global_service_events_follow_the_conversion_unless_told() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let flags = |output: Value| (output["IsMultiRegionTrail"] == true, output["IncludeGlobalServiceEvents"] == true);
    assert_eq!(flags(update(&root, json!({ "IncludeGlobalServiceEvents": false })).await), (false, false));
    assert_eq!(flags(update(&root, json!({ "IsMultiRegionTrail": true })).await), (true, true));
    let not_global = json!({ "Name": "main", "IncludeGlobalServiceEvents": false });
    let text = "Multi-Region trail must include global service events.";
    root.refused("UpdateTrail", not_global, "InvalidParameterCombinationException", text).await;
    let kept = json!({ "IsMultiRegionTrail": false, "IncludeGlobalServiceEvents": true });
    assert_eq!(flags(update(&root, kept).await), (false, true));
    assert_eq!(flags(update(&root, json!({ "IsMultiRegionTrail": true })).await), (true, true));
    assert_eq!(flags(update(&root, json!({ "IsMultiRegionTrail": false })).await), (false, false));
}

#[tokio::test]
async fn a_multi_region_trail_needs_room_everywhere() {
    let api = Api::new().await;
    for name in ["one", "two", "three", "four", "five"] {
        api.root().at("eu-west-1").create_trail(name).await;
    }
    api.root().create_trail("main").await;
    let wide = json!({ "Name": "main", "IsMultiRegionTrail": true });
    // UpdateTrail does not declare MaximumNumberOfTrailsExceededException.
    api.root()
        .refused("UpdateTrail", wide, "OperationNotPermittedException", "already has 5 trails in eu-west-1.")
        .await;
}

#[tokio::test]
async fn bad_settings_are_refused_and_change_nothing() {
    let api = Api::new().await;
    let root = api.root();
    root.create_trail("main").await;
    let before = root.ok("GetTrail", json!({ "Name": "main" })).await;
    api.buckets.set("closed", Err(BucketError::AccessDenied { bucket: "closed".into() }));
    let cases = [
        (json!({ "S3BucketName": "" }), "InvalidS3BucketNameException"),
        (json!({ "S3BucketName": "absent" }), "S3BucketDoesNotExistException"),
        (json!({ "S3BucketName": "closed" }), "InsufficientS3BucketPolicyException"),
        (json!({ "S3KeyPrefix": "a//b" }), "InvalidS3PrefixException"),
        (json!({ "SnsTopicName": "closed" }), "InsufficientSnsTopicPolicyException"),
        (json!({ "KmsKeyId": "key" }), "KmsKeyNotFoundException"),
        (json!({ "KmsKeyId": "a key" }), "InvalidKmsKeyIdException"),
        (json!({ "CloudWatchLogsLogGroupArn": "arn" }), "InvalidCloudWatchLogsRoleArnException"),
        (json!({ "IsOrganizationTrail": true }), "OrganizationsNotInUseException"),
    ];
    for (change, error) in cases {
        let mut input = json!({ "Name": "main", "EnableLogFileValidation": true });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        root.refused("UpdateTrail", input, error, "").await;
    }
    assert_eq!(root.ok("GetTrail", json!({ "Name": "main" })).await, before);
}

#[tokio::test]
async fn a_trail_is_changed_at_home_only() {
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let elsewhere = api.root().at("eu-west-1");
    let text = format!("Trail {arn} can only be changed in its home Region us-east-1, not in eu-west-1.");
    elsewhere.refused("UpdateTrail", json!({ "Name": arn }), "InvalidHomeRegionException", &text).await;
    let unknown = format!("Unknown trail: {} for the user: {ACCOUNT}", crate::support::arn("eu-west-1", "main"));
    elsewhere.refused("UpdateTrail", json!({ "Name": "main" }), "TrailNotFoundException", &unknown).await;
}
