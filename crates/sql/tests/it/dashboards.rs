//! The widgets of managed dashboards and of Highlights, and those that the User Guide shows, on real records.

use std::collections::BTreeMap;

use opentrail_dashboards::managed::{self, MANAGED};
use opentrail_dashboards::{Values, Widget, fill};
use opentrail_stores::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{OTHER, Row, STORE, plain, query_of, real_records};

/// All the time that records are of.
fn values() -> Values {
    let given = [("$StartTime$", "2000-01-01"), ("$EndTime$", "2100-01-01T00:00:00.00Z"), ("$Period$", "DAY")];
    let given: BTreeMap<_, _> = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let store = STORE.parse().unwrap();
    Values::read(&given, "2026-01-02T03:04:05Z".parse().unwrap()).unwrap().with_store(store)
}

async fn rows(kind: Kind, widget: &Widget, records: &[Value]) -> Vec<Row> {
    let statement = widget.filled(&values()).unwrap();
    let table = query_of(kind, &statement, records).await;
    let table = table.unwrap_or_else(|error| panic!("{}: {error}\n{statement}", widget.alias));
    // Views name columns that the statement has.
    for name in ["XAxisColumn", "YAxisColumn", "FilterColumn", "LabelColumn", "ValueColumn"] {
        if let Some(column) = widget.view.get(name) {
            assert!(table.columns.contains(column), "{}: {column} of {:?}", widget.alias, table.columns);
        }
    }
    table.rows
}

/// What real records do not have: tags and condition keys, calls of Lambda and DynamoDB that were throttled, changes of
/// policies of organizations, console calls …
fn made() -> Vec<Value> {
    let record = |number: u32, more: Value| {
        let mut record = json!({
            "eventID": format!("made-{number}"), "eventTime": "2024-02-03T04:05:06Z", "eventSource": "made.amazonaws.com",
            "eventName": "DeleteThing", "awsRegion": "us-east-1", "readOnly": false, "managementEvent": true,
            "eventCategory": "Management", "recipientAccountId": "111122223333", "sourceIPAddress": "192.0.2.1",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/admin", "accountId": "444455556666"},
        });
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    };
    let context = json!({
        "tagContext": {
            "resourceTags": [{"arn": "arn:aws:s3:::b", "tags": {"stage": "test", "team": "a"}}],
            "principalTags": {"operator": "o"},
        },
        "requestContext": {"aws:PrincipalArn": "p", "aws:RequestedRegion": "us-east-1", "aws:SourceIdentity": "s"},
    });
    let data = |source: &str, name: &str, more: Value| {
        let mut all = json!({
            "eventCategory": "Data", "managementEvent": false, "eventSource": source, "eventName": name,
            "requestParameters": {"functionName": "f", "tableName": "t", "bucketName": "b", "key": "k"},
        });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        all
    };
    let throttled = json!({"errorCode": "ThrottlingException", "errorMessage": "Rate exceeded"});
    let sign_in = json!({
        "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "userIdentity": {"type": "Root"},
        "responseElements": {"ConsoleLogin": "Failure"}, "additionalEventData": {"MFAUsed": "No"},
    });
    let opened = json!({"groupId": "sg-1", "ipPermissions": {"items": [{"cidrIp": "0.0.0.0/0"}]}});
    [
        json!({"eventContext": context, "errorCode": "AccessDenied", "sessionCredentialFromConsole": "true"}),
        data("lambda.amazonaws.com", "Invoke", throttled.clone()),
        data("dynamodb.amazonaws.com", "PutItem", throttled.clone()),
        data("s3.amazonaws.com", "GetObject", json!({})),
        throttled,
        sign_in,
        json!({"tlsDetails": {"tlsVersion": "TLSv1.1"}}),
        json!({"eventSource": "iam.amazonaws.com", "eventName": "DeactivateMFADevice"}),
        json!({"eventSource": "iam.amazonaws.com", "eventName": "GetUser", "errorCode": "AccessDenied"}),
        json!({"eventSource": "organizations.amazonaws.com", "eventName": "UpdatePolicy"}),
        json!({"eventSource": "organizations.amazonaws.com", "eventName": "CreateAccount"}),
        json!({"eventSource": "kms.amazonaws.com", "eventName": "PutKeyPolicy"}),
        json!({"eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy"}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress", "requestParameters": opened}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "CreateVpc", "userIdentity": {"type": "Root"}}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "errorCode": "Client.UnauthorizedOperation"}),
        json!({"eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging"}),
        json!({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "requestParameters": {"roleArn": "r"}}),
        json!({"eventSource": "iam.amazonaws.com", "eventName": "AttachUserPolicy"}),
        json!({"eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey"}),
    ]
    .into_iter()
    .zip(0..)
    .map(|(more, number)| record(number, more))
    .collect()
}

fn insights() -> Vec<Value> {
    let one = |kind: &str, state: &str, shared: &str| {
        let named = |value: &str, average: f64| json!([{"value": value, "average": average}]);
        json!({
            "eventID": format!("{shared}-{state}"), "eventTime": "2099-12-20T04:05:06Z", "eventCategory": "Insight",
            "sharedEventID": shared, "insightType": kind, "insightState": state, "awsRegion": "us-east-1",
            "insightEventSource": "ec2.amazonaws.com", "insightEventName": "RunInstances",
            "insightContext": {
                "baselineAverage": 0.5, "insightAverage": 20.0, "baselineDuration": 10080, "insightDuration": 5,
                "attributions": [{"attribute": "userIdentityArn", "insight": named("arn", 20.0), "baseline": named("b", 0.5)}],
            },
        })
    };
    let (calls, errors) = ("ApiCallRateInsight", "ApiErrorRateInsight");
    vec![one(calls, "Start", "1"), one(calls, "End", "1"), one(errors, "Start", "2"), one(calls, "Start", "3")]
}

#[tokio::test]
async fn every_widget_of_a_managed_dashboard_runs_and_finds_what_it_is_about() {
    let (events, insights) = ([real_records(), &made()].concat(), insights());
    for dashboard in MANAGED.iter() {
        let records = if dashboard.kind == Kind::Insight { &insights } else { &events };
        for widget in &dashboard.widgets {
            let rows = rows(dashboard.kind, widget, records).await;
            assert!(!rows.is_empty(), "{} finds nothing", widget.alias);
            assert!(self::rows(dashboard.kind, widget, &[]).await.is_empty(), "{}", widget.alias);
        }
    }
}

#[tokio::test]
async fn an_insight_is_counted_once() {
    let dashboard = managed::find("AWSCloudTrail-InsightsEvents").unwrap();
    let found = rows(Kind::Insight, &dashboard.widgets[0], &insights()).await;
    let text = |text: &str| Some(text.to_owned());
    let expected = [[text("ApiCallRateInsight"), text("2")], [text("ApiErrorRateInsight"), text("1")]];
    assert_eq!(found, expected);
    assert_eq!(rows(Kind::Insight, &dashboard.widgets[4], &insights()).await, [[text("arn"), text("3")]]);
}

#[tokio::test]
async fn highlights_of_two_stores_with_the_same_events_count_each_once() {
    let records = made();
    let ids: Vec<Uuid> = [STORE, OTHER].iter().map(|id| id.parse().unwrap()).collect();
    let (one, two) = (managed::highlights(&ids[..1]), managed::highlights(&ids));
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(&two) {
        let (mut of_one, mut of_two) =
            (rows(Kind::CloudTrail, one, &records).await, rows(Kind::CloudTrail, two, &records).await);
        of_one.sort();
        of_two.sort();
        assert!(!of_one.is_empty(), "{} finds nothing", one.alias);
        assert_eq!(of_one, of_two, "{}", one.alias);
    }
    // The statement is taken with as many stores as an account can have.
    let many: Vec<Uuid> = (0..20).map(Uuid::from_u128).collect();
    for widget in managed::highlights(&many) {
        rows(Kind::CloudTrail, &widget, &[]).await;
    }
}

/// Counts of the records by a member, the largest first.
fn counted(records: &[Value], member: impl Fn(&Value) -> Option<String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for key in records.iter().filter(|record| record["eventTime"].is_string()).filter_map(member) {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

async fn counts_of(statement: &str, parameters: &[&str], records: &[Value]) -> BTreeMap<String, u64> {
    let statement = fill(statement, parameters).unwrap().replace("<eds>", STORE);
    let table = query_of(Kind::CloudTrail, &statement, records).await.unwrap_or_else(|error| panic!("{error}"));
    let row = |row: Row| (row[0].clone().unwrap(), row[row.len() - 1].as_ref().unwrap().parse().unwrap());
    table.rows.into_iter().map(row).collect()
}

#[tokio::test]
async fn the_four_widgets_of_the_guide_count_as_a_reference_does() {
    let records = real_records();
    if records.is_empty() {
        return;
    }
    let window = ["2000-01-01T00:00:00.00Z", "2100-01-01T00:00:00.00Z"];
    let errors = "SELECT errorCode, COUNT(*) AS eventCount FROM <eds> WHERE eventTime > '?' AND eventTime < '?' AND \
                  (errorCode is not null) GROUP BY errorCode ORDER BY eventCount DESC LIMIT 100";
    assert_eq!(counts_of(errors, &window, records).await, counted(records, |record| plain(&record["errorCode"])));
    let regions = "SELECT awsRegion, COUNT(*) AS eventCount FROM <eds> where eventTime > '?' and eventTime < '?' GROUP \
                   BY awsRegion ORDER BY eventCount LIMIT 100";
    assert_eq!(counts_of(regions, &window, records).await, counted(records, |record| plain(&record["awsRegion"])));
    let services = "SELECT REPLACE(eventSource, '.amazonaws.com') AS service, COUNT(*) AS eventCount FROM <eds> WHERE \
                    eventTime > '?' AND eventTime < '?' GROUP BY eventSource ORDER BY eventCount DESC LIMIT 100";
    let service = |record: &Value| Some(plain(&record["eventSource"])?.replace(".amazonaws.com", ""));
    assert_eq!(counts_of(services, &window, records).await, counted(records, service));
    let activity = "SELECT DATE_TRUNC('?', eventTime) AS eventDate, IF(readOnly, 'read', 'write') AS readOnly, \
                    COUNT(*) as eventCount FROM <eds> WHERE eventTime > '?' AND eventTime < '?' GROUP BY \
                    DATE_TRUNC('?', eventTime), readOnly ORDER BY DATE_TRUNC('?', eventTime), readOnly";
    let statement = fill(activity, &["year", window[0], window[1], "year", "year"]).unwrap().replace("<eds>", STORE);
    let table = query_of(Kind::CloudTrail, &statement, records).await.unwrap_or_else(|error| panic!("{error}"));
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for row in &table.rows {
        // NULL counts as a write, and is a group of its own.
        let key = format!("{} {}", &row[0].as_ref().unwrap()[..4], row[1].as_ref().unwrap());
        *found.entry(key).or_default() += row[2].as_ref().unwrap().parse::<u64>().unwrap();
    }
    let kind = |record: &Value| {
        let year = record["eventTime"].as_str()?.get(..4)?;
        Some(format!("{year} {}", if record["readOnly"] == true { "read" } else { "write" }))
    };
    assert_eq!(found, counted(records, kind));
}
