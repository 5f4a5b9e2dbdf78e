use std::time::Duration;

use super::*;
use crate::Directory;

fn read(text: &str, directory: &Path) -> Result<Vec<AccountSpec>, Vec<IdentityError>> {
    let table: Table = text.parse().unwrap();
    accounts_from_toml(&table["account"], directory)
}

#[test]
fn an_account_reads_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#;
    std::fs::write(dir.path().join("trust.json"), trust).unwrap();
    let accounts = read(
        r#"
        [[account]]
        id = 111122223333
        alias = "acme"
        [[account.access_key]]
        id = "AKIAROOT"
        secret = "root secret"
        [[account.user]]
        name = "alice"
        path = "/dev/"
        tags = { team = "blue" }
        policies = [
            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}',
            { Version = "2012-10-17", Statement = [{ Effect = "Deny", Action = "s3:Delete*", Resource = "*" }] },
        ]
        [[account.user.access_key]]
        id = "GKgarage"
        [[account.user.access_key]]
        id = "AKIAOLD"
        secret = "old"
        active = false
        [[account.role]]
        name = "Audit"
        max_session = "2h"
        trust_policy = { file = "trust.json" }
        "#,
        dir.path(),
    )
    .unwrap();
    let [account] = &accounts[..] else { panic!("{accounts:?}") };
    assert_eq!(account.alias.as_deref(), Some("acme"));
    assert_eq!(account.root_access_keys, [AccessKeySpec::new("AKIAROOT", Secret::new("root secret"))]);
    let user = &account.users[0];
    assert_eq!((user.path.as_str(), user.tags["team"].as_str(), user.policies.len()), ("/dev/", "blue", 2));
    assert_eq!(user.access_keys[0].secret, None);
    assert!(!user.access_keys[1].active);
    assert_eq!(account.roles[0].trust_policy, PolicySpec(trust.to_owned()));
    assert_eq!(account.roles[0].max_session, Duration::from_secs(7200));
    let directory = Directory::new(accounts).unwrap();
    let account = directory.account("111122223333".parse().unwrap()).unwrap();
    assert_eq!(account.user("Alice").unwrap().arn().as_str(), "arn:aws:iam::111122223333:user/dev/alice");
    assert!(directory.role("arn:aws:iam::111122223333:role/Audit").is_some());
}

#[test]
fn every_wrong_shape_is_told_at_once_by_key() {
    let problems = read(
        r#"
        [[account]]
        id = "1"
        colour = "red"
        [[account.user]]
        path = 7
        policies = [7, { file = "absent.json" }]
        [[account.user.access_key]]
        secret = "s"
        active = "yes"
        [[account.role]]
        name = "r"
        max_session = "long"
        tags = { a = 1 }
        "#,
        Path::new("/nonexistent"),
    )
    .unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "account[0].id",
            "account[0].user[0].name",
            "account[0].user[0].path",
            "account[0].user[0].policies[0]",
            "account[0].user[0].policies[1]",
            "account[0].user[0].access_key[0].id",
            "account[0].user[0].access_key[0].active",
            "account[0].role[0].trust_policy",
            "account[0].role[0].tags.a",
            "account[0].role[0].max_session",
            "account[0].colour",
        ]
    );
    assert!(problems[4].to_string().contains("absent.json"), "{}", problems[4]);
}

#[test]
fn a_secret_does_not_show_in_a_problem() {
    let problems =
        read("[[account]]\nid = \"111122223333\"\n[[account.access_key]]\nid = 1\nsecret = \"hush\"", Path::new("."));
    assert!(!format!("{:?}", problems.unwrap_err()).contains("hush"));
}
