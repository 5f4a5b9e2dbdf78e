use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Api, arn};

#[tokio::test]
async fn the_trails_of_every_region_are_listed_in_order() {
    let api = Api::new().await;
    api.root().create_trail("main").await;
    api.root().at("eu-west-1").create_trail("two").await;
    api.root().at("eu-west-1").create_trail("one").await;
    api.caller("other-root", None).create_trail("other").await;
    let info = |region: &str, name: &str| json!({ "TrailARN": arn(region, name), "Name": name, "HomeRegion": region });
    let expected = json!({ "Trails": [info("eu-west-1", "one"), info("eu-west-1", "two"), info("us-east-1", "main")] });
    assert_eq!(api.root().at("ap-south-1").ok("ListTrails", json!({})).await, expected);
}

#[tokio::test]
async fn pages_hold_every_trail_once() {
    let api = Api::new().await;
    for number in 0..205 {
        api.root().at(&format!("region-{number}")).create_trail("main").await;
    }
    let (mut seen, mut sizes, mut input) = (Vec::new(), Vec::new(), json!({}));
    loop {
        let page = api.root().ok("ListTrails", input).await;
        let trails = page["Trails"].as_array().unwrap();
        sizes.push(trails.len());
        seen.extend(trails.iter().map(|trail| trail["TrailARN"].to_string()));
        let Some(token) = page.get("NextToken") else { break };
        input = json!({ "NextToken": token });
    }
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), &sizes[..]), (205, &[100, 100, 5][..]));
}

#[tokio::test]
async fn a_token_is_the_callers_own_and_lasts_a_day() {
    let api = Api::new().await;
    for number in 0..101 {
        api.root().at(&format!("region-{number}")).create_trail("main").await;
    }
    let token = api.root().ok("ListTrails", json!({})).await["NextToken"].clone();
    let input = json!({ "NextToken": token });
    api.root().ok("ListTrails", input.clone()).await;
    let other_request = "repeat every other parameter";
    api.root().at("eu-west-1").refused("ListTrails", input.clone(), "ValidationException", other_request).await;
    api.caller("other-root", None).refused("ListTrails", input.clone(), "ValidationException", other_request).await;
    let text = token.as_str().unwrap();
    for bad in [Value::from(""), Value::from("made up"), Value::from(text[4..].to_owned())] {
        api.root().refused("ListTrails", json!({ "NextToken": bad }), "ValidationException", "not one that").await;
    }
    api.clock.advance(Duration::from_secs(24 * 60 * 60 + 1));
    api.root().refused("ListTrails", input, "ValidationException", "expired").await;
}
