use opentrail_keys::KeyRing;
use opentrail_runtime::{SeededRandom, SystemRandom};
use serde_json::{Value, json};

use std::time::Duration;

use super::*;
use crate::entity::{Document, Group, ManagedPolicy, PolicyVersion, Rights};
use crate::identities::Edit;
use crate::ids::{new_access_key, new_entity_id};
use crate::policy::{Policy, PolicyUse};
use crate::principal::PrincipalKind;
use crate::spec::{AccessKeySpec, PolicySpec, RoleSpec, UserSpec};
use crate::sts::GetSessionToken;

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

fn account(digits: &str) -> AccountSpec {
    AccountSpec::new(digits.parse().unwrap())
}

fn policy(statement: Value) -> PolicySpec {
    PolicySpec(json!({ "Version": "2012-10-17", "Statement": statement }).to_string())
}

fn resource_policy(statement: Value) -> Policy {
    Policy::parse(&policy(statement).0, PolicyUse::Resource).unwrap()
}

fn key(id: &str) -> AccessKeySpec {
    AccessKeySpec::new(id, Secret::new(format!("secret of {id}")))
}

fn accounts() -> Vec<AccountSpec> {
    let mut ours = account("111122223333");
    ours.root_access_keys = vec![key("AKIAROOT")];
    let mut alice = UserSpec::new("alice");
    alice.policies = vec![policy(json!({ "Effect": "Allow", "Action": "s3:Get*", "Resource": "*" }))];
    alice.tags.insert("team".to_owned(), "blue".to_owned());
    alice.access_keys = vec![key("AKIAALICE"), AccessKeySpec { active: false, ..key("AKIAOLD") }];
    alice.access_keys.push(AccessKeySpec { id: "GKgarage".to_owned(), secret: None, active: true });
    let mut bob = UserSpec::new("bob");
    bob.access_keys = vec![key("AKIABOB")];
    ours.users = vec![alice, bob];
    let mut theirs = account("444455556666");
    theirs.root_access_keys = vec![key("AKIATHEIRS")];
    vec![ours, theirs]
}

fn directory() -> Directory {
    let ring = KeyRing::ephemeral(Arc::new(SystemRandom));
    Directory::new(accounts()).unwrap().with_sealer(Arc::new(ring))
}

fn who(directory: &Directory, key: &str) -> Principal {
    directory.find_key(key, None, NOW).unwrap().principal
}

fn decide(directory: &Directory, key: &str, action: &str, policy: Option<&Policy>, owner: Option<&str>) -> Decision {
    let request = AccessRequest {
        action,
        resource: "arn:aws:s3:::b/k",
        context: &Context::new(),
        resource_policy: policy,
        resource_account: owner.map(|owner| owner.parse().unwrap()),
    };
    directory.authorize(&who(directory, key), &request)
}

#[test]
fn a_key_opens_what_it_is_for() {
    let directory = directory();
    let credential = directory.find_key("AKIAALICE", None, NOW).unwrap();
    assert_eq!(credential.secret.expose(), "secret of AKIAALICE");
    assert_eq!(credential.principal.arn().as_str(), "arn:aws:iam::111122223333:user/alice");
    let find = |key: &str, token: Option<&str>| directory.find_key(key, token, NOW).map(|_| ());
    assert_eq!(find("AKIANOBODY", None), Err(KeyError::UnknownKey));
    assert_eq!(find("AKIAOLD", None), Err(KeyError::Inactive));
    assert_eq!(find("GKgarage", None), Err(KeyError::UnknownKey), "a key without secret signs nothing");
    assert_eq!(find("ASIAANYTHING", None), Err(KeyError::TokenMissing));
    assert_eq!(find("AKIAALICE", Some("token")), Err(KeyError::TokenInvalid));
    assert_eq!(directory.identity_of_key("GKgarage").unwrap().user_identity()["userName"], "alice");
    assert_eq!(directory.identity_of_key("AKIANOBODY"), None);
}

#[test]
fn within_an_account_either_policy_suffices() {
    let directory = directory();
    let names_bob = resource_policy(json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Principal": { "AWS": "arn:aws:iam::111122223333:user/bob" } }));
    let names_account = resource_policy(json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Principal": { "AWS": "111122223333" } }));
    let no_identity_policy = Decision::ImplicitDeny { missing: PolicyKind::IdentityBased };
    let ours = Some("111122223333");
    assert_eq!(decide(&directory, "AKIAALICE", "s3:GetObject", None, None), Decision::Allowed);
    assert_eq!(decide(&directory, "AKIAALICE", "s3:PutObject", None, None), no_identity_policy);
    assert_eq!(decide(&directory, "AKIABOB", "s3:GetObject", Some(&names_bob), ours), Decision::Allowed);
    assert_eq!(decide(&directory, "AKIABOB", "s3:GetObject", Some(&names_account), ours), no_identity_policy);
    assert_eq!(decide(&directory, "AKIAROOT", "s3:GetObject", None, None), Decision::Allowed);
}

#[test]
fn across_accounts_both_must_allow() {
    let directory = directory();
    let names_us = resource_policy(json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Principal": { "AWS": "111122223333" } }));
    let theirs = Some("444455556666");
    let missing = |missing| Decision::ImplicitDeny { missing };
    let get = |key: &str, policy| decide(&directory, key, "s3:GetObject", policy, theirs);
    assert_eq!(get("AKIAALICE", Some(&names_us)), Decision::Allowed);
    assert_eq!(get("AKIAALICE", None), missing(PolicyKind::ResourceBased));
    assert_eq!(get("AKIABOB", Some(&names_us)), missing(PolicyKind::IdentityBased));
    assert_eq!(get("AKIAROOT", None), missing(PolicyKind::ResourceBased));
    assert_eq!(get("AKIAROOT", Some(&names_us)), Decision::Allowed);
}

#[test]
fn an_explicit_deny_holds_even_for_the_root() {
    let directory = directory();
    let deny = resource_policy(json!([
        { "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*" },
        { "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*", "Principal": "*" }
    ]));
    let denied = Decision::ExplicitDeny { by: PolicyKind::ResourceBased };
    assert_eq!(decide(&directory, "AKIAROOT", "s3:DeleteObject", Some(&deny), None), denied);
    assert_eq!(decide(&directory, "AKIAALICE", "s3:DeleteObject", Some(&deny), None), denied);
    assert_eq!(decide(&directory, "AKIAALICE", "s3:PutObject", Some(&deny), None), Decision::Allowed);
}

#[test]
fn the_caller_s_tags_come_from_the_directory() {
    let directory = directory();
    let blue = resource_policy(json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*",
        "Condition": { "StringEquals": { "aws:PrincipalTag/Team": "blue" } } }));
    assert_eq!(decide(&directory, "AKIAALICE", "s3:PutObject", Some(&blue), None), Decision::Allowed);
    let claims = Context::new().with("aws:PrincipalTag/team", "blue");
    let request = AccessRequest {
        action: "s3:PutObject",
        resource: "arn:aws:s3:::b/k",
        context: &claims,
        resource_policy: Some(&blue),
        resource_account: None,
    };
    assert!(!directory.authorize(&who(&directory, "AKIABOB"), &request).is_allowed());
}

#[test]
fn the_policy_of_an_endpoint_decides_by_itself_and_for_everybody() {
    let directory = directory();
    let judge = |policy: &Policy, key: Option<&str>| {
        let principal = key.map(|key| who(&directory, key));
        let context = Context::new();
        let request = AccessRequest {
            action: "s3:GetObject",
            resource: "arn:aws:s3:::b/k",
            context: &context,
            resource_policy: None,
            resource_account: Some("111122223333".parse().unwrap()),
        };
        directory.authorize_by_endpoint(policy, principal.as_ref(), &request)
    };
    let missing = Decision::ImplicitDeny { missing: PolicyKind::VpcEndpoint };
    let allow = |principal: Value, conditions: Value| {
        resource_policy(json!({ "Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": "*",
            "Condition": conditions }))
    };
    // Bob has no policy of his own, and the root no other: neither is asked for.
    let anybody = allow(json!("*"), json!({}));
    for key in [Some("AKIABOB"), Some("AKIATHEIRS"), None] {
        assert_eq!(judge(&anybody, key), Decision::Allowed, "{key:?}");
    }
    let account = allow(json!({ "AWS": "111122223333" }), json!({}));
    assert_eq!(judge(&account, Some("AKIABOB")), Decision::Allowed, "the account is all who are in it");
    assert_eq!((judge(&account, Some("AKIATHEIRS")), judge(&account, None)), (missing, missing));
    let ours = allow(json!("*"), json!({ "StringEquals": { "aws:PrincipalAccount": "111122223333" } }));
    assert_eq!(judge(&ours, Some("AKIAALICE")), Decision::Allowed);
    assert_eq!((judge(&ours, Some("AKIATHEIRS")), judge(&ours, None)), (missing, missing));
    let blue = allow(json!("*"), json!({ "StringEquals": { "aws:PrincipalTag/team": "blue" } }));
    assert_eq!((judge(&blue, Some("AKIAALICE")), judge(&blue, Some("AKIABOB"))), (Decision::Allowed, missing));
    let denied = resource_policy(json!([
        { "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Principal": "*", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*" },
    ]));
    let denied = judge(&denied, Some("AKIAROOT"));
    assert_eq!(denied, Decision::ExplicitDeny { by: PolicyKind::VpcEndpoint });
    let told = denied.message(&who(&directory, "AKIAROOT"), "s3:GetObject", "arn:aws:s3:::b/k", false);
    assert!(told.ends_with("with an explicit deny in a VPC endpoint policy"), "{told}");
}

#[test]
fn policies_can_ask_for_the_caller_s_organization() {
    #[derive(Debug)]
    struct OneMember;
    impl Memberships for OneMember {
        fn of(&self, account: AccountId) -> Option<Membership> {
            let (organization_id, path) = ("o-1".to_owned(), "o-1/r-1/ou-2/".to_owned());
            (account.to_string() == "111122223333").then_some(Membership { organization_id, path })
        }
    }
    let directory = directory().with_memberships(Arc::new(OneMember));
    let context = Context::new();
    let judge = |key: &str, operator: &str, condition: &str, value: &str| {
        let policy = resource_policy(json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
            "Condition": { operator: { condition: value } } }));
        let request = AccessRequest {
            action: "s3:GetObject",
            resource: "arn:aws:s3:::b/k",
            context: &context,
            resource_policy: Some(&policy),
            resource_account: None,
        };
        directory.authorize(&who(&directory, key), &request) == Decision::ExplicitDeny { by: PolicyKind::ResourceBased }
    };
    assert!(judge("AKIAROOT", "StringEquals", "aws:PrincipalOrgID", "o-1"));
    assert!(!judge("AKIAROOT", "StringEquals", "aws:PrincipalOrgID", "o-2"));
    assert!(judge("AKIAROOT", "ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-1/r-1/*"));
    assert!(!judge("AKIATHEIRS", "StringEquals", "aws:PrincipalOrgID", "o-1"), "in no organization");
    assert!(judge("AKIATHEIRS", "StringNotEquals", "aws:PrincipalOrgID", "o-1"));
}

#[test]
fn refusals_read_like_aws_s() {
    let directory = directory();
    let alice = who(&directory, "AKIAALICE");
    let trail = "arn:aws:cloudtrail:us-east-1:111122223333:trail/t";
    let say = |decision: Decision, with| decision.message(&alice, "cloudtrail:GetTrail", trail, with);
    assert_eq!(
        say(Decision::ImplicitDeny { missing: PolicyKind::IdentityBased }, false),
        "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: cloudtrail:GetTrail because no \
         identity-based policy allows the cloudtrail:GetTrail action"
    );
    assert_eq!(
        say(Decision::ExplicitDeny { by: PolicyKind::IdentityBased }, true),
        "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: cloudtrail:GetTrail on resource: \
         arn:aws:cloudtrail:us-east-1:111122223333:trail/t with an explicit deny in an identity-based policy"
    );
    assert!(say(Decision::ExplicitDeny { by: PolicyKind::Session }, true).ends_with("deny in a session policy"));
}

#[test]
fn every_problem_is_told_at_once_by_key() {
    let mut first = account("111122223333");
    first.alias = Some("Acme".to_owned());
    first.root_access_keys = vec![key("AKIA 1"), key("AKIA2")];
    let mut user = UserSpec::new("al ice");
    user.path = "dev".to_owned();
    user.policies = vec![PolicySpec("{}".to_owned())];
    user.access_keys = vec![AccessKeySpec::new("AKIA2", Secret::new(""))];
    first.users = vec![user, UserSpec::new("bob"), UserSpec::new("BOB")];
    let mut role = RoleSpec::new("r", "[]");
    role.max_session = Duration::from_secs(60);
    first.roles = vec![role];
    let problems = Directory::new(vec![first, account("111122223333")]).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "account[0].alias",
            "account[0].access_key[0].id",
            "account[0].user[0].name",
            "account[0].user[0].path",
            "account[0].user[0].policies[0]",
            "account[0].user[0].access_key[0].secret",
            "account[0].user[0].access_key[0].id",
            "account[0].user[2].name",
            "account[0].role[0].max_session",
            "account[0].role[0].trust_policy",
            "account[1].id",
        ]
    );
}

#[test]
fn a_session_token_opens_for_its_key_until_it_ends_or_its_user_goes() {
    let ring: Arc<dyn Sealer> = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
    let directory = Directory::new(accounts()).unwrap().with_sealer(ring.clone());
    let random = SeededRandom::new(1);
    let alice = who(&directory, "AKIAALICE");
    let made = directory.session_token(&alice, &GetSessionToken::default(), NOW, &random).unwrap();
    let token = Some(made.session_token.as_str());
    let found = directory.find_key(&made.access_key_id, token, NOW).unwrap();
    assert_eq!(found.secret, made.secret);
    assert_eq!(found.principal.user_identity()["userName"], "alice");
    assert!(matches!(found.principal.kind, PrincipalKind::UserSession { .. }));

    let last = made.expiration - Duration::from_millis(1);
    assert!(directory.find_key(&made.access_key_id, token, last).is_ok());
    let find =
        |directory: &Directory, key: &str, token: &str, now| directory.find_key(key, Some(token), now).map(|_| ());
    assert_eq!(
        find(&directory, &made.access_key_id, &made.session_token, made.expiration),
        Err(KeyError::TokenExpired)
    );
    assert_eq!(find(&directory, "ASIAOTHER", &made.session_token, NOW), Err(KeyError::TokenInvalid));
    for (index, _) in made.session_token.char_indices().step_by(7) {
        let mut altered = made.session_token.clone().into_bytes();
        altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(find(&directory, &made.access_key_id, &altered, NOW), Err(KeyError::TokenInvalid), "{index}");
    }

    let mut without_alice = accounts();
    without_alice[0].users.remove(0);
    let restarted = Directory::new(accounts()).unwrap().with_sealer(ring.clone());
    assert!(find(&restarted, &made.access_key_id, &made.session_token, NOW).is_ok());
    let restarted = Directory::new(without_alice).unwrap().with_sealer(ring);
    assert_eq!(find(&restarted, &made.access_key_id, &made.session_token, NOW), Err(KeyError::TokenInvalid));
    assert_eq!(
        restarted.authorize(
            &found.principal,
            &AccessRequest {
                action: "s3:GetObject",
                resource: "*",
                context: &Context::new(),
                resource_policy: None,
                resource_account: None,
            }
        ),
        Decision::ImplicitDeny { missing: PolicyKind::IdentityBased }
    );
}

#[test]
fn under_a_key_policy_nobody_is_allowed_by_their_own_policies_alone() {
    let directory = directory();
    let ask = |key: &str, policy: Value, owner: &str| {
        let policy = resource_policy(policy);
        let request = AccessRequest {
            action: "s3:GetObject",
            resource: "arn:aws:s3:::b/k",
            context: &Context::new(),
            resource_policy: Some(&policy),
            resource_account: Some(owner.parse().unwrap()),
        };
        directory.authorize_under_policy(&who(&directory, key), &request)
    };
    let allow = |principal: &str| json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "s3:*", "Resource": "*" });
    let (ours, root) = ("111122223333", "arn:aws:iam::111122223333:root");
    let (alice, bob) = ("arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob");
    let missing = |kind| Decision::ImplicitDeny { missing: kind };
    // Named by the account, those may whose own policies allow it; the root by itself.
    assert_eq!(ask("AKIAALICE", allow(root), ours), Decision::Allowed);
    assert_eq!(ask("AKIABOB", allow(root), ours), missing(PolicyKind::IdentityBased));
    assert_eq!(ask("AKIAROOT", allow(root), ours), Decision::Allowed);
    // Named themselves, they need no policy of their own, and everybody else is out, the root too.
    assert_eq!(ask("AKIABOB", allow(bob), ours), Decision::Allowed);
    for key in ["AKIAALICE", "AKIAROOT"] {
        assert_eq!(ask(key, allow(bob), ours), missing(PolicyKind::ResourceBased), "{key}");
    }
    // Across accounts both are needed.
    assert_eq!(ask("AKIAALICE", allow(alice), "444455556666"), Decision::Allowed);
    assert_eq!(ask("AKIABOB", allow(bob), "444455556666"), missing(PolicyKind::IdentityBased));
    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*" });
    assert_eq!(
        ask("AKIAROOT", json!([allow(root), deny]), ours),
        Decision::ExplicitDeny { by: PolicyKind::ResourceBased }
    );
}

/// A user as the API makes one, with a key.
fn made(name: &str) -> crate::User {
    let random = SeededRandom::new(7);
    crate::User {
        account: "111122223333".parse().unwrap(),
        name: name.to_owned(),
        path: "/".to_owned(),
        id: new_entity_id("AIDA", &random),
        created: NOW,
        tags: Default::default(),
        rights: Rights::default(),
        groups: Default::default(),
        boundary: None,
        login: None,
        access_keys: vec![new_access_key(NOW, &random)],
        origin: crate::Origin::Api,
    }
}

fn document(statement: Value) -> Document {
    Document::parse(&policy(statement).0, PolicyUse::Identity).unwrap()
}

fn managed(name: &str, statement: Value) -> ManagedPolicy {
    ManagedPolicy {
        account: Some("111122223333".parse().unwrap()),
        name: name.to_owned(),
        path: "/".to_owned(),
        id: "ANPA".to_owned(),
        created: NOW,
        updated: NOW,
        description: None,
        tags: Default::default(),
        versions: [(1, PolicyVersion { document: document(statement), created: NOW })].into(),
        default_version: 1,
        latest_version: 1,
    }
}

#[test]
fn changes_are_seen_at_once_and_whole() {
    let directory = directory();
    let carol = made("Carol");
    let key = carol.access_keys[0].id.clone();
    directory.apply(&[Edit::PutUser(Box::new(carol.clone()))]);
    let before = directory.identities();
    assert_eq!(who(&directory, &key).arn().as_str(), "arn:aws:iam::111122223333:user/Carol");
    assert!(!decide(&directory, &key, "s3:GetObject", None, None).is_allowed());

    let all = document(json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }));
    let mut changed = carol.clone();
    changed.rights.inline.insert("all".to_owned(), all);
    directory.apply(&[Edit::PutUser(Box::new(changed))]);
    assert!(decide(&directory, &key, "s3:GetObject", None, None).is_allowed());
    assert!(before.account(carol.account).unwrap().user("carol").unwrap().rights.inline.is_empty());

    directory.apply(&[Edit::DeleteUser(carol.account, "CAROL".to_owned())]);
    assert_eq!(directory.find_key(&key, None, NOW).unwrap_err(), KeyError::UnknownKey);
}

#[test]
fn rights_come_from_groups_and_managed_policies_too() {
    let directory = directory();
    let mut carol = made("carol");
    let key = carol.access_keys[0].id.clone();
    carol.groups.insert("readers".to_owned());
    carol.rights.attached.push("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned());
    let readers = Group {
        account: carol.account,
        name: "Readers".to_owned(),
        path: "/".to_owned(),
        id: "AGPA".to_owned(),
        created: NOW,
        rights: Rights { attached: vec!["arn:aws:iam::111122223333:policy/Own".to_owned()], ..Rights::default() },
    };
    let own = managed("Own", json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*" }));
    let account = carol.account;
    directory.apply(&[
        Edit::PutUser(Box::new(carol)),
        Edit::PutGroup(Box::new(readers)),
        Edit::PutPolicy(account, Box::new(own)),
    ]);
    let may = |action| decide(&directory, &key, action, None, None).is_allowed();
    assert!(may("s3:GetObject") && may("kms:Encrypt") && !may("s3:PutObject"));
}

/// IAM User Guide, "Permissions boundaries for IAM entities".
#[test]
fn a_boundary_bounds_what_policies_give_but_not_what_a_resource_gives_a_user() {
    let directory = directory();
    let mut carol = made("carol");
    let (key, account) = (carol.access_keys[0].id.clone(), carol.account);
    carol.rights.attached.push("arn:aws:iam::aws:policy/AdministratorAccess".to_owned());
    carol.boundary = Some("arn:aws:iam::111122223333:policy/Bound".to_owned());
    let bound = managed(
        "Bound",
        json!([
            { "Effect": "Allow", "Action": "s3:Get*", "Resource": "*" },
            { "Effect": "Deny", "Action": "s3:GetBucket*", "Resource": "*" },
        ]),
    );
    directory.apply(&[Edit::PutUser(Box::new(carol)), Edit::PutPolicy(account, Box::new(bound))]);
    let by_name = resource_policy(json!({
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:user/carol" },
        "Action": "s3:*", "Resource": "*",
    }));
    let bounded = Decision::ImplicitDeny { missing: PolicyKind::PermissionsBoundary };
    let denied = Decision::ExplicitDeny { by: PolicyKind::PermissionsBoundary };
    let decision = |action, policy, owner| decide(&directory, &key, action, policy, owner);
    assert_eq!(decision("s3:GetObject", None, None), Decision::Allowed);
    assert_eq!(decision("s3:PutObject", None, None), bounded);
    assert_eq!(decision("s3:GetBucketAcl", None, None), denied);
    assert_eq!(decision("s3:PutObject", Some(&by_name), None), Decision::Allowed);
    assert_eq!(decision("s3:PutObject", Some(&by_name), Some("444455556666")), bounded);
    let principal = who(&directory, &key);
    assert!(
        bounded
            .message(&principal, "s3:PutObject", "*", false)
            .ends_with("because no permissions boundary allows the s3:PutObject action")
    );
    directory.apply(&[Edit::DeletePolicy(account, "bound".to_owned())]);
    assert_eq!(decide(&directory, &key, "s3:GetObject", None, None), bounded, "a lost boundary lets nothing through");
}

#[test]
fn what_the_configuration_defines_cannot_come_back_from_the_api() {
    let directory = directory();
    let problems = directory.restore(&[Edit::PutUser(Box::new(made("Alice"))), Edit::PutUser(Box::new(made("dora")))]);
    let problems: Vec<String> = problems.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("account 111122223333: the configuration defines user \"Alice\""), "{problems:?}");
    assert!(directory.account("111122223333".parse().unwrap()).unwrap().user("dora").is_none());
}

#[test]
fn the_last_use_of_a_long_term_key_is_known() {
    let directory = directory();
    let alice = who(&directory, "AKIAALICE");
    assert_eq!(directory.key_use("AKIAALICE"), None);
    directory.note_use(&alice, "s3", "eu-west-1", NOW);
    let later = NOW + Duration::from_secs(1);
    directory.note_use(&alice, "iam", "us-east-1", later);
    let used = directory.key_use("AKIAALICE").unwrap();
    assert_eq!((used.when, used.service.as_str(), used.region.as_str()), (later, "iam", "us-east-1"));
}

#[test]
fn a_closed_account_can_do_nothing_and_nobody_gets_into_it() {
    let mut specs = accounts();
    let trust = policy(json!({ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }));
    let mut role = RoleSpec::new("Audit", trust.0);
    role.policies = vec![policy(json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }))];
    specs[1].roles.push(role);
    let mut alice = UserSpec::new("alice");
    alice.policies = vec![policy(json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }))];
    alice.access_keys = vec![key("AKIAADMIN")];
    specs[0].users[0] = alice;
    let ring = KeyRing::ephemeral(Arc::new(SystemRandom));
    let directory = Directory::new(specs).unwrap().with_sealer(Arc::new(ring));
    let theirs: AccountId = "444455556666".parse().unwrap();
    let random = SeededRandom::new(1);
    let assume = || {
        let input = crate::AssumeRole {
            role_arn: "arn:aws:iam::444455556666:role/Audit",
            session_name: "alice",
            ..crate::AssumeRole::default()
        };
        directory.assume_role(&who(&directory, "AKIAADMIN"), &input, &Context::new(), NOW, &random)
    };
    let session = assume().unwrap().credentials;
    let before = who(&directory, "AKIATHEIRS");
    assert!(decide(&directory, "AKIATHEIRS", "s3:GetObject", None, None).is_allowed());

    let closed = crate::Registration { closed: Some(NOW), ..crate::Registration::default() };
    directory.apply(&[Edit::Register(theirs, closed)]);
    assert_eq!(directory.find_key("AKIATHEIRS", None, NOW).unwrap_err(), KeyError::Inactive);
    let token = Some(session.session_token.as_str());
    assert_eq!(directory.find_key(&session.access_key_id, token, NOW).unwrap_err(), KeyError::TokenInvalid);
    assert!(assume().unwrap_err().to_string().contains("not authorized to perform: sts:AssumeRole"));
    // Who was let in before may nothing any more, even the root.
    let request = AccessRequest {
        action: "s3:GetObject",
        resource: "arn:aws:s3:::b/k",
        context: &Context::new(),
        resource_policy: None,
        resource_account: None,
    };
    assert!(!directory.authorize(&before, &request).is_allowed());
    assert_eq!(who(&directory, "AKIAADMIN").account.to_string(), "111122223333");
}
