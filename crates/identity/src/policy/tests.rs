use opentrail_model::AccountId;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::principal::{Principal, PrincipalKind};

const SERVICE: &str = "cloudtrail.amazonaws.com";
const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";

fn parse(document: &Value, purpose: PolicyUse) -> Policy {
    Policy::parse(&document.to_string(), purpose).unwrap()
}

fn refusal(document: &Value, purpose: PolicyUse) -> String {
    Policy::parse(&document.to_string(), purpose).unwrap_err().to_string()
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn principal(kind: PrincipalKind) -> Principal {
    Principal { account: account(), account_alias: None, kind, access_key_id: String::new(), session: None }
}

fn alice() -> Principal {
    principal(PrincipalKind::User { name: "alice".into(), path: "/".into(), id: "AIDAALICE".into() })
}

fn audit_session() -> Principal {
    principal(PrincipalKind::AssumedRole {
        role_name: "Audit".into(),
        role_path: "/ops/".into(),
        role_id: "AROAAUDIT".into(),
        session_name: "bob".into(),
    })
}

fn verdict(policy: &Policy, who: &Principal, action: &str, resource: &str, request: &Context) -> Verdict {
    let caller = who.context([]);
    let facts = Facts::new(&caller, request);
    let action = action.to_ascii_lowercase();
    policy.verdict(&Question { action: &action, resource, requester: Requester::Identity(who), facts: &facts })
}

fn allows(document: &Value, action: &str, resource: &str) -> bool {
    let policy = parse(document, PolicyUse::Identity);
    matches!(verdict(&policy, &alice(), action, resource, &Context::new()), Verdict::Allow(_))
}

fn identity_policy(statements: Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The managed policy `AWSCloudTrail_ReadOnlyAccess` in its shape.
#[test]
fn read_only_access_reads_and_writes_not() {
    let policy = identity_policy(json!([{
        "Effect": "Allow",
        "Action": ["cloudtrail:Get*", "cloudtrail:Describe*", "cloudtrail:List*", "cloudtrail:LookupEvents"],
        "Resource": "*"
    }]));
    for action in ["cloudtrail:GetTrail", "cloudtrail:DescribeTrails", "CloudTrail:lookupevents"] {
        assert!(allows(&policy, action, TRAIL) && allows(&policy, action, "*"), "{action}");
    }
    for action in ["cloudtrail:CreateTrail", "cloudtrail:StopLogging", "s3:GetObject", "cloudtrail:Ge"] {
        assert!(!allows(&policy, action, TRAIL), "{action}");
    }
}

/// CloudTrail User Guide, "Identity-based policy examples": full access, with an exception that holds.
#[test]
fn full_access_with_a_deny_keeps_the_deny() {
    let policy = identity_policy(json!([
        { "Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*" },
        { "Effect": "Deny", "Action": ["cloudtrail:StopLogging", "cloudtrail:DeleteTrail"], "Resource": "*" }
    ]));
    assert!(allows(&policy, "cloudtrail:UpdateTrail", TRAIL));
    assert!(!allows(&policy, "cloudtrail:StopLogging", TRAIL));
}

/// CloudTrail User Guide, "Creating and applying policies for actions on specific trails".
#[test]
fn a_trail_s_arn_gives_that_trail_alone() {
    let policy = identity_policy(json!({
        "Effect": "Allow",
        "Action": ["cloudtrail:StartLogging", "cloudtrail:GetTrailStatus", "cloudtrail:ListTrails"],
        "Resource": "arn:aws:cloudtrail:us-east-1:111122223333:trail/ma?n"
    }));
    assert!(allows(&policy, "cloudtrail:StartLogging", TRAIL));
    assert!(!allows(&policy, "cloudtrail:StartLogging", "arn:aws:cloudtrail:us-east-1:111122223333:trail/other"));
    assert!(!allows(&policy, "cloudtrail:StartLogging", "arn:aws:cloudtrail:us-east-1:444455556666:trail/main"));
    assert!(!allows(&policy, "cloudtrail:ListTrails", "*"), "an action without resource needs Resource *");
}

#[test]
fn not_action_and_not_resource_cover_all_else() {
    let policy = identity_policy(json!([
        { "Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*" },
        { "Effect": "Deny", "Action": "s3:*", "NotResource": ["arn:aws:s3:::mine", "arn:aws:s3:::mine/*"] }
    ]));
    assert!(allows(&policy, "cloudtrail:GetTrail", TRAIL));
    assert!(!allows(&policy, "iam:CreateUser", "*"));
    assert!(allows(&policy, "s3:GetObject", "arn:aws:s3:::mine/key"));
    assert!(!allows(&policy, "s3:GetObject", "arn:aws:s3:::other/key"));
}

/// IAM User Guide, "IAM policy elements: Variables and tags".
#[test]
fn a_home_directory_is_its_user_s() {
    let policy = identity_policy(json!([
        { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::homes/${aws:username}/*" },
        { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::homes",
          "Condition": { "StringLike": { "s3:prefix": ["", "${aws:username}/*"] } } }
    ]));
    assert!(allows(&policy, "s3:GetObject", "arn:aws:s3:::homes/alice/x"));
    assert!(!allows(&policy, "s3:GetObject", "arn:aws:s3:::homes/bob/x"));
    let policy = parse(&policy, PolicyUse::Identity);
    let list = |prefix: &str, who: &Principal| {
        let request = Context::new().with("s3:prefix", prefix);
        verdict(&policy, who, "s3:ListBucket", "arn:aws:s3:::homes", &request) != Verdict::Silent
    };
    assert!(list("alice/photos", &alice()) && list("", &alice()));
    assert!(!list("bob/photos", &alice()));
    assert!(!list("alice/photos", &audit_session()), "a role has no user name");
}

#[test]
fn the_old_version_has_no_variables() {
    let mut policy = identity_policy(json!({
        "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::homes/${aws:username}/*"
    }));
    policy["Version"] = json!("2008-10-17");
    assert!(!allows(&policy, "s3:GetObject", "arn:aws:s3:::homes/alice/x"));
    assert!(allows(&policy, "s3:GetObject", "arn:aws:s3:::homes/${aws:username}/x"));
}

#[test]
fn an_unknown_value_never_widens_a_not_resource() {
    let not_resource = |effect: &str| {
        let statement = json!({ "Effect": effect, "Action": "s3:*", "NotResource": "arn:aws:s3:::${aws:username}" });
        let policy = parse(&identity_policy(statement), PolicyUse::Identity);
        verdict(&policy, &audit_session(), "s3:ListBucket", "arn:aws:s3:::b", &Context::new())
    };
    assert_eq!(not_resource("Allow"), Verdict::Silent);
    assert_eq!(not_resource("Deny"), Verdict::Deny);
}

#[test]
fn principals_are_named_by_account_arn_or_session() {
    let cases: &[(Value, Option<Naming>, Option<Naming>)] = &[
        // the element; how alice is named; how the session of role Audit is named
        (json!("*"), Some(Naming::Principal), Some(Naming::Principal)),
        (json!({ "AWS": "*" }), Some(Naming::Principal), Some(Naming::Principal)),
        (json!({ "AWS": "111122223333" }), Some(Naming::Account), Some(Naming::Account)),
        (json!({ "AWS": "arn:aws:iam::111122223333:root" }), Some(Naming::Account), Some(Naming::Account)),
        (json!({ "AWS": ["444455556666"] }), None, None),
        (json!({ "AWS": "arn:aws:iam::111122223333:user/alice" }), Some(Naming::Principal), None),
        (json!({ "AWS": "arn:aws:iam::111122223333:role/ops/Audit" }), None, Some(Naming::Principal)),
        (json!({ "AWS": "arn:aws:sts::111122223333:assumed-role/Audit/bob" }), None, Some(Naming::Session)),
        (json!({ "AWS": "arn:aws:sts::111122223333:assumed-role/Audit/eve" }), None, None),
        (json!({ "Service": SERVICE, "AWS": ["111122223333"] }), Some(Naming::Account), Some(Naming::Account)),
        (json!({ "Service": SERVICE }), None, None),
        (json!({ "Federated": "accounts.google.com", "CanonicalUser": "79a5" }), None, None),
    ];
    for (element, user, session) in cases {
        let statement = json!({ "Effect": "Allow", "Principal": element, "Action": "s3:*", "Resource": "*" });
        let policy = parse(&identity_policy(statement), PolicyUse::Resource);
        for (who, expected) in [(alice(), user), (audit_session(), session)] {
            let expected = expected.map_or(Verdict::Silent, Verdict::Allow);
            assert_eq!(
                verdict(&policy, &who, "s3:GetObject", "arn:aws:s3:::b/k", &Context::new()),
                expected,
                "{element}"
            );
        }
    }
}

#[test]
fn not_principal_spares_whom_it_names() {
    let statement = json!({ "Effect": "Deny", "Action": "s3:*", "Resource": "*",
        "NotPrincipal": { "AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/alice"] } });
    let policy = parse(&identity_policy(statement), PolicyUse::Resource);
    let denied = |who: &Principal| verdict(&policy, who, "s3:GetObject", "arn:aws:s3:::b/k", &Context::new());
    assert_eq!(denied(&alice()), Verdict::Silent);
    assert_eq!(denied(&principal(PrincipalKind::Root)), Verdict::Silent);
    assert_eq!(denied(&audit_session()), Verdict::Deny, "the account's root ARN spares the root alone");
}

/// CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail".
fn bucket_policy() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "AWSCloudTrailAclCheck20150319", "Effect": "Allow", "Principal": { "Service": SERVICE },
          "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::logs",
          "Condition": { "StringEquals": { "aws:SourceArn": TRAIL } } },
        { "Sid": "AWSCloudTrailWrite20150319", "Effect": "Allow", "Principal": { "Service": SERVICE },
          "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/pre/AWSLogs/111122223333/*",
          "Condition": { "StringEquals": {
              "s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": TRAIL } } }
    ]})
}

#[test]
fn the_documented_bucket_policy_lets_its_trail_write() {
    let policy = parse(&bucket_policy(), PolicyUse::Resource);
    let trail = Context::new().with("aws:SourceArn", TRAIL).with("aws:SourceAccount", "111122223333");
    let write = trail.clone().with("s3:x-amz-acl", "bucket-owner-full-control");
    let key = "arn:aws:s3:::logs/pre/AWSLogs/111122223333/CloudTrail/us-east-1/x.json.gz";
    assert!(policy.allows_service(SERVICE, "s3:GetBucketAcl", "arn:aws:s3:::logs", &trail));
    assert!(policy.allows_service(SERVICE, "s3:PutObject", key, &write));
    assert!(!policy.allows_service(SERVICE, "s3:PutObject", key, &trail), "the ACL is missing");
    assert!(!policy.allows_service("config.amazonaws.com", "s3:PutObject", key, &write));
    assert!(!policy.allows_service(SERVICE, "s3:PutObject", "arn:aws:s3:::logs/AWSLogs/111122223333/x", &write));
    let other = write.clone().with("aws:SourceArn", "arn:aws:cloudtrail:us-east-1:111122223333:trail/other");
    assert!(!policy.allows_service(SERVICE, "s3:PutObject", key, &other));
}

#[test]
fn a_bucket_policy_without_conditions_passes_and_a_deny_for_all_stops_services_too() {
    let mut policy = bucket_policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement.as_object_mut().unwrap().remove("Condition");
    }
    let key = "arn:aws:s3:::logs/pre/AWSLogs/111122223333/x";
    assert!(parse(&policy, PolicyUse::Resource).allows_service(SERVICE, "s3:PutObject", key, &Context::new()));
    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": { "BoolIfExists": { "aws:PrincipalIsAWSService": "true" } } });
    policy["Statement"].as_array_mut().unwrap().push(deny);
    assert!(!parse(&policy, PolicyUse::Resource).allows_service(SERVICE, "s3:PutObject", key, &Context::new()));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let good = json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" });
    let with = |name: &str, value: Value| {
        let mut statement = good.clone();
        statement[name] = value;
        identity_policy(json!([statement]))
    };
    let cases = [
        (json!([]), "must be an object, not a list"),
        (json!({ "Version": "2012-10-17" }), "Statement: is missing"),
        (json!({ "Version": "2030-01-01", "Statement": good }), "Version: must be 2012-10-17 or 2008-10-17"),
        (json!({ "Version": "2012-10-17", "Statement": [] }), "Statement: is empty"),
        (json!({ "Version": "2012-10-17", "Statement": good, "statement": 1 }), "statement: is not an element"),
        (with("Effect", json!("allow")), "Statement[0].Effect: must be Allow or Deny"),
        (with("Action", json!("s3 GetObject")), "Statement[0].Action: \"s3 GetObject\" is neither"),
        (with("Action", json!([])), "Statement[0].Action: is an empty list"),
        (with("Action", json!({})), "must be a text or a list of texts, not an object"),
        (with("NotAction", json!("s3:*")), "must not say both Action and NotAction"),
        (with("Resource", json!("bucket")), "Statement[0].Resource: \"bucket\" is neither"),
        (with("Resource", json!("arn:aws:s3:::${aws:username")), "is not closed"),
        (with("Principal", json!("*")), "must not say Principal"),
        (with("Sid", json!("a b")), "Statement[0].Sid: must be letters and digits only"),
        (with("Condition", json!({ "StringIs": { "a": "b" } })), "\"StringIs\" is not a condition operator"),
        (with("Condition", json!({ "Bool": { "a": "maybe" } })), "a: \"maybe\" is neither true nor false"),
        (with("Condition", json!("x")), "Statement[0].Condition: must be an object, not a text"),
        (with("Conditions", json!({})), "Statement[0].Conditions: is not an element of policies"),
        (identity_policy(json!({ "Effect": "Allow", "Action": "*" })), "must say Resource"),
        (identity_policy(json!({ "Effect": "Allow", "Resource": "*" })), "must say Action"),
    ];
    for (document, expected) in cases {
        let found = refusal(&document, PolicyUse::Identity);
        assert!(found.contains(expected), "{document}: {found}");
    }
    assert!(refusal(&identity_policy(good.clone()), PolicyUse::Resource).contains("must say Principal"));
    let mut trust = good.clone();
    trust["Principal"] = json!("*");
    assert!(refusal(&identity_policy(trust.clone()), PolicyUse::Trust).contains("must not say Resource"));
    for bad in [json!("me"), json!({}), json!({ "Nobody": "x" }), json!({ "AWS": "arn:aws:iam::111122223333:user/*" })]
    {
        trust["Principal"] = bad;
        refusal(&identity_policy(trust.clone()), PolicyUse::Resource);
    }
    let allow_all_but =
        json!({ "Effect": "Allow", "NotPrincipal": { "AWS": "111122223333" }, "Action": "s3:*", "Resource": "*" });
    assert!(
        refusal(&identity_policy(allow_all_but), PolicyUse::Resource).contains("NotPrincipal works with Deny only")
    );
}

#[test]
fn hostile_documents_are_refused_without_harm() {
    let twice = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{},"Condition":{}}}"#;
    let same_sid = r#"{"Statement":[{"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"},
                                    {"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    let deep = format!(r#"{{"Statement":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#"{{"Id":"{}"}}"#, "x".repeat(30_000));
    let blank = format!("{}{{}}", " ".repeat(4 << 20));
    for bad in ["", "null", "{", "\u{0}", twice, same_sid, &deep, &long, &blank] {
        assert!(Policy::parse(bad, PolicyUse::Identity).is_err(), "{:.60}", bad);
    }
}

fn any_statement() -> impl Strategy<Value = Value> {
    let effect = prop_oneof![Just("Allow"), Just("Deny")];
    let action = prop_oneof![Just("s3:GetObject"), Just("s3:*"), Just("*"), Just("s3:Put*"), Just("iam:*")];
    let resource =
        prop_oneof![Just("*"), Just("arn:aws:s3:::a/*"), Just("arn:aws:s3:::b/k"), Just("arn:aws:s3:::${x}/k")];
    let negated =
        prop_oneof![Just(("Action", "Resource")), Just(("NotAction", "Resource")), Just(("Action", "NotResource"))];
    (effect, action, resource, negated)
        .prop_map(|(effect, action, resource, (a, r))| json!({ "Effect": effect, a: action, r: resource }))
}

proptest! {
    #[test]
    fn order_never_matters_and_a_deny_that_applies_wins(
        statements in prop::collection::vec(any_statement(), 1..6), turn in 0usize..6, key in "[ab]/k",
    ) {
        let judge = |statements: &[Value]| {
            let policy = parse(&identity_policy(json!(statements)), PolicyUse::Identity);
            let request = Context::new().with("x", "b");
            verdict(&policy, &alice(), "s3:GetObject", &format!("arn:aws:s3:::{key}"), &request)
        };
        let mut turned = statements.clone();
        turned.rotate_left(turn % statements.len());
        let together = judge(&statements);
        prop_assert_eq!(together, judge(&turned));
        turned.reverse();
        prop_assert_eq!(together, judge(&turned));
        let each: Vec<_> = statements.iter().map(|one| judge(std::slice::from_ref(one))).collect();
        prop_assert_eq!(together == Verdict::Deny, each.contains(&Verdict::Deny));
        prop_assert_eq!(together == Verdict::Silent, each.iter().all(|one| *one == Verdict::Silent));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[{}\\[\\]\",:A-Za-z*$ ]{0,60}") {
        for purpose in [PolicyUse::Identity, PolicyUse::Resource, PolicyUse::Trust, PolicyUse::Session] {
            let _ = Policy::parse(&text, purpose);
        }
    }
}
