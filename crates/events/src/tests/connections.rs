use serde_json::{Value, json};

use super::{World, world};

async fn connection(world: &World) -> Value {
    let parameters = json!({
        "ApiKeyAuthParameters": { "ApiKeyName": "X-Key", "ApiKeyValue": "s3cret" },
        "InvocationHttpParameters": { "HeaderParameters": [
            { "Key": "X-Shown", "Value": "shown", "IsValueSecret": false },
            { "Key": "X-Hidden", "Value": "h1dden", "IsValueSecret": true }
        ] }
    });
    let input = json!({ "Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": parameters });
    world.call("CreateConnection", input).await
}

#[tokio::test]
async fn a_connections_secrets_are_never_told() {
    let world = world().await;
    let made = connection(&world).await;
    assert_eq!(made["ConnectionState"], "AUTHORIZED");
    let told = world.call("DescribeConnection", json!({ "Name": "c" })).await;
    assert_eq!(
        told["AuthParameters"],
        json!({
            "ApiKeyAuthParameters": { "ApiKeyName": "X-Key" },
            "InvocationHttpParameters": { "HeaderParameters": [
                { "Key": "X-Shown", "Value": "shown", "IsValueSecret": false },
                { "Key": "X-Hidden", "IsValueSecret": true }
            ] }
        })
    );
    let stored = world.catalog.list("events-connections", "", "", 10).await.unwrap();
    let stored = String::from_utf8(stored[0].value.clone()).unwrap();
    assert!(!stored.contains("s3cret") && !stored.contains("h1dden"), "{stored}");
    let again = json!({ "Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": {
        "ApiKeyAuthParameters": { "ApiKeyName": "X-Key", "ApiKeyValue": "v" } } });
    assert_eq!(world.refused("CreateConnection", again).await.0, "ResourceAlreadyExistsException");
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_name() {
    let world = world().await;
    connection(&world).await;
    let name = json!({ "Name": "c", "AuthParameters": { "ApiKeyAuthParameters": { "ApiKeyName": "X-Other" } } });
    world.call("UpdateConnection", name).await;
    let told = world.call("DescribeConnection", json!({ "Name": "c" })).await;
    assert_eq!(told["AuthParameters"]["ApiKeyAuthParameters"]["ApiKeyName"], "X-Other");
    assert!(told["AuthParameters"]["InvocationHttpParameters"].is_object());
    // Another kind needs all of it.
    let half = json!({ "Name": "c", "AuthorizationType": "BASIC", "AuthParameters": { "BasicAuthParameters": { "Username": "u" } } });
    assert_eq!(world.refused("UpdateConnection", half).await.0, "ValidationException");
    let listed = world.call("ListConnections", json!({ "ConnectionState": "AUTHORIZED" })).await;
    assert_eq!(listed["Connections"].as_array().unwrap().len(), 1);
    let told = world.call("DeauthorizeConnection", json!({ "Name": "c" })).await;
    assert_eq!(told["ConnectionState"], "DEAUTHORIZED");
    let listed = world.call("ListConnections", json!({ "ConnectionState": "AUTHORIZED" })).await;
    assert_eq!(listed["Connections"], json!([]));
    world.call("DeleteConnection", json!({ "Name": "c" })).await;
    assert_eq!(world.refused("DescribeConnection", json!({ "Name": "c" })).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn api_destinations_go_to_reachable_places_only() {
    let world = world().await;
    let arn = connection(&world).await["ConnectionArn"].clone();
    let input = |endpoint: &str| json!({ "Name": "d", "ConnectionArn": arn, "InvocationEndpoint": endpoint, "HttpMethod": "POST" });
    for endpoint in ["http://169.254.169.254/latest", "https://10.0.0.1/", "ftp://example.com/", "nonsense"] {
        let (name, text) = world.refused("CreateApiDestination", input(endpoint)).await;
        assert_eq!(name, "ValidationException", "{endpoint}: {text}");
    }
    let made = world.call("CreateApiDestination", input("https://example.com/*/hook")).await;
    assert_eq!(made["ApiDestinationState"], "ACTIVE");
    let update = json!({ "Name": "d", "InvocationRateLimitPerSecond": 7 });
    world.call("UpdateApiDestination", update).await;
    let told = world.call("DescribeApiDestination", json!({ "Name": "d" })).await;
    assert_eq!((&told["InvocationRateLimitPerSecond"], &told["HttpMethod"]), (&json!(7), &json!("POST")));
    world.call("DeauthorizeConnection", json!({ "Name": "c" })).await;
    let listed = world.call("ListApiDestinations", json!({ "ConnectionArn": arn })).await;
    assert_eq!(listed["ApiDestinations"][0]["ApiDestinationState"], "INACTIVE");
    world.call("DeleteApiDestination", json!({ "Name": "d" })).await;
    assert_eq!(world.refused("DescribeApiDestination", json!({ "Name": "d" })).await.0, "ResourceNotFoundException");
    let missing = json!({ "Name": "d", "ConnectionArn": format!("{}0", arn.as_str().unwrap()), "InvocationEndpoint": "https://example.com", "HttpMethod": "POST" });
    assert_eq!(world.refused("CreateApiDestination", missing).await.0, "ResourceNotFoundException");
}
