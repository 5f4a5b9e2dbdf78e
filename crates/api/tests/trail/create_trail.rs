use opentrail_api::RecordOrder;
use opentrail_trails::{BucketError, KeyError, TrailChange};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, allow, arn};

#[tokio::test]
async fn defaults_are_filled_in_and_what_is_not_set_is_left_out() {
    let api = Api::new().await;
    let output = api.root().ok("CreateTrail", json!({ "Name": "main", "S3BucketName": "logs" })).await;
    let expected = json!({
        "Name": "main",
        "S3BucketName": "logs",
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": false,
        "TrailARN": arn("us-east-1", "main"),
        "LogFileValidationEnabled": false,
        "IsOrganizationTrail": false,
        "RecursiveLogging": true,
    });
    assert_eq!(output, expected);
    assert_eq!(api.root().ok("GetTrailStatus", json!({ "Name": "main" })).await["IsLogging"], false);
    assert_eq!(api.buckets.checked(), [format!("logs - {} {ACCOUNT}", arn("us-east-1", "main"))]);
}

#[tokio::test]
async fn everything_given_is_kept_and_empty_texts_mean_none() {
    let api = Api::new().await;
    let input = json!({
        "Name": "main",
        "S3BucketName": "logs",
        "S3KeyPrefix": "a/b",
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": true,
        "EnableLogFileValidation": true,
        "RecursiveLogging": false,
        "SnsTopicName": "",
        "KmsKeyId": "",
        "CloudWatchLogsLogGroupArn": "",
        "CloudWatchLogsRoleArn": "",
        "IsOrganizationTrail": false,
        "TagsList": [{ "Key": "team", "Value": "audit" }],
    });
    let answer = api.root().at("eu-west-1").call("CreateTrail", input).await;
    let expected = json!({
        "Name": "main",
        "S3BucketName": "logs",
        "S3KeyPrefix": "a/b",
        "IncludeGlobalServiceEvents": true,
        "IsMultiRegionTrail": true,
        "TrailARN": arn("eu-west-1", "main"),
        "LogFileValidationEnabled": true,
        "IsOrganizationTrail": false,
        "RecursiveLogging": false,
    });
    assert_eq!(answer.body, expected);
    assert_eq!(answer.order, RecordOrder::ChangeFirst);
    let [TrailChange::PutTrail(trail)] = &answer.changes[..] else { panic!("{:?}", answer.changes) };
    assert!(!trail.logging);
    assert_eq!(trail.tags[0].key, "team");
    let stored = api.services.trails.find(&trail.key).await.unwrap().unwrap();
    assert_eq!(stored.value, **trail, "journal and catalog hold the same");
}

#[tokio::test]
async fn a_topic_and_a_log_group_are_read_back_as_they_were_given() {
    let api = Api::new().await;
    let group = "arn:aws:logs:us-east-1:111122223333:log-group:g:*";
    let role = "arn:aws:iam::111122223333:role/logs";
    let input = json!({
        "Name": "main", "S3BucketName": "logs", "SnsTopicName": "files",
        "CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": role,
    });
    let output = api.root().ok("CreateTrail", input).await;
    let topic = "arn:aws:sns:us-east-1:111122223333:files";
    let trail = api.root().ok("GetTrail", json!({ "Name": "main" })).await["Trail"].clone();
    for shown in [&output, &trail] {
        assert_eq!((&shown["SnsTopicName"], &shown["SnsTopicARN"]), (&json!("files"), &json!(topic)));
        assert_eq!(shown["CloudWatchLogsLogGroupArn"], group);
        assert_eq!(shown["CloudWatchLogsRoleArn"], role);
    }
    let told = (topic.to_owned(), "CloudTrail validation message.".to_owned());
    assert_eq!(*api.beside.published.lock(), [told]);

    let cleared =
        json!({ "Name": "main", "SnsTopicName": "", "CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": "" });
    api.root().ok("UpdateTrail", cleared).await;
    let trail = api.root().ok("GetTrail", json!({ "Name": "main" })).await["Trail"].clone();
    for member in ["SnsTopicName", "SnsTopicARN", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn"] {
        assert_eq!(trail.get(member), None, "{member}");
    }
}

#[tokio::test]
async fn a_prefix_that_is_empty_is_none() {
    let api = Api::new().await;
    let output =
        api.root().ok("CreateTrail", json!({ "Name": "main", "S3BucketName": "logs", "S3KeyPrefix": "" })).await;
    assert_eq!(output.get("S3KeyPrefix"), None);
}

#[tokio::test]
async fn bad_settings_are_refused_by_their_own_errors() {
    let api = Api::new().await;
    api.buckets.set("closed", Err(BucketError::AccessDenied { bucket: "closed".into() }));
    let down = BucketError::Unavailable { bucket: "down".into(), reason: "refused".into() };
    api.buckets.set("down", Err(down));
    let group = "arn:aws:logs:us-east-1:111122223333:log-group:g:*";
    let closed_group = "arn:aws:logs:us-east-1:111122223333:log-group:closed:*";
    let (role, closed_role) = ("arn:aws:iam::111122223333:role/logs", "arn:aws:iam::111122223333:role/closed");
    let (key, bucket) = ("alias/closed".to_owned(), "logs".to_owned());
    api.buckets.set_key("alias/closed", Err(KeyError::AccessDenied { key, bucket }));
    let (key, reason) = ("alias/off".to_owned(), "it is disabled".to_owned());
    api.buckets.set_key("alias/off", Err(KeyError::Unusable { key, reason }));
    let cases: [(Value, &str, &str); 29] = [
        (
            json!({ "Name": "ab" }),
            "InvalidTrailNameException",
            "Minimum allowed length: 3 characters. Specified name length: 2",
        ),
        (json!({ "Name": "a".repeat(129) }), "InvalidTrailNameException", "Specified name length: 129 characters."),
        (json!({ "Name": "a b c" }), "InvalidTrailNameException", "can only contain"),
        (json!({ "Name": arn("us-east-1", "main") }), "InvalidTrailNameException", "can only contain"),
        (
            json!({ "IsMultiRegionTrail": true, "IncludeGlobalServiceEvents": false, "S3BucketName": "absent" }),
            "InvalidParameterCombinationException",
            "Multi-Region trail must include global service events.",
        ),
        (json!({ "S3BucketName": "Logs" }), "InvalidS3BucketNameException", "Logs"),
        (json!({ "S3BucketName": "absent" }), "S3BucketDoesNotExistException", "S3 bucket absent does not exist!"),
        (
            json!({ "S3BucketName": "closed" }),
            "InsufficientS3BucketPolicyException",
            "Incorrect S3 bucket policy is detected for bucket: closed",
        ),
        (json!({ "S3BucketName": "down" }), "ServiceUnavailable", "down"),
        (json!({ "S3KeyPrefix": "a".repeat(201) }), "InvalidS3PrefixException", "200"),
        (json!({ "S3KeyPrefix": "/a" }), "InvalidS3PrefixException", "/a"),
        (json!({ "SnsTopicName": "closed" }), "InsufficientSnsTopicPolicyException", "SNS Topic does not exist"),
        (json!({ "SnsTopicName": "t".repeat(257) }), "InvalidSnsTopicNameException", "256"),
        (json!({ "SnsTopicName": "a topic" }), "InvalidSnsTopicNameException", "a topic"),
        (json!({ "SnsTopicName": "arn:aws:sqs:us-east-1:1:q" }), "InvalidSnsTopicNameException", "sqs"),
        (json!({ "KmsKeyId": "alias/absent" }), "KmsKeyNotFoundException", "alias/absent"),
        (json!({ "KmsKeyId": "a key" }), "InvalidKmsKeyIdException", "a key"),
        (json!({ "KmsKeyId": "k".repeat(351) }), "InvalidKmsKeyIdException", "350"),
        (
            json!({ "KmsKeyId": "alias/closed" }),
            "InsufficientEncryptionPolicyException",
            "Insufficient permissions to access S3 bucket logs or KMS key alias/closed.",
        ),
        (json!({ "KmsKeyId": "alias/off" }), "KmsException", "is disabled"),
        (json!({ "CloudWatchLogsLogGroupArn": group }), "InvalidCloudWatchLogsRoleArnException", "role ARN"),
        (json!({ "CloudWatchLogsRoleArn": "arn" }), "InvalidCloudWatchLogsLogGroupArnException", "log group"),
        (
            json!({ "CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": "arn" }),
            "InvalidCloudWatchLogsRoleArnException",
            "no ARN of a role",
        ),
        (
            json!({ "CloudWatchLogsLogGroupArn": "arn:aws:logs:eu-west-1:111122223333:log-group:g:*",
                "CloudWatchLogsRoleArn": role }),
            "InvalidCloudWatchLogsLogGroupArnException",
            "home Region",
        ),
        (
            json!({ "CloudWatchLogsLogGroupArn": closed_group, "CloudWatchLogsRoleArn": role }),
            "InvalidCloudWatchLogsLogGroupArnException",
            "CloudTrail cannot validate the specified log group ARN.",
        ),
        (
            json!({ "CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": closed_role }),
            "InvalidCloudWatchLogsRoleArnException",
            "Access denied. Check the trust relationships for your role.",
        ),
        (
            json!({ "IsOrganizationTrail": true }),
            "OrganizationsNotInUseException",
            "is not a member of an organization",
        ),
        (json!({ "S3BucketName": null }), "ValidationException", "Value null at 's3BucketName'"),
        (json!({ "IsMultiRegionTrail": "yes" }), "SerializationException", "isMultiRegionTrail"),
    ];
    for (change, error, message) in cases {
        let mut input = json!({ "Name": "main", "S3BucketName": "logs" });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        api.root().refused("CreateTrail", input, error, message).await;
    }
    assert_eq!(api.root().ok("ListTrails", json!({})).await["Trails"], json!([]));
}

#[tokio::test]
async fn bad_tags_are_refused() {
    let api = Api::new().await;
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let many: Vec<Value> = (0..51).map(|i| tag(&format!("k{i}"), "v")).collect();
    let cases = [
        (json!([tag("a", "1"), tag("a", "2")]), "InvalidTagParameterException", "more than once"),
        (json!([tag("aws:a", "1")]), "InvalidTagParameterException", "reserved"),
        (json!([tag("a", "1;2")]), "InvalidTagParameterException", "character"),
        (json!([tag(&"k".repeat(129), "1")]), "InvalidTagParameterException", "tagsList.1.member.key"),
        (json!(many), "TagsLimitExceededException", "50"),
    ];
    for (tags, error, message) in cases {
        let input = json!({ "Name": "main", "S3BucketName": "logs", "TagsList": tags });
        api.root().refused("CreateTrail", input, error, message).await;
    }
}

#[tokio::test]
async fn names_are_taken_and_regions_are_full_before_the_bucket_is_looked_at() {
    let api = Api::new().await;
    let root = api.root();
    for name in ["one", "two", "three", "four", "five"] {
        root.create_trail(name).await;
    }
    let input = |name: &str| json!({ "Name": name, "S3BucketName": "absent" });
    let taken = format!("Trail one already exists for customer: {ACCOUNT}");
    root.refused("CreateTrail", input("one"), "TrailAlreadyExistsException", &taken).await;
    let full = format!("User: {ACCOUNT} already has 5 trails in us-east-1.");
    root.refused("CreateTrail", input("six"), "MaximumNumberOfTrailsExceededException", &full).await;
    api.root().at("eu-west-1").create_trail("one").await;
    api.caller("other-root", None).create_trail("one").await;
}

#[tokio::test]
async fn tags_need_a_permission_of_their_own_and_can_be_asked_for() {
    let teams = json!({ "StringEquals": { "aws:RequestTag/team": "audit" } });
    let api = Api::with_users(vec![
        ("plain", allow(&["cloudtrail:CreateTrail"], "*", json!({}))),
        ("tagger", allow(&["cloudtrail:CreateTrail", "cloudtrail:AddTags"], "*", teams)),
        ("scoped", allow(&["cloudtrail:CreateTrail"], &arn("us-east-1", "mine-*"), json!({}))),
    ])
    .await;
    let input = |name: &str, tags: Value| json!({ "Name": name, "S3BucketName": "logs", "TagsList": tags });
    let team = |name: &str| json!([{ "Key": "team", "Value": name }]);

    api.caller("plain", None).ok("CreateTrail", input("plain", json!([]))).await;
    let denied = format!(
        "User: arn:aws:iam::{ACCOUNT}:user/plain is not authorized to perform: cloudtrail:AddTags on resource: {} \
         because no identity-based policy allows the cloudtrail:AddTags action",
        arn("us-east-1", "tagged")
    );
    api.caller("plain", None)
        .refused("CreateTrail", input("tagged", team("audit")), "AccessDeniedException", &denied)
        .await;
    api.caller("tagger", None).ok("CreateTrail", input("audited", team("audit"))).await;
    for tags in [team("sales"), json!([])] {
        api.caller("tagger", None).refused("CreateTrail", input("sold", tags), "AccessDeniedException", "").await;
    }
    api.caller("scoped", None).ok("CreateTrail", input("mine-1", json!([]))).await;
    api.caller("scoped", None).refused("CreateTrail", input("yours", json!([])), "AccessDeniedException", "").await;
    // The permission comes before what is wrong with the name.
    api.caller("scoped", None).refused("CreateTrail", input("-", json!([])), "AccessDeniedException", "").await;
}

#[tokio::test]
async fn a_key_is_answered_by_its_arn_and_can_be_taken_away() {
    let api = Api::new().await;
    let root = api.root();
    let (one, two) = ("arn:aws:kms:us-east-1:111122223333:key/1", "arn:aws:kms:us-east-1:111122223333:key/2");
    api.buckets.set_key("alias/one", Ok(one));
    api.buckets.set_key("alias/two", Ok(two));
    api.buckets.set_key(two, Ok(two));
    let input = json!({ "Name": "main", "S3BucketName": "logs", "KmsKeyId": "alias/one" });
    assert_eq!(root.ok("CreateTrail", input).await["KmsKeyId"], one);
    let held = async || root.ok("GetTrail", json!({ "Name": "main" })).await["Trail"]["KmsKeyId"].clone();
    assert_eq!(held().await, one);
    let updated = root.ok("UpdateTrail", json!({ "Name": "main", "KmsKeyId": "alias/two" })).await;
    assert_eq!(updated["KmsKeyId"], two);
    api.buckets.checked();
    root.ok("UpdateTrail", json!({ "Name": "main", "EnableLogFileValidation": true })).await;
    assert!(api.buckets.checked().is_empty(), "the key is looked at when it, the bucket or the prefix is given");
    api.buckets.set("more-logs", Ok(()));
    root.ok("UpdateTrail", json!({ "Name": "main", "S3BucketName": "more-logs" })).await;
    assert_eq!(api.buckets.checked().last().unwrap(), &format!("key {two} for more-logs"));
    let updated = root.ok("UpdateTrail", json!({ "Name": "main", "KmsKeyId": "" })).await;
    assert_eq!((updated.get("KmsKeyId"), held().await), (None, serde_json::Value::Null));
}
