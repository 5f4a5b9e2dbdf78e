use http::StatusCode;
use serde_json::json;

use crate::support::{ACCOUNT, Api, allow};

async fn api() -> Api {
    Api::with_users(vec![("alice", allow(&["sts:AssumeRole", "sts:SetSourceIdentity"], "*", json!({})))]).await
}

/// The text of the first element of that name.
fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').expect("the element ends").0
}

fn assume(extra: &str) -> String {
    format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::{ACCOUNT}:role/auditor&RoleSessionName=night{extra}"
    )
}

#[tokio::test]
async fn everybody_learns_who_they_are() {
    let api = api().await;
    let (status, xml) = api.caller("alice", None).sts("Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text(&xml, "Arn"), format!("arn:aws:iam::{ACCOUNT}:user/alice"));
    assert_eq!(text(&xml, "Account"), ACCOUNT);
    assert!(text(&xml, "UserId").starts_with("AIDA"));
    assert_eq!(text(&xml, "RequestId"), "7f3a1c52-0000-4000-8000-000000000001");
    assert!(xml.starts_with("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"));
}

#[tokio::test]
async fn parameters_may_come_in_the_url_as_in_a_presigned_request() {
    let api = api().await;
    let uri = "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60";
    let (head, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
    let reply = opentrail_api::sts(&api.services, api.root().raw(), &head, &Default::default()).await;
    assert_eq!(reply.response.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_assumed_role_may_do_what_the_role_may() {
    let api = api().await;
    let (status, xml) = api.caller("alice", None).sts(&assume("&DurationSeconds=900&SourceIdentity=alice")).await;
    assert_eq!(status, StatusCode::OK, "{xml}");
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/auditor/night");
    assert_eq!(text(&xml, "Arn"), arn);
    assert!(text(&xml, "AssumedRoleId").ends_with(":night"));
    assert_eq!(text(&xml, "Expiration"), "2026-01-02T12:15:00Z");
    assert_eq!(text(&xml, "SourceIdentity"), "alice");
    let session = api.caller(text(&xml, "AccessKeyId"), Some(text(&xml, "SessionToken")));
    session.ok("ListTrails", json!({})).await;
    let denied = format!("User: {arn} is not authorized to perform: cloudtrail:DescribeTrails");
    session.refused("DescribeTrails", json!({}), "AccessDeniedException", &denied).await;
}

#[tokio::test]
async fn a_session_token_is_the_users_own() {
    let api = api().await;
    let (_, xml) = api.root().sts("Action=GetSessionToken").await;
    assert_eq!(text(&xml, "Expiration"), "2026-01-02T13:00:00Z", "the root's last an hour at most");
    let session = api.caller(text(&xml, "AccessKeyId"), Some(text(&xml, "SessionToken")));
    session.ok("ListTrails", json!({})).await;
    let (status, xml) = session.sts("Action=GetSessionToken").await;
    assert_eq!((status, text(&xml, "Code")), (StatusCode::FORBIDDEN, "AccessDenied"));
}

#[tokio::test]
async fn each_failure_has_the_error_of_sts() {
    let api = api().await;
    let cases = [
        ("alice", "Action=DecodeAuthorizationMessage".to_owned(), 400, "InvalidAction"),
        ("alice", "Version=2011-06-15".to_owned(), 400, "MissingAction"),
        ("alice", "Action=%FF".to_owned(), 400, "MalformedQueryString"),
        ("alice", "Action=AssumeRole".to_owned(), 400, "ValidationError"),
        ("alice", assume("&DurationSeconds=899"), 400, "ValidationError"),
        ("alice", assume("&DurationSeconds=soon"), 400, "MalformedInput"),
        ("alice", assume("&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess"), 400, "ValidationError"),
        ("alice", assume("&Tags.member.1.Key=a&Tags.member.1.Value=b"), 400, "ValidationError"),
        ("alice", assume("&Policy=nonsense"), 400, "MalformedPolicyDocument"),
        ("alice", assume("").replace("role/auditor", "role/absent"), 403, "AccessDenied"),
        ("root", assume(""), 403, "AccessDenied"),
        ("alice", "Action=GetSessionToken&DurationSeconds=1".to_owned(), 400, "ValidationError"),
    ];
    for (who, form, status, code) in cases {
        let (answered, xml) = api.caller(who, None).sts(&form).await;
        assert_eq!((answered.as_u16(), text(&xml, "Code")), (status, code), "{form}: {xml}");
        assert!(!text(&xml, "Message").is_empty());
        assert_eq!(text(&xml, "Type"), "Sender");
    }
}
