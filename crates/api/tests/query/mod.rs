mod generate;

use std::time::Duration;

use opentrail_trails::BucketError;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ACCOUNT, Api, Caller, OTHER_ACCOUNT, allow};

async fn store(caller: &Caller<'_>) -> String {
    let made = caller
        .ok(
            "CreateEventDataStore",
            json!({ "Name": "main", "MultiRegionEnabled": false, "TerminationProtectionEnabled": false }),
        )
        .await;
    made["EventDataStoreArn"].as_str().unwrap().to_owned()
}

fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

async fn start(caller: &Caller<'_>, what: &str, arn: &str) -> String {
    let started = caller.ok("StartQuery", json!({ "QueryStatement": format!("SELECT {what} FROM {}", id(arn)) })).await;
    assert_eq!(started["EventDataStoreOwnerAccountId"], ACCOUNT);
    started["QueryId"].as_str().unwrap().to_owned()
}

/// Waits for a state that the query comes to without the clock.
async fn until(caller: &Caller<'_>, query: &str, status: &str) -> Value {
    let wait = async {
        loop {
            let described = caller.ok("DescribeQuery", json!({ "QueryId": query })).await;
            if described["QueryStatus"] == status {
                return described;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap()
}

#[tokio::test]
async fn a_query_is_started_described_and_read_in_pages() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let query = start(&root, "2500", &arn).await;
    let mut described = until(&root, &query, "FINISHED").await;
    assert_eq!(described["QueryStatistics"].as_object_mut().unwrap().remove("ExecutionTimeInMillis"), Some(json!(0)));
    assert_eq!(
        described,
        json!({
            "QueryId": query, "QueryString": format!("SELECT 2500 FROM {}", id(&arn)), "QueryStatus": "FINISHED",
            "QueryStatistics": {
                "EventsMatched": 20, "EventsScanned": 30, "BytesScanned": 4000, "CreationTime": 1_767_355_200,
            },
            "EventDataStoreOwnerAccountId": ACCOUNT,
        })
    );
    let first = root.ok("GetQueryResults", json!({ "QueryId": query })).await;
    assert_eq!(first["QueryResultRows"][7], json!([{ "number": "7" }, { "number": "" }]));
    assert_eq!(
        first["QueryStatistics"],
        json!({ "ResultsCount": 1000, "TotalResultsCount": 2500, "BytesScanned": 4000 })
    );
    let token = &first["NextToken"];
    let second =
        root.ok("GetQueryResults", json!({ "QueryId": query, "NextToken": token, "MaxQueryResults": 10 })).await;
    assert_eq!(second["QueryResultRows"][0][0]["number"], "1000");
    let token = &second["NextToken"];
    let last = root.ok("GetQueryResults", json!({ "QueryId": query, "NextToken": token })).await;
    assert_eq!((&last["QueryResultRows"][999][0]["number"], last["NextToken"].is_null()), (&json!("2009"), false));

    let other = start(&root, "1", &arn).await;
    until(&root, &other, "FINISHED").await;
    let bound = json!({ "QueryId": other, "NextToken": token });
    root.refused("GetQueryResults", bound, "InvalidNextTokenException", "belongs to another request").await;
    let forged = json!({ "QueryId": other, "NextToken": "abcd" });
    root.refused("GetQueryResults", forged, "InvalidNextTokenException", "not one that").await;
}

#[tokio::test]
async fn a_running_query_has_no_rows_yet_and_can_be_cancelled_once() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let query = start(&root, "hang", &arn).await;
    until(&root, &query, "RUNNING").await;
    let results = root.ok("GetQueryResults", json!({ "QueryId": query })).await;
    assert_eq!((&results["QueryStatus"], &results["QueryResultRows"]), (&json!("RUNNING"), &json!([])));
    let cancelled = root.ok("CancelQuery", json!({ "QueryId": query, "EventDataStore": arn })).await;
    let expected = json!({ "QueryId": query, "QueryStatus": "CANCELLED", "EventDataStoreOwnerAccountId": ACCOUNT });
    assert_eq!(cancelled, expected);
    root.refused("CancelQuery", json!({ "QueryId": query }), "InactiveQueryException", "is CANCELLED").await;
    until(&root, &query, "CANCELLED").await;
}

#[tokio::test]
async fn eleven_at_a_time_are_too_many() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    for _ in 0..10 {
        start(&root, "hang", &arn).await;
    }
    let input = json!({ "QueryStatement": format!("SELECT 1 FROM {}", id(&arn)) });
    root.refused("StartQuery", input, "MaxConcurrentQueriesException", "10 queries").await;
}

#[tokio::test]
async fn what_start_query_does_not_take_is_refused_in_its_own_words() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let good = format!("SELECT 1 FROM {}", id(&arn));
    let nobody = Uuid::from_u128(7);
    for (input, error, message) in [
        (json!({}), "InvalidParameterException", "either QueryStatement or QueryAlias"),
        (json!({ "QueryStatement": good, "QueryAlias": "a" }), "InvalidParameterException", "either"),
        (
            json!({ "QueryStatement": good, "QueryParameters": ["a"] }),
            "InvalidParameterException",
            "go with QueryAlias",
        ),
        (json!({ "QueryAlias": "AWSCloudTrail-1" }), "InvalidParameterException", "no query alias"),
        (json!({ "QueryAlias": "1" }), "InvalidParameterException", "queryAlias"),
        (
            json!({ "QueryStatement": good, "EventDataStoreOwnerAccountId": "1234567890123" }),
            "InvalidParameterException",
            "twelve",
        ),
        (json!({ "QueryStatement": "" }), "InvalidQueryStatementException", "queryStatement"),
        (json!({ "QueryStatement": "a".repeat(10_001) }), "InvalidQueryStatementException", "queryStatement"),
        (json!({ "QueryStatement": "DROP" }), "InvalidQueryStatementException", "was expected"),
        (
            json!({ "QueryStatement": "SELECT 1 FROM somewhere" }),
            "InvalidQueryStatementException",
            "no event data store",
        ),
        (json!({ "QueryStatement": format!("SELECT x FROM {}", id(&arn)) }), "InvalidQueryStatementException", "'x'"),
        (
            json!({ "QueryStatement": format!("SELECT 1 FROM {nobody}") }),
            "EventDataStoreNotFoundException",
            "eventdatastore",
        ),
        (
            json!({ "QueryStatement": good, "DeliveryS3Uri": "http://b/p" }),
            "InvalidParameterException",
            "deliveryS3Uri",
        ),
        (json!({ "QueryStatement": good, "DeliveryS3Uri": "s3://a" }), "InvalidParameterException", "deliveryS3Uri"),
        (json!({ "QueryStatement": good, "DeliveryS3Uri": "s3://logs/a//b" }), "InvalidS3PrefixException", "a//b"),
        (
            json!({ "QueryStatement": good, "DeliveryS3Uri": "s3://nowhere" }),
            "S3BucketDoesNotExistException",
            "nowhere",
        ),
    ] {
        root.refused("StartQuery", input, error, message).await;
    }
    api.buckets.set("logs", Err(BucketError::AccessDenied { bucket: "logs".into() }));
    let input = json!({ "QueryStatement": good, "DeliveryS3Uri": "s3://logs/a/" });
    root.refused("StartQuery", input.clone(), "InsufficientS3BucketPolicyException", "logs").await;
    api.buckets.set("logs", Ok(()));
    api.buckets.checked();
    root.ok("StartQuery", input).await;
    assert_eq!(api.buckets.checked()[0], format!("logs a {arn} {ACCOUNT}"));
}

#[tokio::test]
async fn the_other_operations_have_their_own_errors() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let query = start(&root, "1", &arn).await;
    until(&root, &query, "FINISHED").await;
    let other = root.ok("CreateEventDataStore", json!({ "Name": "other" })).await["EventDataStoreArn"].clone();
    let nobody = Uuid::from_u128(7).to_string();
    for operation in ["DescribeQuery", "GetQueryResults", "CancelQuery"] {
        for (input, error) in [
            (json!({ "QueryId": nobody }), "QueryIdNotFoundException"),
            (json!({ "QueryId": query, "EventDataStore": other }), "QueryIdNotFoundException"),
            (json!({ "QueryId": query, "EventDataStore": nobody }), "EventDataStoreNotFoundException"),
            (json!({ "QueryId": query, "EventDataStore": "not an id" }), "EventDataStoreARNInvalidException"),
            (json!({ "QueryId": "-".repeat(36) }), "InvalidParameterException"),
            (json!({ "QueryId": "short" }), "InvalidParameterException"),
        ] {
            root.refused(operation, input, error, "").await;
        }
        let elsewhere = api.root().at("eu-west-1");
        elsewhere.refused(operation, json!({ "QueryId": query }), "QueryIdNotFoundException", "").await;
    }
    for (operation, input, error) in [
        ("DescribeQuery", json!({}), "InvalidParameterException"),
        ("DescribeQuery", json!({ "QueryId": query, "QueryAlias": "a" }), "InvalidParameterException"),
        ("DescribeQuery", json!({ "QueryId": query, "RefreshId": "1234567890" }), "InvalidParameterException"),
        ("DescribeQuery", json!({ "QueryAlias": "a" }), "QueryIdNotFoundException"),
        ("GetQueryResults", json!({ "QueryId": query, "MaxQueryResults": 1001 }), "InvalidMaxResultsException"),
        ("GetQueryResults", json!({ "QueryId": query, "NextToken": "abc" }), "InvalidNextTokenException"),
        ("ListQueries", json!({ "EventDataStore": nobody }), "EventDataStoreNotFoundException"),
        ("ListQueries", json!({ "EventDataStore": arn, "StartTime": 20, "EndTime": 10 }), "InvalidDateRangeException"),
        ("ListQueries", json!({ "EventDataStore": arn, "QueryStatus": "DONE" }), "InvalidQueryStatusException"),
        ("ListQueries", json!({ "EventDataStore": arn, "MaxResults": 0 }), "InvalidMaxResultsException"),
        ("ListQueries", json!({ "EventDataStore": arn, "NextToken": "abcd" }), "InvalidNextTokenException"),
        ("SearchSampleQueries", json!({ "SearchPhrase": "a" }), "InvalidParameterException"),
        ("SearchSampleQueries", json!({ "SearchPhrase": "naïve" }), "InvalidParameterException"),
        ("SearchSampleQueries", json!({ "SearchPhrase": "user", "MaxResults": 51 }), "InvalidParameterException"),
        ("SearchSampleQueries", json!({ "SearchPhrase": "user", "NextToken": "abcd" }), "InvalidParameterException"),
    ] {
        root.refused(operation, input, error, "").await;
    }
    let change = json!({ "EventDataStore": arn });
    root.ok("DeleteEventDataStore", change.clone()).await;
    for operation in ["DescribeQuery", "GetQueryResults", "CancelQuery"] {
        root.refused(operation, json!({ "QueryId": query }), "InactiveEventDataStoreException", "").await;
    }
    root.refused("ListQueries", change, "InactiveEventDataStoreException", "").await;
    let statement = json!({ "QueryStatement": format!("SELECT 1 FROM {}", id(&arn)) });
    root.refused("StartQuery", statement, "InactiveEventDataStoreException", "").await;
}

#[tokio::test]
async fn queries_are_listed_newest_first_by_time_state_and_page() {
    let api = Api::new().await;
    let root = api.root();
    let arn = store(&root).await;
    let mut queries = Vec::new();
    for _ in 0..5 {
        let query = start(&root, "1", &arn).await;
        until(&root, &query, "FINISHED").await;
        queries.insert(0, query);
        api.clock.advance(Duration::from_secs(10));
    }
    let list = async |input: Value| {
        let mut input = input;
        input["EventDataStore"] = arn.clone().into();
        let answer = root.ok("ListQueries", input).await;
        let ids = answer["Queries"].as_array().unwrap().iter();
        let ids: Vec<String> = ids.map(|query| query["QueryId"].as_str().unwrap().to_owned()).collect();
        (ids, answer)
    };
    let (ids, answer) = list(json!({})).await;
    assert_eq!(ids, queries);
    let first = json!({ "QueryId": queries[4], "QueryStatus": "FINISHED", "CreationTime": 1_767_355_200 });
    assert_eq!(answer["Queries"][4], first);
    let (ids, _) = list(json!({ "StartTime": 1_767_355_210, "EndTime": 1_767_355_230 })).await;
    assert_eq!(ids, queries[1..4]);
    assert_eq!(list(json!({ "QueryStatus": "FAILED" })).await.0.len(), 0);
    let (ids, answer) = list(json!({ "MaxResults": 3 })).await;
    assert_eq!(ids, queries[..3]);
    let (ids, answer) = list(json!({ "NextToken": answer["NextToken"] })).await;
    assert_eq!((&ids[..], answer["NextToken"].is_null()), (&queries[3..], true));
}

#[tokio::test]
async fn rights_are_those_on_each_store_that_is_named() {
    let policy = |arn: &str| allow(&["cloudtrail:StartQuery", "cloudtrail:DescribeQuery"], arn, json!({}));
    let api = Api::with_users(vec![("alice", policy("arn:aws:cloudtrail:*:*:eventdatastore/*"))]).await;
    let (root, alice) = (api.root(), api.caller("alice", None));
    let arn = store(&root).await;
    let query = start(&alice, "hang", &arn).await;
    until(&alice, &query, "RUNNING").await;
    for operation in ["GetQueryResults", "CancelQuery"] {
        let answer = alice.call(operation, json!({ "QueryId": query })).await;
        answer.assert_refused("AccessDeniedException", &format!("cloudtrail:{operation} on resource: {arn}"));
    }
    // Who may do it to no store is not told whether there is such a query.
    let nobody = json!({ "QueryId": Uuid::from_u128(7).to_string() });
    alice.refused("CancelQuery", nobody, "AccessDeniedException", "cloudtrail:CancelQuery").await;
    alice.refused("ListQueries", json!({ "EventDataStore": arn }), "AccessDeniedException", "ListQueries").await;
    alice.refused("SearchSampleQueries", json!({ "SearchPhrase": "user" }), "AccessDeniedException", "Search").await;
}

#[tokio::test]
async fn a_store_can_be_shared_for_queries() {
    let api = Api::new().await;
    let (root, other) = (api.root(), api.caller("other-root", None));
    let arn = store(&root).await;
    let statement = format!("SELECT 1 FROM {}", id(&arn));
    let input = json!({ "QueryStatement": statement, "EventDataStoreOwnerAccountId": ACCOUNT });
    other.refused("StartQuery", input.clone(), "AccessDeniedException", "StartQuery").await;
    let own = json!({ "QueryStatement": statement });
    other.refused("StartQuery", own, "EventDataStoreNotFoundException", OTHER_ACCOUNT).await;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": OTHER_ACCOUNT }, "Resource": arn,
            "Action": ["cloudtrail:StartQuery", "cloudtrail:DescribeQuery", "cloudtrail:GetQueryResults"],
        }],
    });
    root.ok("PutResourcePolicy", json!({ "ResourceArn": arn, "ResourcePolicy": policy.to_string() })).await;
    let started = other.ok("StartQuery", input).await;
    assert_eq!(started["EventDataStoreOwnerAccountId"], ACCOUNT);
    let query = json!({ "QueryId": started["QueryId"], "EventDataStoreOwnerAccountId": ACCOUNT });
    until(&root, started["QueryId"].as_str().unwrap(), "FINISHED").await;
    assert_eq!(other.ok("DescribeQuery", query.clone()).await["QueryStatus"], "FINISHED");
    assert_eq!(other.ok("GetQueryResults", query.clone()).await["QueryResultRows"][0][0]["number"], "0");
    other.refused("CancelQuery", query, "AccessDeniedException", "CancelQuery").await;
    let id = json!({ "QueryId": started["QueryId"] });
    other.refused("DescribeQuery", id, "QueryIdNotFoundException", "").await;
    let listed = root.ok("ListQueries", json!({ "EventDataStore": arn })).await;
    assert_eq!(listed["Queries"][0]["QueryId"], started["QueryId"], "the owner sees it");
}

#[tokio::test]
async fn samples_are_found_by_what_a_phrase_means() {
    let api = Api::new().await;
    let root = api.root();
    let search = |more: Value| {
        let mut input = more;
        input["SearchPhrase"] = "who deleted buckets".into();
        root.ok("SearchSampleQueries", input)
    };
    let found = search(json!({})).await;
    let results = found["SearchResults"].as_array().unwrap();
    assert!(results[..2].iter().any(|sample| sample["Name"] == "Deleted S3 buckets"), "{results:?}");
    assert!(results.iter().all(|sample| sample["SQL"].as_str().unwrap().contains("$EDS_ID")));
    let relevance: Vec<f64> = results.iter().map(|sample| sample["Relevance"].as_f64().unwrap()).collect();
    assert!(relevance.iter().all(|one| (0.0..=1.0).contains(one)) && relevance.is_sorted_by(|a, b| a >= b));
    let first = search(json!({ "MaxResults": 2 })).await;
    assert_eq!(first["SearchResults"], Value::from(results[..2].to_vec()));
    let second = search(json!({ "MaxResults": 2, "NextToken": first["NextToken"] })).await;
    assert_eq!(second["SearchResults"], Value::from(results[2..4].to_vec()));
    assert_eq!(root.ok("SearchSampleQueries", json!({ "SearchPhrase": "xyzzy" })).await["SearchResults"], json!([]));
}
