use std::sync::Arc;

use opentrail_keys::KeyRing;
use opentrail_runtime::{SeededRandom, SystemRandom};
use serde_json::{Value, json};

use super::*;
use crate::spec::{AccessKeySpec, AccountSpec, PolicySpec, RoleSpec, UserSpec};
use crate::{Decision, KeyError, PolicyKind, Secret};

const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);
const AUDIT: &str = "arn:aws:iam::111122223333:role/ops/Audit";
const VISITED: &str = "arn:aws:iam::444455556666:role/Visited";

fn document(statement: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

fn trust(principal: &str, condition: Value) -> String {
    let actions = json!(["sts:AssumeRole", "sts:SetSourceIdentity"]);
    document(json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": actions, "Condition": condition }))
}

fn user(name: &str, statement: Option<Value>) -> UserSpec {
    let mut user = UserSpec::new(name);
    user.policies = statement.map(|statement| PolicySpec(document(statement))).into_iter().collect();
    user.access_keys = vec![AccessKeySpec::new(format!("AKIA{name}"), Secret::new("s"))];
    user
}

/// `may` has a policy to assume roles and `none` has none. `Audit` trusts the account, `Named` the user `none`;
/// `Visited` in the other account asks for an external id, `Chained` trusts the role `Audit`.
fn directory() -> Directory {
    let mut ours = AccountSpec::new("111122223333".parse().unwrap());
    ours.root_access_keys = vec![AccessKeySpec::new("AKIAROOT", Secret::new("s"))];
    let assume = json!({ "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], "Resource": "*" });
    ours.users = vec![user("may", Some(assume.clone())), user("none", None)];
    let mut audit = RoleSpec::new("Audit", trust("111122223333", json!({})));
    audit.path = "/ops/".to_owned();
    audit.max_session = Duration::from_secs(7200);
    let read = json!({ "Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*" });
    audit.policies = vec![PolicySpec(document(json!([read, assume])))];
    let named = RoleSpec::new("Named", trust("arn:aws:iam::111122223333:user/none", json!({})));
    let chained = RoleSpec::new("Chained", trust(AUDIT, json!({})));
    ours.roles = vec![audit, named, chained];
    let mut theirs = AccountSpec::new("444455556666".parse().unwrap());
    let external = json!({ "StringEquals": { "sts:ExternalId": "ticket-7" } });
    theirs.roles = vec![RoleSpec::new("Visited", trust("111122223333", external))];
    let ring = KeyRing::ephemeral(Arc::new(SystemRandom));
    Directory::new(vec![ours, theirs]).unwrap().with_sealer(Arc::new(ring))
}

fn who(directory: &Directory, name: &str) -> Principal {
    directory.find_key(&format!("AKIA{name}"), None, NOW).unwrap().principal
}

fn assume(directory: &Directory, principal: &Principal, input: AssumeRole<'_>) -> Result<Assumed, StsError> {
    directory.assume_role(principal, &input, &Context::new(), NOW, &SeededRandom::new(3))
}

fn audit() -> AssumeRole<'static> {
    AssumeRole { role_arn: AUDIT, session_name: "bob", ..AssumeRole::default() }
}

fn session(directory: &Directory, assumed: &Assumed) -> Principal {
    let Credentials { access_key_id, session_token, .. } = &assumed.credentials;
    directory.find_key(access_key_id, Some(session_token), NOW).unwrap().principal
}

fn get_trail(directory: &Directory, principal: &Principal) -> Decision {
    let request = AccessRequest {
        action: "cloudtrail:GetTrail",
        resource: "arn:aws:cloudtrail:us-east-1:111122223333:trail/main",
        context: &Context::new(),
        resource_policy: None,
        resource_account: None,
    };
    directory.authorize(principal, &request)
}

#[test]
fn a_role_gives_its_rights_under_its_own_name() {
    let directory = directory();
    let may = who(&directory, "may");
    let assumed = assume(&directory, &may, audit()).unwrap();
    assert!(assumed.credentials.access_key_id.starts_with("ASIA"));
    assert_eq!(assumed.credentials.expiration, NOW.floor_secs() + Duration::from_secs(3600));
    assert_eq!(assumed.arn.as_str(), "arn:aws:sts::111122223333:assumed-role/Audit/bob");
    assert_eq!(assumed.role_arn.as_str(), AUDIT);
    assert_eq!(assumed.packed_policy_percent, None);
    let session = session(&directory, &assumed);
    assert_eq!(session.user_id(), assumed.assumed_role_id);
    assert_eq!(session.arn(), assumed.arn);
    assert_eq!(session.user_identity()["sessionContext"]["attributes"]["creationDate"], "2026-01-02T03:04:05Z");
    assert_eq!(get_trail(&directory, &session), Decision::Allowed);
    assert_eq!(get_trail(&directory, &may), Decision::ImplicitDeny { missing: PolicyKind::IdentityBased });
    let late = directory.find_key(
        &assumed.credentials.access_key_id,
        Some(&assumed.credentials.session_token),
        assumed.credentials.expiration,
    );
    assert_eq!(late.map(|_| ()), Err(KeyError::TokenExpired));
}

#[test]
fn trust_in_the_account_needs_the_caller_s_own_policy_and_trust_by_name_does_not() {
    let directory = directory();
    let none = who(&directory, "none");
    let refused = assume(&directory, &none, audit()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "User: arn:aws:iam::111122223333:user/none is not authorized to perform: sts:AssumeRole on resource: \
         arn:aws:iam::111122223333:role/ops/Audit"
    );
    let named = AssumeRole { role_arn: "arn:aws:iam::111122223333:role/Named", ..audit() };
    assert!(assume(&directory, &none, named).is_ok());
    let refused = assume(&directory, &who(&directory, "may"), named);
    assert!(matches!(refused, Err(StsError::AccessDenied { .. })), "the caller's policy alone is not trust");
}

#[test]
fn the_root_assumes_no_roles_and_unknown_roles_are_denied_alike() {
    let directory = directory();
    let root = assume(&directory, &who(&directory, "ROOT"), audit()).unwrap_err();
    assert_eq!(root.to_string(), "Roles may not be assumed by root accounts.");
    let gone = AssumeRole { role_arn: "arn:aws:iam::111122223333:role/Gone", ..audit() };
    let gone = assume(&directory, &who(&directory, "may"), gone).unwrap_err().to_string();
    assert!(gone.ends_with("perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/Gone"), "{gone}");
}

#[test]
fn another_account_s_role_can_ask_for_an_external_id() {
    let directory = directory();
    let may = who(&directory, "may");
    let visit = |external_id| AssumeRole { role_arn: VISITED, external_id, ..audit() };
    assert!(assume(&directory, &may, visit(None)).is_err());
    assert!(assume(&directory, &may, visit(Some("ticket-8"))).is_err());
    let assumed = assume(&directory, &may, visit(Some("ticket-7"))).unwrap();
    assert_eq!(session(&directory, &assumed).account.to_string(), "444455556666");
    assert!(assume(&directory, &who(&directory, "none"), visit(Some("ticket-7"))).is_err());
}

#[test]
fn a_session_policy_narrows() {
    let directory = directory();
    let may = who(&directory, "may");
    let only = |action: &str, effect: &str| document(json!({ "Effect": effect, "Action": action, "Resource": "*" }));
    let decide = |policy: &str| {
        let assumed = assume(&directory, &may, AssumeRole { policy: Some(policy), ..audit() }).unwrap();
        assert!(assumed.packed_policy_percent.is_some_and(|percent| (1..=10).contains(&percent)));
        get_trail(&directory, &session(&directory, &assumed))
    };
    assert_eq!(decide(&only("cloudtrail:Get*", "Allow")), Decision::Allowed);
    assert_eq!(decide(&only("s3:*", "Allow")), Decision::ImplicitDeny { missing: PolicyKind::Session });
    assert_eq!(decide(&only("cloudtrail:*", "Deny")), Decision::ExplicitDeny { by: PolicyKind::Session });
    let bad = assume(&directory, &may, AssumeRole { policy: Some("{}"), ..audit() });
    assert!(matches!(bad, Err(StsError::MalformedPolicy(_))));
    let long = document(json!({ "Sid": "x".repeat(3000), "Effect": "Allow", "Action": "*", "Resource": "*" }));
    let bad = assume(&directory, &may, AssumeRole { policy: Some(&long), ..audit() });
    assert!(matches!(bad, Err(StsError::PackedPolicyTooLarge { percent: 149.. })), "{bad:?}");
    let blank = format!("{}{}", only("s3:*", "Allow"), " ".repeat(2048));
    let bad = assume(&directory, &may, AssumeRole { policy: Some(&blank), ..audit() });
    assert!(matches!(bad, Err(StsError::PackedPolicyTooLarge { .. })), "{bad:?}");
}

#[test]
fn a_source_identity_stays_for_the_chain() {
    let directory = directory();
    let first = AssumeRole { source_identity: Some("carol"), ..audit() };
    let audit_session = session(&directory, &assume(&directory, &who(&directory, "may"), first).unwrap());
    assert_eq!(audit_session.user_identity()["sessionContext"]["sourceIdentity"], "carol");
    let chained = AssumeRole { role_arn: "arn:aws:iam::111122223333:role/Chained", ..audit() };
    let next = assume(&directory, &audit_session, chained).unwrap();
    assert_eq!(next.source_identity.as_deref(), Some("carol"));
    let other = AssumeRole { source_identity: Some("dave"), ..chained };
    let refused = assume(&directory, &audit_session, other).unwrap_err().to_string();
    assert!(refused.contains("sts:SetSourceIdentity"), "{refused}");
}

#[test]
fn sessions_last_as_long_as_the_role_allows() {
    let directory = directory();
    let may = who(&directory, "may");
    let lasting = |seconds| AssumeRole { duration_seconds: Some(seconds), ..audit() };
    let two_hours = assume(&directory, &may, lasting(7200)).unwrap();
    assert_eq!(two_hours.credentials.expiration.since(NOW.floor_secs()), Duration::from_secs(7200));
    let refused = assume(&directory, &may, lasting(7201)).unwrap_err().to_string();
    assert_eq!(refused, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
    let chained = AssumeRole { role_arn: "arn:aws:iam::111122223333:role/Chained", ..lasting(3601) };
    let refused = assume(&directory, &session(&directory, &two_hours), chained).unwrap_err().to_string();
    assert!(refused.contains("role chaining"), "{refused}");
}

#[test]
fn parameters_out_of_bounds_are_told_as_aws_does() {
    let directory = directory();
    let may = who(&directory, "may");
    let refuse = |input| match assume(&directory, &may, input) {
        Err(StsError::Validation { message }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refuse(AssumeRole { session_name: "a b", ..audit() }),
        "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [\\w+=,.@-]*"
    );
    let two = refuse(AssumeRole { session_name: "a", duration_seconds: Some(899), ..audit() });
    assert!(two.starts_with("2 validation errors detected: ") && two.contains("greater than or equal to 900"), "{two}");
    for bad in [
        AssumeRole { session_name: &"x".repeat(65), ..audit() },
        AssumeRole { duration_seconds: Some(43_201), ..audit() },
        AssumeRole { duration_seconds: Some(i64::MIN), ..audit() },
        AssumeRole { role_arn: "short", ..audit() },
        AssumeRole { role_arn: "arn:aws:iam::111122223333:user/may", ..audit() },
        AssumeRole { external_id: Some("a b"), ..audit() },
        AssumeRole { source_identity: Some("é!"), ..audit() },
        AssumeRole { policy: Some(""), ..audit() },
        AssumeRole { policy: Some("{\"Id\": \"☃\"}"), ..audit() },
        AssumeRole { serial_number: Some("short"), token_code: Some("123456"), ..audit() },
    ] {
        refuse(bad);
    }
    let second_factor = AssumeRole { serial_number: Some("arn:aws:iam::111122223333:mfa/may"), ..audit() };
    assert!(matches!(assume(&directory, &may, second_factor), Err(StsError::AccessDenied { .. })));
}

#[test]
fn get_session_token_is_for_long_term_keys() {
    let directory = directory();
    let get = |principal: &Principal, seconds| {
        let input = GetSessionToken { duration_seconds: seconds, ..GetSessionToken::default() };
        let made = directory.session_token(principal, &input, NOW, &SeededRandom::new(5));
        made.map(|credentials| credentials.expiration.since(NOW.floor_secs()).as_secs())
    };
    let (may, root) = (who(&directory, "may"), who(&directory, "ROOT"));
    assert_eq!(get(&may, None), Ok(43_200));
    assert_eq!(get(&may, Some(129_600)), Ok(129_600));
    assert_eq!(get(&root, None), Ok(3600));
    assert_eq!(get(&root, Some(900)), Ok(900));
    assert!(matches!(get(&may, Some(129_601)), Err(StsError::Validation { .. })));
    let role = session(&directory, &assume(&directory, &may, audit()).unwrap());
    let refused = get(&role, None).unwrap_err();
    assert_eq!(refused.to_string(), "Cannot call GetSessionToken with session credentials");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let directory = directory();
    let assumed = assume(&directory, &who(&directory, "may"), audit()).unwrap();
    let shown = format!("{assumed:?}");
    assert!(!shown.contains(assumed.credentials.secret.expose()));
    assert!(!shown.contains(&assumed.credentials.session_token));
}

#[test]
fn the_longest_session_policy_still_makes_a_token_that_opens() {
    let directory = directory();
    let start = r#"{"Version":"2012-10-17","Id":""#;
    let end = r#"","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let policy = format!("{start}{}{end}", "é".repeat(2048 - start.len() - end.len()));
    let assumed = assume(&directory, &who(&directory, "may"), AssumeRole { policy: Some(&policy), ..audit() }).unwrap();
    assert_eq!(assumed.packed_policy_percent, Some(100));
    assert_eq!(get_trail(&directory, &session(&directory, &assumed)), Decision::Allowed);
}

/// IAM User Guide, "Policy evaluation logic", resource-based policies and session policies.
#[test]
fn a_resource_that_names_the_session_is_not_narrowed_and_one_that_names_the_role_is() {
    let directory = directory();
    let nothing = document(json!({ "Effect": "Allow", "Action": "iam:GetUser", "Resource": "*" }));
    let input = AssumeRole { policy: Some(&nothing), ..audit() };
    let assumed = assume(&directory, &who(&directory, "may"), input).unwrap();
    let session = session(&directory, &assumed);
    let get_object = |named: &str| {
        let bucket = document(json!({
            "Effect": "Allow", "Principal": { "AWS": named }, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"
        }));
        let bucket = Policy::parse(&bucket, PolicyUse::Resource).unwrap();
        let request = AccessRequest {
            action: "s3:GetObject",
            resource: "arn:aws:s3:::b/k",
            context: &Context::new(),
            resource_policy: Some(&bucket),
            resource_account: None,
        };
        directory.authorize(&session, &request)
    };
    assert_eq!(get_object(assumed.arn.as_str()), Decision::Allowed);
    assert_eq!(get_object(AUDIT), Decision::ImplicitDeny { missing: PolicyKind::Session });
    assert_eq!(get_object("111122223333"), Decision::ImplicitDeny { missing: PolicyKind::IdentityBased });
}
