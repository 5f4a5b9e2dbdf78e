use serde_json::{Value, json};

use crate::support::{Api, Caller, arn};

async fn names(caller: &Caller<'_>, input: Value) -> Vec<String> {
    let output = caller.ok("DescribeTrails", input).await;
    let list = output["trailList"].as_array().unwrap();
    list.iter().map(|trail| trail["TrailARN"].as_str().unwrap().to_owned()).collect()
}

async fn api() -> Api {
    let api = Api::new().await;
    api.root().create_trail("near").await;
    api.root().at("eu-west-1").create_trail("far").await;
    let wide = json!({ "Name": "wide", "S3BucketName": "logs", "IsMultiRegionTrail": true });
    api.root().at("eu-west-1").ok("CreateTrail", wide).await;
    api
}

#[tokio::test]
async fn a_region_shows_its_own_trails_and_the_shadows_of_others() {
    let api = api().await;
    let (near, far, wide) = (arn("us-east-1", "near"), arn("eu-west-1", "far"), arn("eu-west-1", "wide"));
    assert_eq!(names(&api.root(), json!({})).await, [wide.clone(), near.clone()]);
    assert_eq!(
        names(&api.root(), json!({ "trailNameList": [], "includeShadowTrails": true })).await,
        [wide.clone(), near.clone()]
    );
    assert_eq!(names(&api.root(), json!({ "includeShadowTrails": false })).await, [near]);
    assert_eq!(names(&api.root().at("eu-west-1"), json!({ "includeShadowTrails": false })).await, [far, wide]);
    assert!(names(&api.caller("other-root", None), json!({})).await.is_empty());
}

#[tokio::test]
async fn names_mean_this_region_and_arns_any_and_unknown_ones_are_left_out() {
    let api = api().await;
    let (near, far) = (arn("us-east-1", "near"), arn("eu-west-1", "far"));
    let listed = json!({ "trailNameList": [far, "near", near, "wide", "absent", arn("us-east-1", "absent")] });
    assert_eq!(names(&api.root(), listed).await, [far.clone(), near]);
    let other = api.caller("other-root", None);
    assert!(names(&other, json!({ "trailNameList": [far] })).await.is_empty());
}

#[tokio::test]
async fn what_can_name_no_trail_is_refused() {
    let api = api().await;
    let list = |name: &str| json!({ "trailNameList": [name] });
    api.root().refused("DescribeTrails", list("a"), "InvalidTrailNameException", "too short").await;
    api.root().refused("DescribeTrails", list("arn:x"), "CloudTrailARNInvalidException", "arn:x").await;
}
