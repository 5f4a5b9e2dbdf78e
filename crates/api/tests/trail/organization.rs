use futures::FutureExt;
use opentrail_api::JournalChange;
use opentrail_trails::{Trail, TrailChange};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, Caller, OTHER_ACCOUNT, answer};

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// The root of an organization's management account.
async fn management(api: &Api) -> Caller<'_> {
    let root = api.root();
    root.organizations("CreateOrganization", json!({})).await;
    root.organizations("EnableAWSServiceAccess", json!({ "ServicePrincipal": CLOUDTRAIL })).await;
    root
}

fn input(name: &str) -> Value {
    json!({ "Name": name, "S3BucketName": "logs", "IsOrganizationTrail": true })
}

/// The changes of trails that an operation of Organizations leads to; there are no others.
fn trails(changes: &[JournalChange]) -> Vec<TrailChange> {
    let trail = |change: &JournalChange| match change {
        JournalChange::Trail(trail) => trail.clone(),
        other => panic!("a trail's change, not {other:?}"),
    };
    changes.iter().map(trail).collect()
}

/// The accounts that the only changed trail logs.
fn members(changes: &[TrailChange]) -> Vec<String> {
    let [TrailChange::PutTrail(trail)] = changes else { panic!("one trail, not {changes:?}") };
    let Trail { organization: Some(organization), .. } = &**trail else { panic!("an organization trail: {trail:?}") };
    organization.members.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_new_account_changes_the_trail_in_the_batch_of_the_call() {
    let api = Api::new().await;
    let root = management(&api).await;
    let created = root.call("CreateTrail", input("main")).await;
    assert_eq!(members(&created.changes), [ACCOUNT]);
    let made = root.organizations("CreateAccount", json!({ "Email": "a@example.com", "AccountName": "a" })).await;
    let logged = members(&trails(&made.changes));
    assert_eq!(logged.len(), 2);
    assert!(made.turn.is_some(), "held until the journal has it");
    let stored = api.services.trails.all().await.unwrap();
    assert_eq!(trails(&made.changes), [TrailChange::PutTrail(stored[0].clone().into())], "the catalog has it already");
    drop(made);
    let off = root.organizations("DisableAWSServiceAccess", json!({ "ServicePrincipal": CLOUDTRAIL })).await;
    assert_eq!(members(&trails(&off.changes)), [ACCOUNT]);
    drop(off);
    let unit =
        json!({ "ParentId": api.services.organizations.of(ACCOUNT.parse().unwrap()).unwrap().root, "Name": "u" });
    let other = root.organizations("CreateOrganizationalUnit", unit).await;
    assert!(other.changes.is_empty() && other.turn.is_none(), "whom the trail logs has not changed");
}

#[tokio::test]
async fn a_trail_made_while_an_account_comes_has_it() {
    let api = Api::new().await;
    let root = management(&api).await;
    // A change of the account's trails that is not in the journal yet holds up both.
    let mut headers = http::HeaderMap::new();
    headers.insert("x-amz-target", "CloudTrail_20131101.CreateTrail".parse().unwrap());
    let body = input("first").to_string().into();
    let first = opentrail_api::cloudtrail(&api.services, root.raw(), &headers, &body).await;
    let account = json!({ "Email": "a@example.com", "AccountName": "a" });
    let mut coming = Box::pin(root.organizations("CreateAccount", account));
    assert!((&mut coming).now_or_never().is_none(), "it waits");
    let body = input("second").to_string().into();
    let mut second = Box::pin(opentrail_api::cloudtrail(&api.services, root.raw(), &headers, &body));
    assert!(
        (&mut second).now_or_never().is_none(),
        "so does this, which has seen the organization without the account"
    );
    drop(first);
    let came = coming.await;
    assert_eq!(members(&trails(&came.changes)).len(), 2);
    drop(came);
    assert_eq!(members(&answer(second.await).changes).len(), 2);
}

#[tokio::test]
async fn a_trail_cannot_be_converted_over_an_organization_that_ends() {
    let api = Api::new().await;
    let root = management(&api).await;
    root.create_trail("own").await;
    let update = json!({ "Name": "own", "IsOrganizationTrail": true });
    let converted = root.call("UpdateTrail", update.clone()).await;
    assert_eq!(members(&converted.changes), [ACCOUNT]);
    let ended = root.organizations("DeleteOrganization", json!({})).await;
    assert!(matches!(&trails(&ended.changes)[..], [TrailChange::PutTrail(trail)] if trail.organization.is_none()));
    drop(ended);
    root.refused("UpdateTrail", update, "OrganizationsNotInUseException", "is not a member").await;
}

#[tokio::test]
async fn an_account_outside_sees_no_organization_trail() {
    let api = Api::new().await;
    let root = management(&api).await;
    let arn = root.ok("CreateTrail", input("main")).await["TrailARN"].clone();
    let other = api.caller("other-root", None);
    let text = format!("Unknown trail: {} for the user: {OTHER_ACCOUNT}", arn.as_str().unwrap());
    other.refused("GetTrail", json!({ "Name": arn }), "TrailNotFoundException", &text).await;
    other.refused("StopLogging", json!({ "Name": arn }), "TrailNotFoundException", &text).await;
}
