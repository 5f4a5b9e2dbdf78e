use super::*;
use crate::{Ask, Break, Crossing, asked, is_asked_in_body, record_crossing};

const OWNER: &str = "444455556666";

fn crossing(owner: &str) -> Crossing<'static> {
    Crossing {
        endpoint_id: "vpce-0a1b2c3d",
        owner: owner.parse().unwrap(),
        denied: false,
        broken: None,
        event_id: Uuid::from_u128(1),
        shared_id: Uuid::from_u128(2),
    }
}

fn records(exchange: &Exchange, crossing: &Crossing<'_>) -> Vec<Value> {
    let records = record_crossing(exchange, crossing);
    records.iter().map(|recorded| serde_json::from_slice(&recorded.body).unwrap()).collect()
}

fn of_identity(mut exchange: Exchange, account: &str) -> Exchange {
    exchange.caller = Caller::Identity(json!({
        "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": format!("arn:aws:iam::{account}:user/alice"),
        "accountId": account, "accessKeyId": "AKIAEXAMPLE", "userName": "alice",
    }));
    exchange
}

#[test]
fn a_call_through_an_endpoint_is_two_events() {
    let mut exchange = of_identity(exchange("GET", "/b/k", "s3"), "111122223333");
    exchange.tls = Some(tls());
    exchange.status = Some(StatusCode::NOT_FOUND);
    with_header(&mut exchange.response_headers, "x-amz-request-id", "R1");
    let found = records(&exchange, &crossing("111122223333"));
    let [ordinary, activity] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&ordinary["eventCategory"], &ordinary["errorCode"]), (&json!("Data"), &json!("NoSuchKey")));
    assert_eq!(ordinary["vpcEndpointId"], "vpce-0a1b2c3d");
    assert_eq!(ordinary["vpcEndpointAccountId"], "111122223333");
    assert_eq!(ordinary.get("sharedEventID"), None, "the call has records in one account only");
    let keys_of = keys(ordinary);
    let at = |key| keys_of.iter().position(|known| *known == key).unwrap();
    assert!(at("recipientAccountId") < at("vpcEndpointId") && at("vpcEndpointAccountId") < at("eventCategory"));

    let expected = json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333", "accessKeyId": "AKIAEXAMPLE", "userName": "alice",
        },
        "eventTime": "2026-01-02T03:04:05Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.10",
        "requestID": "R1",
        "eventID": "00000000-0000-0000-0000-000000000001",
        "eventType": "AwsVpceEvent",
        "recipientAccountId": "111122223333",
        "sharedEventID": "00000000-0000-0000-0000-000000000002",
        "vpcEndpointId": "vpce-0a1b2c3d",
        "vpcEndpointAccountId": "111122223333",
        "eventCategory": "NetworkActivity",
    });
    assert_eq!(activity, &expected);
    assert_eq!(keys(activity), keys(&expected));
}

#[test]
fn a_denied_call_is_a_network_activity_event_alone() {
    let exchange = of_identity(exchange("PUT", "/b/k", "s3"), "111122223333");
    let denied = Crossing { denied: true, ..crossing(OWNER) };
    let found = records(&exchange, &denied);
    let [activity] = &found[..] else { panic!("{found:?}") };
    assert_eq!(activity["errorCode"], "VpceAccessDenied");
    assert_eq!(activity["errorMessage"], "The request was denied due to a VPC endpoint policy");
    assert_eq!(activity["recipientAccountId"], OWNER);
    // A caller of another account than the endpoint's.
    let caller = json!({ "type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": "111122223333" });
    assert_eq!(activity["userIdentity"], caller);

    // No denial goes unseen: IAM has no network activity events.
    let iam = super::exchange("POST", "/", "iam");
    let found = records(&iam, &denied);
    assert_eq!((found.len(), &found[0]["eventCategory"]), (1, &json!("Management")));
}

#[test]
fn records_in_two_accounts_share_an_id() {
    let exchange = json_call("DynamoDB_20120810.ListTables", "dynamodb", &json!({}), &json!({}));
    let found = records(&exchange, &crossing(OWNER));
    let accounts: Vec<_> = found.iter().map(|record| record["recipientAccountId"].as_str().unwrap()).collect();
    assert_eq!(accounts, ["111122223333", OWNER]);
    assert_eq!(found[0]["sharedEventID"], found[1]["sharedEventID"]);
    assert_ne!(found[0]["eventID"], found[1]["eventID"]);

    let broken = Crossing { broken: Some(Break::Upstream), ..crossing(OWNER) };
    let found = records(&exchange, &broken);
    assert_eq!((&found[0]["errorCode"], found[1].get("errorCode")), (&json!("ServiceUnavailable"), None));
}

#[test]
fn what_has_no_network_activity_events_has_one_event() {
    let iam = exchange("POST", "/", "iam");
    let mut many = exchange("GET", "/k", "s3");
    with_header(&mut many.request_headers, "host", "m1.mrap.accesspoint.s3-global.amazonaws.com");
    for exchange in [iam, many] {
        let found = records(&exchange, &crossing(OWNER));
        assert_eq!((found.len(), &found[0]["vpcEndpointId"]), (1, &json!("vpce-0a1b2c3d")), "{found:?}");
    }
    assert!(record_crossing(&super::exchange("OPTIONS", "/b/k", "s3"), &crossing(OWNER)).is_empty());
}

/// What a call asks for, as `action resource`; nothing when it cannot be told.
fn asks(exchange: &Exchange) -> Option<Vec<String>> {
    let mut request = http::Request::builder().method(exchange.method.clone()).uri(exchange.uri.clone());
    *request.headers_mut().unwrap() = exchange.request_headers.clone();
    let (head, ()) = request.body(()).unwrap().into_parts();
    let found = asked(&head, exchange.request_body.clone(), &exchange.endpoint);
    Some(found?.into_iter().map(|Ask { action, resource }| format!("{action} {resource}")).collect())
}

#[test]
fn calls_ask_for_iam_actions_on_the_resources_of_their_records() {
    let mut copy = exchange("PUT", "/b/k", "s3");
    with_header(&mut copy.request_headers, "x-amz-copy-source", "/from/a%2Fb%20c?versionId=v");
    let mut deletion = exchange("POST", "/b?delete", "s3");
    deletion.request_body = body("<Delete><Object><Key>a</Key></Object><Object><Key>b/1</Key></Object></Delete>");
    let table = "arn:aws:dynamodb:us-east-1:111122223333:table/T";
    let transaction =
        json!({ "TransactItems": [{ "Put": { "TableName": "T" } }, { "ConditionCheck": { "TableName": "T" } }] });
    let statement = json!({ "Statement": "DELETE FROM \"T\" WHERE a='b'" });
    let mut form = exchange("POST", "/", "sqs");
    with_header(&mut form.request_headers, "content-type", "application/x-www-form-urlencoded");
    form.request_body = body("Action=SendMessageBatch&QueueUrl=https%3A%2F%2Fsqs%2F444455556666%2Fq");
    let dynamodb = |target, request: &Value| json_call(target, "dynamodb", request, &json!({}));
    for (exchange, expected) in [
        (exchange("GET", "/", "s3"), vec!["s3:ListAllMyBuckets *".to_owned()]),
        (exchange("HEAD", "/b/k%20x", "s3"), vec!["s3:GetObject arn:aws:s3:::b/k x".to_owned()]),
        (exchange("GET", "/b?list-type=2", "s3"), vec!["s3:ListBucket arn:aws:s3:::b".to_owned()]),
        (exchange("GET", "/b?lifecycle", "s3"), vec!["s3:GetLifecycleConfiguration arn:aws:s3:::b".to_owned()]),
        (
            copy,
            vec!["s3:PutObject arn:aws:s3:::b/k".to_owned(), "s3:GetObjectVersion arn:aws:s3:::from/a/b c".to_owned()],
        ),
        (
            deletion,
            vec!["s3:DeleteObject arn:aws:s3:::b/a".to_owned(), "s3:DeleteObject arn:aws:s3:::b/b/1".to_owned()],
        ),
        (dynamodb("DynamoDB_20120810.Query", &json!({ "TableName": "T" })), vec![format!("dynamodb:Query {table}")]),
        (
            dynamodb("DynamoDB_20120810.TransactWriteItems", &transaction),
            vec![format!("dynamodb:PutItem {table}"), format!("dynamodb:ConditionCheckItem {table}")],
        ),
        (dynamodb("DynamoDB_20120810.ExecuteStatement", &statement), vec![format!("dynamodb:PartiQLDelete {table}")]),
        (dynamodb("DynamoDB_20120810.ListTables", &json!({})), vec!["dynamodb:ListTables *".to_owned()]),
        (
            json_call("GraniteServiceVersion20100801.PutMetricData", "monitoring", &json!({}), &json!({})),
            vec!["cloudwatch:PutMetricData *".to_owned()],
        ),
        (form, vec!["sqs:SendMessage arn:aws:sqs:us-east-1:444455556666:q".to_owned()]),
        (
            exchange("POST", "/2015-03-31/functions/f/invocations", "lambda"),
            vec!["lambda:InvokeFunction arn:aws:lambda:us-east-1:111122223333:function:f".to_owned()],
        ),
        (exchange("OPTIONS", "/b/k", "s3"), vec![]),
    ] {
        assert_eq!(asks(&exchange), Some(expected), "{} {}", exchange.method, exchange.uri);
    }
}

#[test]
fn what_can_be_read_in_two_ways_asks_for_nothing_that_could_be_granted() {
    let json = |text: &'static str| {
        let mut exchange = json_call("DynamoDB_20120810.GetItem", "dynamodb", &json!({}), &json!({}));
        exchange.request_body = body(text);
        exchange
    };
    let mut form = exchange("POST", "/", "sqs");
    with_header(&mut form.request_headers, "content-type", "application/x-www-form-urlencoded");
    form.request_body = body("Action=ListQueues&Action=DeleteQueue");
    let mut targets = json(r#"{"TableName":"T"}"#);
    targets.request_headers.append("x-amz-target", HeaderValue::from_static("DynamoDB_20120810.DeleteTable"));
    let mut unread = exchange("POST", "/b?delete", "s3");
    unread.request_body = Captured::Truncated;
    for exchange in [
        json(r#"{"TableName":"T","TableName":"U"}"#),
        json("no document"),
        form,
        targets,
        unread,
        exchange("POST", "/b", "s3"),
    ] {
        assert_eq!(asks(&exchange), None, "{} {}", exchange.method, exchange.uri);
    }
}

#[test]
fn only_documents_have_to_be_read_first() {
    let in_body = |exchange: &Exchange| {
        let mut request = http::Request::builder().method(exchange.method.clone()).uri(exchange.uri.clone());
        *request.headers_mut().unwrap() = exchange.request_headers.clone();
        is_asked_in_body(&request.body(()).unwrap().into_parts().0, &exchange.endpoint)
    };
    assert!(!in_body(&exchange("PUT", "/b/k", "s3")) && in_body(&exchange("POST", "/b?delete", "s3")));
    assert!(in_body(&json_call("DynamoDB_20120810.GetItem", "dynamodb", &json!({}), &json!({}))));
}
