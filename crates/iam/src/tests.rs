use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogExt, MemoryCatalog};
use opentrail_identity::{
    AccountSpec, Directory, Document, Edit, KeyError, LoginProfile, Origin, PolicyUse, Registration, Rights, User,
    UserSpec, new_access_key, new_entity_id,
};
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::{SeededRandom, SystemRandom};

use crate::{Iam, OpenError};

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

/// What survives a process.
struct Disk {
    catalog: Arc<dyn Catalog>,
    keys: Arc<KeyRing>,
}

impl Disk {
    fn new() -> Self {
        let keys = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
        Self { catalog: Arc::new(MemoryCatalog::default()), keys }
    }

    async fn start(&self, users: Vec<UserSpec>) -> Result<(Arc<Directory>, Iam), OpenError> {
        let spec = AccountSpec { users, ..AccountSpec::new(account()) };
        let directory = Arc::new(Directory::new(vec![spec]).unwrap());
        let iam = Iam::open(Arc::clone(&self.catalog), Arc::clone(&directory), Arc::clone(&self.keys)).await?;
        Ok((directory, iam))
    }
}

fn alice() -> User {
    let random = SeededRandom::new(3);
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    let document = Document::parse(text, PolicyUse::Identity).unwrap();
    User {
        account: account(),
        name: "Alice".to_owned(),
        path: "/dev/".to_owned(),
        id: new_entity_id("AIDA", &random),
        created: NOW,
        tags: [("team".to_owned(), "blue".to_owned())].into(),
        rights: Rights { inline: [("s3".to_owned(), document)].into(), attached: vec!["arn".to_owned()] },
        groups: ["readers".to_owned()].into(),
        boundary: None,
        login: Some(LoginProfile::new("correct horse", true, NOW, &random)),
        access_keys: vec![new_access_key(NOW, &random)],
        origin: Origin::Api,
    }
}

#[tokio::test]
async fn identities_are_the_same_after_a_restart() {
    let disk = Disk::new();
    let alice = alice();
    let key = &alice.access_keys[0];
    let (directory, iam) = disk.start(Vec::new()).await.unwrap();
    assert_eq!(directory.find_key(&key.id, None, NOW).unwrap_err(), KeyError::UnknownKey);
    let alias = Edit::SetAlias(account(), Some("acme".to_owned()));
    iam.changing().await.commit(&[Edit::PutUser(Box::new(alice.clone())), alias]).await.unwrap();
    assert_eq!(directory.find_key(&key.id, None, NOW).unwrap().secret, key.secret.clone().unwrap());

    let (directory, iam) = disk.start(Vec::new()).await.unwrap();
    let found = directory.account(account()).unwrap();
    assert_eq!(**found.user("alice").unwrap(), alice);
    assert_eq!(found.alias.as_deref(), Some("acme"));
    iam.changing().await.commit(&[Edit::DeleteUser(account(), "alice".to_owned())]).await.unwrap();

    let (directory, _iam) = disk.start(Vec::new()).await.unwrap();
    assert!(directory.account(account()).unwrap().users.is_empty());
}

#[tokio::test]
async fn secrets_lie_sealed_and_a_lost_key_ring_is_told() {
    let mut disk = Disk::new();
    let (_, iam) = disk.start(Vec::new()).await.unwrap();
    let alice = alice();
    iam.changing().await.commit(&[Edit::PutUser(Box::new(alice.clone()))]).await.unwrap();
    let stored = disk.catalog.all::<serde_json::Value>("iam-users", "").await.unwrap();
    let text = stored[0].value.to_string();
    let secret = alice.access_keys[0].secret.clone().unwrap();
    assert!(!text.contains(secret.expose()) && !text.contains("correct horse"), "{text}");
    disk.keys = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
    let error = disk.start(Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("111122223333/alice cannot be used: an access key does not open"), "{error}");
}

#[tokio::test]
async fn a_user_that_the_configuration_defines_too_stops_the_start() {
    let disk = Disk::new();
    let (_, iam) = disk.start(Vec::new()).await.unwrap();
    iam.changing().await.commit(&[Edit::PutUser(Box::new(alice()))]).await.unwrap();
    let error = disk.start(vec![UserSpec::new("alice")]).await.unwrap_err();
    assert!(matches!(error, OpenError::Clashes(_)), "{error}");
}

#[tokio::test]
async fn last_uses_are_stored_and_go_with_their_keys() {
    let disk = Disk::new();
    let (directory, iam) = disk.start(Vec::new()).await.unwrap();
    let alice = alice();
    let key = alice.access_keys[0].id.clone();
    iam.changing().await.commit(&[Edit::PutUser(Box::new(alice))]).await.unwrap();
    let principal = directory.find_key(&key, None, NOW).unwrap().principal;
    directory.note_use(&principal, "s3", "eu-west-1", NOW);
    iam.store_uses().await.unwrap();

    let (directory, iam) = disk.start(Vec::new()).await.unwrap();
    assert_eq!(directory.key_use(&key).unwrap().service, "s3");
    iam.changing().await.commit(&[Edit::DeleteUser(account(), "alice".to_owned())]).await.unwrap();
    iam.store_uses().await.unwrap();
    assert!(disk.catalog.all::<serde_json::Value>("iam-key-uses", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn accounts_that_the_api_makes_are_there_after_a_restart_even_with_nothing_in_them() {
    let disk = Disk::new();
    let made: AccountId = "444455556666".parse().unwrap();
    let (directory, iam) = disk.start(Vec::new()).await.unwrap();
    assert!(directory.account(made).is_none());
    let registration = Registration { name: Some("Logs".to_owned()), ..Registration::default() };
    let edits = [Edit::Register(made, registration.clone())];
    // As another crate commits them: its documents and these in one transaction.
    let changing = iam.changing().await;
    disk.catalog.commit(changing.changes(&edits)).await.unwrap();
    changing.applied(&edits);
    for directory in [directory, disk.start(Vec::new()).await.unwrap().0] {
        assert_eq!(directory.account(made).unwrap().registration, registration);
    }
}
