use serde_json::json;

use crate::support::{Api, allow};

#[tokio::test]
async fn a_region_without_digests_has_no_keys() {
    let api = Api::new().await;
    assert_eq!(api.root().ok("ListPublicKeys", json!({})).await, json!({ "PublicKeyList": [] }));
    let range = json!({ "StartTime": 1_767_000_000, "EndTime": 1_767_000_000.5 });
    assert_eq!(api.root().ok("ListPublicKeys", range).await, json!({ "PublicKeyList": [] }));
}

#[tokio::test]
async fn a_time_that_is_left_out_is_now() {
    let api = Api::new().await;
    let tomorrow = api.services.clock.now().as_secs() + 86_400;
    let yesterday = tomorrow - 2 * 86_400;
    let root = api.root();
    root.ok("ListPublicKeys", json!({ "StartTime": yesterday })).await;
    root.ok("ListPublicKeys", json!({ "EndTime": tomorrow })).await;
    for bad in
        [json!({ "StartTime": tomorrow }), json!({ "EndTime": yesterday }), json!({ "StartTime": 2, "EndTime": 1 })]
    {
        root.refused("ListPublicKeys", bad, "InvalidTimeRangeException", "is after").await;
    }
}

#[tokio::test]
async fn bad_requests_and_strangers_are_refused() {
    let api = Api::with_users(vec![("alice", allow(&["cloudtrail:GetTrail"], "*", json!({})))]).await;
    api.root().refused("ListPublicKeys", json!({ "NextToken": "x" }), "InvalidTokenException", "reserved").await;
    let denied = "cloudtrail:ListPublicKeys because no identity-based policy allows";
    api.caller("alice", None).refused("ListPublicKeys", json!({}), "AccessDeniedException", denied).await;
}
