use std::path::Path;

use super::*;

fn session(source_identity: Option<&str>) -> Option<SessionInfo> {
    Some(SessionInfo {
        issued: "2026-01-02T03:00:00.250Z".parse().unwrap(),
        expires: "2026-01-02T04:00:00Z".parse().unwrap(),
        mfa: false,
        source_identity: source_identity.map(str::to_owned),
        policy: None,
    })
}

fn principal(kind: PrincipalKind, session: Option<SessionInfo>) -> Principal {
    let account = "111122223333".parse().unwrap();
    Principal { account, account_alias: None, kind, access_key_id: "AKIAEXAMPLE".to_owned(), session }
}

fn user(session: Option<SessionInfo>) -> Principal {
    let (name, path, id) = ("alice".to_owned(), "/dev/".to_owned(), "AIDAEXAMPLE".to_owned());
    let kind = match session {
        None => PrincipalKind::User { name, path, id },
        Some(_) => PrincipalKind::UserSession { name, path, id },
    };
    principal(kind, session)
}

fn assumed_role(source_identity: Option<&str>) -> Principal {
    let kind = PrincipalKind::AssumedRole {
        role_name: "Audit".to_owned(),
        role_path: "/ops/".to_owned(),
        role_id: "AROAEXAMPLE".to_owned(),
        session_name: "bob".to_owned(),
    };
    principal(kind, session(source_identity))
}

#[test]
fn root_is_its_account() {
    let mut root = principal(PrincipalKind::Root, None);
    assert_eq!(root.user_id(), "111122223333");
    assert_eq!(
        root.user_identity().to_string(),
        r#"{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE"}"#
    );
    root.account_alias = Some("acme".to_owned());
    assert_eq!(root.user_identity()["userName"], "acme");
}

#[test]
fn a_user_has_its_path_in_the_arn_and_its_session_in_the_context() {
    assert_eq!(
        user(None).user_identity().to_string(),
        r#"{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::111122223333:user/dev/alice","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE","userName":"alice"}"#
    );
    assert_eq!(
        user(session(None)).user_identity()["sessionContext"].to_string(),
        r#"{"attributes":{"creationDate":"2026-01-02T03:00:00Z","mfaAuthenticated":"false"}}"#
    );
}

#[test]
fn a_role_session_names_its_role_as_issuer() {
    let assumed = assumed_role(Some("carol"));
    assert_eq!(assumed.user_id(), "AROAEXAMPLE:bob");
    assert_eq!(
        assumed.user_identity().to_string(),
        concat!(
            r#"{"type":"AssumedRole","principalId":"AROAEXAMPLE:bob","#,
            r#""arn":"arn:aws:sts::111122223333:assumed-role/Audit/bob","accountId":"111122223333","#,
            r#""accessKeyId":"AKIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","#,
            r#""principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/ops/Audit","#,
            r#""accountId":"111122223333","userName":"Audit"},"attributes":{"#,
            r#""creationDate":"2026-01-02T03:00:00Z","mfaAuthenticated":"false"},"sourceIdentity":"carol"}}"#
        )
    );
}

/// The keys of `value` and of all below, in order, as paths. Members that are `{}` are passed over: AWS writes or omits
/// an issuer that says nothing, from record to record.
fn key_order(value: &Value, place: &str, into: &mut Vec<String>) {
    if let Value::Object(members) = value {
        for (key, value) in members.iter().filter(|(_, value)| **value != json!({})) {
            into.push(format!("{place}/{key}"));
            key_order(value, &format!("{place}/{key}"), into);
        }
    }
}

#[test]
fn members_stand_as_in_real_records() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no real records at {}", folder.display());
        return;
    };
    let lines = files.flatten().filter(|file| file.path().extension().is_some_and(|e| e == "ndjson"));
    let lines: String = lines.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
    let orders: Vec<Vec<String>> = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|record| {
            let mut order = Vec::new();
            key_order(&record["userIdentity"], "", &mut order);
            order
        })
        .collect();
    // Some publishers sort the members; the records of ours must stand as at least one published one.
    for ours in [user(None), user(session(None)), assumed_role(None)] {
        let mut order = Vec::new();
        key_order(&ours.user_identity(), "", &mut order);
        assert!(orders.contains(&order), "{order:?}");
    }
}
