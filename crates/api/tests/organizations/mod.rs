//! What depends on time, on chance and on the order of calls; the operations themselves are proved with stock clients.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, Caller, OTHER_ACCOUNT};

const DAY: Duration = Duration::from_secs(86_400);

async fn ok(caller: &Caller<'_>, operation: &str, input: Value) -> Value {
    let (status, body) = caller.organizations(operation, input).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn refused(caller: &Caller<'_>, operation: &str, input: Value, error: &str) {
    let (status, body) = caller.organizations(operation, input).await;
    assert_eq!((status, &body["__type"]), (StatusCode::BAD_REQUEST, &json!(error)), "{body}");
}

async fn invite(root: &Caller<'_>) -> Value {
    let target = json!({ "Target": { "Id": OTHER_ACCOUNT, "Type": "ACCOUNT" } });
    ok(root, "InviteAccountToOrganization", target).await["Handshake"]["Id"].clone()
}

#[tokio::test]
async fn an_invitation_expires_and_is_forgotten_a_month_later() {
    let api = Api::new().await;
    let (root, other) = (api.root(), api.caller("other-root", None));
    ok(&root, "CreateOrganization", json!({})).await;
    let id = invite(&root).await;
    api.clock.advance(DAY * 15);
    let state = ok(&other, "DescribeHandshake", json!({ "HandshakeId": id })).await["Handshake"]["State"].clone();
    assert_eq!(state, "EXPIRED");
    refused(&other, "AcceptHandshake", json!({ "HandshakeId": id }), "InvalidHandshakeTransitionException").await;
    refused(&other, "DescribeOrganization", json!({}), "AWSOrganizationsNotInUseException").await;
    // It no longer stands in another's way.
    let second = invite(&root).await;
    api.clock.advance(DAY * 30);
    refused(&other, "DescribeHandshake", json!({ "HandshakeId": id }), "HandshakeNotFoundException").await;
    assert_ne!(id, second);
}

#[tokio::test]
async fn what_is_done_at_the_same_time_is_done_one_after_another() {
    let api = Api::new().await;
    let root = api.root();
    ok(&root, "CreateOrganization", json!({})).await;
    let make = |number: usize| {
        let root = &root;
        let asked = json!({ "AccountName": "n", "Email": format!("account-{}@example.com", number % 20) });
        async move {
            let made = ok(root, "CreateAccount", asked).await["CreateAccountStatus"]["Id"].clone();
            ok(root, "DescribeCreateAccountStatus", json!({ "CreateAccountRequestId": made })).await
        }
    };
    let made = futures::future::join_all((0..40).map(make)).await;
    let state = |answer: &&Value| answer["CreateAccountStatus"]["State"] == "SUCCEEDED";
    assert_eq!(made.iter().filter(state).count(), 20, "each address once");
    let view = api.services.organizations.of(ACCOUNT.parse().unwrap()).unwrap();
    assert_eq!(view.members.len(), 21);
    let identities = api.services.directory.identities();
    for account in view.active_members().filter(|account| account.to_string() != ACCOUNT) {
        assert!(identities.account(account).unwrap().role("OrganizationAccountAccessRole").is_some());
    }
}

#[tokio::test]
async fn a_member_that_leaves_no_longer_stands_in_the_way_of_all_features() {
    let api = Api::new().await;
    let (root, other) = (api.root(), api.caller("other-root", None));
    ok(&root, "CreateOrganization", json!({ "FeatureSet": "CONSOLIDATED_BILLING" })).await;
    let id = invite(&root).await;
    ok(&other, "AcceptHandshake", json!({ "HandshakeId": id })).await;
    let whole = ok(&root, "EnableAllFeatures", json!({})).await["Handshake"]["Id"].clone();
    refused(&root, "AcceptHandshake", json!({ "HandshakeId": whole }), "InvalidHandshakeTransitionException").await;
    ok(&other, "LeaveOrganization", Value::Null).await;
    let part = &ok(&other, "ListHandshakesForAccount", json!({ "Filter": { "ActionType": "APPROVE_ALL_FEATURES" } }))
        .await["Handshakes"][0];
    assert_eq!(part["State"], "CANCELED");
    ok(&root, "AcceptHandshake", json!({ "HandshakeId": whole })).await;
    let organization = ok(&root, "DescribeOrganization", json!({})).await;
    assert_eq!(organization["Organization"]["FeatureSet"], "ALL");
}
