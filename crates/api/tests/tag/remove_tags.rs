use serde_json::{Value, json};

use super::{bad_resources_are_refused, tags_of};
use crate::support::Api;

fn remove(arn: &str, tags: Value) -> Value {
    json!({ "ResourceId": arn, "TagsList": tags })
}

#[tokio::test]
async fn tags_go_by_key_whatever_the_value() {
    let api = Api::new().await;
    let root = api.root();
    let arn = root.create_trail("main").await;
    let tags = json!([{ "Key": "a", "Value": "1" }, { "Key": "b", "Value": "2" }]);
    root.ok("AddTags", json!({ "ResourceId": arn, "TagsList": tags })).await;
    let answer = root.call("RemoveTags", remove(&arn, json!([{ "Key": "a", "Value": "other" }, { "Key": "c" }]))).await;
    assert_eq!((answer.body, answer.changes.len()), (json!({}), 1));
    assert_eq!(tags_of(&root, &arn).await, json!([{ "Key": "b", "Value": "2" }]));
    let nothing = root.call("RemoveTags", remove(&arn, json!([{ "Key": "a" }]))).await;
    assert_eq!((nothing.body, nothing.changes.len()), (json!({}), 0));
}

#[tokio::test]
async fn resources_that_have_no_tags_are_refused() {
    bad_resources_are_refused("RemoveTags", |arn| remove(arn, json!([{ "Key": "k" }]))).await;
    let api = Api::new().await;
    let arn = api.root().create_trail("main").await;
    let empty = remove(&arn, json!([{ "Key": "" }]));
    api.root().refused("RemoveTags", empty, "InvalidTagParameterException", "tagsList.1.member.key").await;
}
