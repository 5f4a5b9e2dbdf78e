use std::sync::Arc;

use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, PolicySpec, Secret, UserSpec};
use opentrail_model::Timestamp;
use serde_json::{Value, json};

use super::{Operation, OwnAccountOnly, SigmaApi, api};
use crate::Sigma;
use crate::store::tests::{World, account, run};
use crate::tests::rule;

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

struct Client {
    world: World,
    sigma: Arc<Sigma>,
    api: SigmaApi,
    directory: Arc<Directory>,
}

impl Client {
    async fn new() -> Self {
        let world = World::new();
        let sigma = world.open().await;
        let mut ours = AccountSpec::new(account());
        ours.root_access_keys = vec![AccessKeySpec::new("AKIAROOT", Secret::new("s".to_owned()))];
        let mut alice = UserSpec::new("alice");
        alice.access_keys = vec![AccessKeySpec::new("AKIAALICE", Secret::new("s".to_owned()))];
        let statement = json!({ "Effect": "Allow", "Action": "opentrail:List*", "Resource": "*" });
        alice.policies = vec![PolicySpec(json!({ "Version": "2012-10-17", "Statement": statement }).to_string())];
        ours.users = vec![alice];
        let directory = Arc::new(Directory::new(vec![ours]).unwrap());
        let api =
            SigmaApi::new(Arc::clone(&sigma), Arc::clone(&directory), Arc::new(OwnAccountOnly), world.clock.clone());
        Self { world, sigma, api, directory }
    }

    async fn call(&self, key: &str, operation: Operation, input: Value) -> Result<Value, (String, u16)> {
        let call = Call {
            principal: self.directory.find_key(key, None, NOW).unwrap().principal,
            region: "eu-west-1".parse().unwrap(),
            request_id: "id".to_owned(),
            source_ip: "192.0.2.1".parse().unwrap(),
            secure_transport: true,
            user_agent: None,
        };
        let reply = api(&self.api, &call, operation, input.to_string().as_bytes()).await;
        reply.output.map_err(|error| (error.name.to_string(), error.status.as_u16()))
    }

    async fn root(&self, operation: Operation, input: Value) -> Value {
        self.call("AKIAROOT", operation, input).await.unwrap()
    }
}

fn files(text: &str) -> Value {
    json!({ "Files": [{ "Name": "f.yml", "Text": text }] })
}

fn two_rules() -> String {
    let one = rule("one", "s: {eventName: CreateUser}\ncondition: s");
    format!("{one}level: high\ntags: [attack.t1136]\n---\n{}", rule("two", "s: {eventName: Other}\ncondition: s"))
}

#[tokio::test]
async fn rules_are_loaded_listed_and_removed() {
    let client = Client::new().await;
    let windows = "title: w\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n";
    let loaded = client.root(Operation::LoadSigmaRules, files(&format!("{}---\n{windows}", two_rules()))).await;
    assert_eq!(loaded["Loaded"][0], json!({ "Id": "one", "Title": "one", "Level": "high", "Tags": ["attack.t1136"] }));
    assert_eq!(
        (loaded["Refused"][0]["File"].as_str(), loaded["Refused"][0]["Rule"].as_str()),
        (Some("f.yml"), Some("w"))
    );
    assert!(loaded["Refused"][0]["Reason"].as_str().unwrap().contains("product windows"));
    let page = client.root(Operation::ListSigmaRules, json!({ "MaxResults": 1, "IncludeText": true })).await;
    assert_eq!((page["Rules"][0]["Id"].as_str(), page["NextToken"].as_str()), (Some("one"), Some("one")));
    assert!(page["Rules"][0]["Text"].as_str().unwrap().contains("CreateUser"));
    assert_eq!(page["Rules"][0]["LoadedBy"], "arn:aws:iam::111122223333:root");
    let page = client.root(Operation::ListSigmaRules, json!({ "NextToken": "one" })).await;
    assert_eq!((page["Rules"][0]["Id"].as_str(), &page["NextToken"]), (Some("two"), &Value::Null));
    let removed = client.root(Operation::RemoveSigmaRules, json!({ "Ids": ["one", "three"] })).await;
    assert_eq!((&removed["Removed"], &removed["NotFound"]), (&json!(["one"]), &json!(["three"])));
}

#[tokio::test]
async fn findings_are_listed() {
    let client = Client::new().await;
    client.root(Operation::LoadSigmaRules, files(&two_rules())).await;
    client.world.append("CreateUser", "e1", NOW).await;
    client.world.append("Other", "e2", NOW).await;
    run(&client.sigma, &client.world).await;
    let found = client.root(Operation::ListFindings, json!({ "Level": "high", "Since": "2026-01-01T00:00:00Z" })).await;
    assert_eq!(found["Findings"].as_array().unwrap().len(), 1);
    let finding = &found["Findings"][0];
    assert_eq!((&finding["EventId"], &finding["Rule"]["Id"]), (&json!("e1"), &json!("one")));
    assert_eq!((&finding["Record"]["eventName"], &finding["Account"]), (&json!("CreateUser"), &json!("111122223333")));
    let first = client.root(Operation::ListFindings, json!({ "MaxResults": 1 })).await;
    let next = client.root(Operation::ListFindings, json!({ "MaxResults": 1, "NextToken": first["NextToken"] })).await;
    assert_eq!((&first["Findings"][0]["EventId"], &next["Findings"][0]["EventId"]), (&json!("e2"), &json!("e1")));
    assert_eq!(next["NextToken"], Value::Null);
    assert!(
        client.root(Operation::ListFindings, json!({ "Tag": "attack.t9999" })).await["Findings"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn who_may_not_is_denied() {
    let client = Client::new().await;
    let denied = Err(("AccessDeniedException".to_owned(), 403));
    assert_eq!(client.call("AKIAALICE", Operation::LoadSigmaRules, files(&two_rules())).await, denied);
    assert_eq!(client.call("AKIAALICE", Operation::RemoveSigmaRules, json!({ "Ids": ["one"] })).await, denied);
    assert!(client.call("AKIAALICE", Operation::ListSigmaRules, json!({})).await.is_ok());
    assert_eq!(client.call("AKIAROOT", Operation::ListFindings, json!({ "Account": "444455556666" })).await, denied);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let client = Client::new().await;
    for (operation, input) in [
        (Operation::LoadSigmaRules, json!({})),
        (Operation::LoadSigmaRules, json!({ "Files": [] })),
        (Operation::ListSigmaRules, json!({ "MaxResults": 0 })),
        (Operation::RemoveSigmaRules, json!({ "Ids": [] })),
        (Operation::ListFindings, json!({ "Level": "hot" })),
        (Operation::ListFindings, json!({ "Since": "yesterday" })),
        (Operation::ListFindings, json!({ "NextToken": "x" })),
        (Operation::ListFindings, json!({ "Account": "1" })),
        (Operation::ListFindings, json!({ "Nosuch": 1 })),
    ] {
        let (name, status) = client.call("AKIAROOT", operation, input.clone()).await.unwrap_err();
        assert_eq!((name.as_str(), status), ("ValidationException", 400), "{operation:?} {input}");
    }
}

#[tokio::test]
async fn what_is_still_needed_is_a_conflict() {
    let client = Client::new().await;
    let text =
        format!("{}---\ntitle: c\ncorrelation: {{type: temporal, rules: [one, two], timespan: 1m}}\n", two_rules());
    client.root(Operation::LoadSigmaRules, files(&text)).await;
    let conflict = client.call("AKIAROOT", Operation::RemoveSigmaRules, json!({ "Ids": ["one"] })).await;
    assert_eq!(conflict, Err(("ConflictException".to_owned(), 409)));
}

#[test]
fn each_operation_has_its_path() {
    for operation in Operation::ALL {
        assert_eq!(Operation::at(operation.path()), Some(operation));
    }
    assert_eq!(Operation::at("/v1/sigma"), None);
}
