use futures::FutureExt;
use opentrail_api::JournalChange;
use opentrail_trails::{Trail, TrailChange};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Api, Caller, OTHER_ACCOUNT, answer};

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// The root of an organization's management account.
async fn management(api: &Api) -> Caller<'_> {
    let root = api.root();
    root.reorganize("CreateOrganization", json!({})).await;
    root.reorganize("EnableAWSServiceAccess", json!({ "ServicePrincipal": CLOUDTRAIL })).await;
    root
}

fn input(name: &str) -> Value {
    json!({ "Name": name, "S3BucketName": "logs", "IsOrganizationTrail": true })
}

/// The accounts that the only changed trail logs.
fn members<C: Clone + Into<JournalChange>>(changes: &[C]) -> Vec<String> {
    let changes: Vec<JournalChange> = changes.iter().cloned().map(Into::into).collect();
    let [JournalChange::Trail(TrailChange::PutTrail(trail))] = &changes[..] else {
        panic!("one trail, not {changes:?}")
    };
    let Trail { organization: Some(organization), .. } = &**trail else { panic!("an organization trail: {trail:?}") };
    organization.members.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_new_account_changes_the_trail_in_the_batch_of_the_call() {
    let api = Api::new().await;
    let root = management(&api).await;
    let created = root.call("CreateTrail", input("main")).await;
    assert_eq!(members(&created.changes), [ACCOUNT]);
    let made = root.reorganize("CreateAccount", json!({ "Email": "a@example.com", "AccountName": "a" })).await;
    let logged = members(&made.changes);
    assert_eq!(logged.len(), 2);
    assert!(made.turn.is_some(), "held until the journal has it");
    let stored = api.services.trails.all().await.unwrap();
    assert_eq!(made.changes, [TrailChange::PutTrail(stored[0].clone().into()).into()], "the catalog has it already");
    drop(made);
    let off = root.reorganize("DisableAWSServiceAccess", json!({ "ServicePrincipal": CLOUDTRAIL })).await;
    assert_eq!(members(&off.changes), [ACCOUNT]);
    drop(off);
    let unit =
        json!({ "ParentId": api.services.organizations.of(ACCOUNT.parse().unwrap()).unwrap().root, "Name": "u" });
    let other = root.reorganize("CreateOrganizationalUnit", unit).await;
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
    let mut coming = Box::pin(root.reorganize("CreateAccount", account));
    assert!((&mut coming).now_or_never().is_none(), "it waits");
    let body = input("second").to_string().into();
    let mut second = Box::pin(opentrail_api::cloudtrail(&api.services, root.raw(), &headers, &body));
    assert!(
        (&mut second).now_or_never().is_none(),
        "so does this, which has seen the organization without the account"
    );
    drop(first);
    let came = coming.await;
    assert_eq!(members(&came.changes).len(), 2);
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
    let ended = root.reorganize("DeleteOrganization", json!({})).await;
    let [JournalChange::Trail(TrailChange::PutTrail(trail))] = &ended.changes[..] else {
        panic!("{:?}", ended.changes)
    };
    assert_eq!(trail.organization, None);
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
