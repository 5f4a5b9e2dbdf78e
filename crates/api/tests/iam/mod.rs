use http::StatusCode;
use serde_json::json;

use crate::support::{ACCOUNT, Api, Caller, allow};

/// The text of the first element of that name.
fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').expect("the element ends").0
}

async fn ok(caller: &Caller<'_>, form: &str) -> String {
    let (status, xml) = caller.iam(form).await;
    assert_eq!(status, StatusCode::OK, "{form}: {xml}");
    xml
}

async fn refused(caller: &Caller<'_>, form: &str) -> (u16, String) {
    let (status, xml) = caller.iam(form).await;
    assert!(!xml.contains("Result>"), "{xml}");
    (status.as_u16(), text(&xml, "Code").to_owned())
}

#[tokio::test]
async fn answers_are_in_the_namespace_of_iam_and_have_a_result_where_the_model_has_one() {
    let api = Api::new().await;
    let root = api.root();
    let made = ok(&root, "Action=CreateUser&Version=2010-05-08&UserName=bob&Path=/dev/").await;
    assert!(made.starts_with("<CreateUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">"), "{made}");
    assert_eq!(text(&made, "Arn"), format!("arn:aws:iam::{ACCOUNT}:user/dev/bob"));
    assert_eq!(text(&made, "CreateDate"), "2026-01-02T12:00:00Z");
    let deleted = ok(&root, "Action=DeleteUser&UserName=bob").await;
    assert!(!deleted.contains("DeleteUserResult") && deleted.contains("<ResponseMetadata><RequestId>"), "{deleted}");
    let trust = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22%2A%22%2C%22Action%22%3A%22\
                 sts%3AAssumeRole%22%7D%7D";
    ok(&root, &format!("Action=CreateRole&RoleName=job&AssumeRolePolicyDocument={trust}")).await;
    let updated = ok(&root, "Action=UpdateRole&RoleName=job").await;
    assert!(updated.contains("<UpdateRoleResult></UpdateRoleResult>"), "{updated}");
}

#[tokio::test]
async fn documents_are_percent_encoded() {
    let api = Api::new().await;
    let root = api.root();
    ok(&root, "Action=CreateUser&UserName=bob").await;
    let document = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C\
                    %22Action%22%3A%22s3%3AGet%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
    ok(&root, &format!("Action=PutUserPolicy&UserName=bob&PolicyName=p&PolicyDocument={document}")).await;
    let got = ok(&root, "Action=GetUserPolicy&UserName=bob&PolicyName=p").await;
    assert_eq!(text(&got, "PolicyDocument"), document);
}

#[tokio::test]
async fn a_new_key_works_at_once_and_a_deleted_one_no_more() {
    let api = Api::new().await;
    let root = api.root();
    ok(&root, "Action=CreateUser&UserName=bob").await;
    let key = ok(&root, "Action=CreateAccessKey&UserName=bob").await;
    let id = text(&key, "AccessKeyId").to_owned();
    let bob = api.caller(&id, None);
    bob.refused("ListTrails", json!({}), "AccessDeniedException", "because no identity-based policy allows").await;
    let policy = "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess";
    ok(&root, &format!("Action=AttachUserPolicy&UserName=bob&PolicyArn={policy}")).await;
    bob.ok("ListTrails", json!({})).await;
    ok(&root, &format!("Action=DeleteAccessKey&UserName=bob&AccessKeyId={id}")).await;
    let now = api.services.clock.now();
    assert!(api.services.directory.find_key(&id, None, now).is_err());
}

#[tokio::test]
async fn rights_are_checked_before_it_is_told_who_is_there() {
    let own = format!("arn:aws:iam::{ACCOUNT}:user/${{aws:username}}");
    let api = Api::with_users(vec![("alice", allow(&["iam:Get*", "iam:*AccessKey*"], &own, json!({})))]).await;
    let alice = api.caller("alice", None);
    assert_eq!(text(&ok(&alice, "Action=GetUser").await, "UserName"), "alice");
    assert_eq!(text(&ok(&alice, "Action=ListAccessKeys").await, "AccessKeyId"), "alice");
    for form in [
        "Action=GetUser&UserName=nobody",
        "Action=ListUsers",
        "Action=CreateUser&UserName=bob",
        "Action=GetAccountSummary",
    ] {
        assert_eq!(refused(&alice, form).await, (403, "AccessDenied".to_owned()), "{form}");
    }
    // The configuration's users stay as they are, whoever asks.
    assert_eq!(refused(&alice, "Action=CreateAccessKey").await, (400, "UnmodifiableEntity".to_owned()));
}

#[tokio::test]
async fn each_failure_has_the_error_of_iam() {
    let api = Api::new().await;
    let root = api.root();
    ok(&root, "Action=CreateUser&UserName=bob").await;
    let cases = [
        ("Version=2010-05-08", 400, "MissingAction"),
        ("Action=CreateInstanceProfile", 400, "InvalidAction"),
        ("Action=CreateUnicorn", 400, "InvalidAction"),
        ("Action=CreateUser", 400, "ValidationError"),
        ("Action=CreateUser&UserName=BOB", 409, "EntityAlreadyExists"),
        ("Action=ListUsers&MaxItems=many", 400, "MalformedInput"),
        ("Action=ListUsers&Marker=x", 400, "ValidationError"),
        ("Action=GetUser&UserName=carol", 404, "NoSuchEntity"),
        ("Action=GetPolicy&PolicyArn=arn:aws:iam::111122223333:user/bob", 400, "InvalidInput"),
        ("Action=PutUserPolicy&UserName=bob&PolicyName=p&PolicyDocument=nonsense", 400, "MalformedPolicyDocument"),
        ("Action=CreateLoginProfile&UserName=bob&Password=weak", 400, "PasswordPolicyViolation"),
        ("Action=ChangePassword&OldPassword=a&NewPassword=b", 400, "InvalidUserType"),
        ("Action=CreateAccountAlias&AccountAlias=double--hyphen", 400, "ValidationError"),
        ("Action=UpdateRole&RoleName=auditor", 400, "UnmodifiableEntity"),
    ];
    for (form, status, code) in cases {
        assert_eq!(refused(&root, form).await, (status, code.to_owned()), "{form}");
    }
}

#[tokio::test]
async fn changes_made_at_the_same_time_are_all_there() {
    let api = Api::new().await;
    let root = api.root();
    ok(&root, "Action=CreateUser&UserName=bob").await;
    let forms: Vec<String> =
        (0..10).map(|n| format!("Action=TagUser&UserName=bob&Tags.member.1.Key=k{n}&Tags.member.1.Value=v")).collect();
    futures::future::join_all(forms.iter().map(|form| ok(&root, form))).await;
    let tags = ok(&root, "Action=ListUserTags&UserName=bob").await;
    assert_eq!(tags.matches("<Key>").count(), 10);
}
