use std::time::Duration;

use opentrail_model::Region;
use serde_json::json;
use uuid::Uuid;

use super::{id, store, until};
use crate::support::{ACCOUNT, Api, OTHER_ACCOUNT, allow};

#[tokio::test]
async fn a_statement_is_handed_on_when_it_can_be_run() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let statement = format!("SELECT 3 FROM {}", id(&arn));
    for (named, prompt) in [
        (arn.as_str(), "SELECT 3 FROM HERE"),
        (id(&arn), "SELECT 3 FROM HERE"),
        // The second answer counts, once the first is found not to do.
        (id(&arn), "no SQL then SELECT 3 FROM HERE"),
        (id(&arn), "SELECT nonsense FROM HERE then SELECT 3 FROM HERE"),
    ] {
        let generated = root.ok("GenerateQuery", json!({ "EventDataStores": [named], "Prompt": prompt })).await;
        assert_eq!(generated["QueryStatement"], statement.as_str(), "{prompt}");
        assert_eq!(generated["EventDataStoreOwnerAccountId"], ACCOUNT);
        let alias = generated["QueryAlias"].as_str().unwrap().strip_prefix("AWSCloudTrail-").unwrap();
        assert!(Uuid::try_parse(alias).is_ok());
    }
}

#[tokio::test]
async fn an_alias_runs_its_statement_and_the_question_is_remembered_for_seven_days() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let prompt = "SELECT 3 FROM HERE";
    let generated = root.ok("GenerateQuery", json!({ "EventDataStores": [arn], "Prompt": prompt })).await;
    let started = root.ok("StartQuery", json!({ "QueryAlias": generated["QueryAlias"] })).await;
    let described = until(&root, started["QueryId"].as_str().unwrap(), "FINISHED").await;
    assert_eq!((&described["Prompt"], &described["QueryString"]), (&json!(prompt), &generated["QueryStatement"]));

    let with_parameters = json!({ "QueryAlias": generated["QueryAlias"], "QueryParameters": ["a"] });
    root.refused("StartQuery", with_parameters, "InvalidParameterException", "0 question marks").await;
    let elsewhere = json!({ "QueryAlias": generated["QueryAlias"] });
    let other = api.caller("other-root", None);
    other.refused("StartQuery", elsewhere.clone(), "InvalidParameterException", "no query alias").await;
    api.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    root.ok("StartQuery", elsewhere.clone()).await;
    api.clock.advance(Duration::from_secs(120));
    let alias = generated["QueryAlias"].as_str().unwrap();
    let gone = async {
        let (account, region) = (ACCOUNT.parse().unwrap(), Region::us_east_1());
        while api.services.queries.generated(account, &region, alias).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    root.refused("StartQuery", elsewhere, "InvalidParameterException", "no query alias").await;
}

#[tokio::test]
async fn a_statement_that_cannot_be_run_or_reads_something_else_is_not_handed_on() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let nobody = Uuid::from_u128(7);
    for (prompt, message) in [
        ("refuse", "That is no question."),
        ("no SQL", "SELECT … FROM was expected"),
        ("no SQL then neither", "SELECT … FROM was expected"),
        ("SELECT nonsense FROM HERE", "column 'nonsense' cannot be resolved"),
        (&format!("SELECT 1 FROM {nobody}"), "and nothing else"),
        (&format!("SELECT 1 FROM HERE, {nobody}"), "and nothing else"),
        (&format!("SELECT 1 FROM HERE, {nobody} then SELECT 1 FROM {nobody}"), "and nothing else"),
        ("no SQL then refuse", "That is no question."),
        ("fail", "does not answer"),
    ] {
        let asked = json!({ "EventDataStores": [arn], "Prompt": prompt });
        root.refused("GenerateQuery", asked, "GenerateResponseException", message).await;
    }
}

#[tokio::test]
async fn what_generate_query_does_not_take_is_refused_in_its_own_words() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let nobody = Uuid::from_u128(7);
    for (stores, prompt, error, message) in [
        (json!([]), "abc", "InvalidParameterException", "eventDataStores"),
        (json!([arn, arn]), "abc", "InvalidParameterException", "eventDataStores"),
        (json!([arn]), "ab", "InvalidParameterException", "prompt"),
        (json!([arn]), "deleted caf\u{e9}s", "InvalidParameterException", "prompt"),
        (json!(["?!?"]), "abc", "EventDataStoreARNInvalidException", "eventDataStores"),
        (json!(["main"]), "abc", "EventDataStoreARNInvalidException", "main"),
        (json!([nobody]), "abc", "EventDataStoreNotFoundException", &nobody.to_string()),
    ] {
        let asked = json!({ "EventDataStores": stores, "Prompt": prompt });
        root.refused("GenerateQuery", asked, error, message).await;
    }
    root.ok("DeleteEventDataStore", json!({ "EventDataStore": arn })).await;
    let asked = json!({ "EventDataStores": [arn], "Prompt": "SELECT 1 FROM HERE" });
    root.refused("GenerateQuery", asked, "InactiveEventDataStoreException", "pending deletion").await;
}

#[tokio::test]
async fn only_stores_of_cloudtrail_events_are_asked() {
    let api = Api::new().await;
    let root = api.root();
    let made = json!({
        "Name": "audit", "MultiRegionEnabled": false,
        "AdvancedEventSelectors": [{ "FieldSelectors": [{ "Field": "eventCategory", "Equals": ["ActivityAuditLog"] }] }],
    });
    let made = root.ok("CreateEventDataStore", made).await;
    let asked = json!({ "EventDataStores": [made["EventDataStoreArn"]], "Prompt": "SELECT 1 FROM HERE" });
    root.refused("GenerateQuery", asked, "GenerateResponseException", "no CloudTrail events").await;
}

#[tokio::test]
async fn whoever_asks_must_be_allowed_to() {
    let to = |action: &str| allow(&[action], "*", json!({}));
    let api =
        Api::with_users(vec![("asker", to("cloudtrail:GenerateQuery")), ("reader", to("cloudtrail:StartQuery"))]).await;
    let arn = store(&api.root()).await;
    let asked = json!({ "EventDataStores": [arn], "Prompt": "SELECT 1 FROM HERE" });
    api.caller("asker", None).ok("GenerateQuery", asked.clone()).await;
    let reader = api.caller("reader", None);
    reader.refused("GenerateQuery", asked.clone(), "AccessDeniedException", "cloudtrail:GenerateQuery").await;

    // Another account needs the store's policy, and gets the owner's account back.
    let other = api.caller("other-root", None);
    other.refused("GenerateQuery", asked.clone(), "AccessDeniedException", "cloudtrail:GenerateQuery").await;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": OTHER_ACCOUNT }, "Resource": arn,
            "Action": ["cloudtrail:GenerateQuery", "cloudtrail:StartQuery"],
        }],
    });
    let root = api.root();
    root.ok("PutResourcePolicy", json!({ "ResourceArn": arn, "ResourcePolicy": policy.to_string() })).await;
    let generated = other.ok("GenerateQuery", asked).await;
    assert_eq!(generated["EventDataStoreOwnerAccountId"], ACCOUNT);
}
