use super::*;

const DYNAMODB: &str = "dynamodb";

#[test]
fn a_write_shows_request_and_response_in_cloudtrails_spelling() {
    let request = json!({ "Name": "management", "S3BucketName": "logs", "TagsList": [{ "Key": "a", "Value": "b" }] });
    let response = json!({ "Name": "management", "TrailARN": "arn:aws:cloudtrail:us-east-1:111122223333:trail/m" });
    for target in
        ["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.CreateTrail", "CloudTrail_20131101.CreateTrail"]
    {
        let record = record(&json_call(target, "cloudtrail", &request, &response));
        assert_eq!(record["eventSource"], "cloudtrail.amazonaws.com");
        assert_eq!((&record["eventName"], &record["readOnly"]), (&json!("CreateTrail"), &json!(false)));
        let tags = json!([{ "key": "a", "value": "b" }]);
        let expected = json!({ "name": "management", "s3BucketName": "logs", "tagsList": tags });
        assert_eq!(record["requestParameters"], expected);
        assert_eq!(record["responseElements"]["trailARN"], response["TrailARN"]);
        assert_eq!(record["requestID"], "11111111-0000-4000-8000-000000000000");
        assert_eq!(record.get("apiVersion"), None);
    }
}

#[test]
fn a_read_shows_no_response_and_an_empty_request_is_null() {
    let record = record(&json_call("DynamoDB_20120810.ListTables", DYNAMODB, &json!({}), &json!({ "TableNames": [] })));
    assert_eq!((&record["requestParameters"], &record["responseElements"]), (&Value::Null, &Value::Null));
    assert_eq!((&record["readOnly"], &record["apiVersion"]), (&json!(true), &json!("2012-08-10")));
    assert_eq!(record["managementEvent"], true);
}

#[test]
fn item_calls_are_data_events_that_name_attributes_but_hold_no_values() {
    let request = json!({ "TableName": "T", "Item": { "Id": { "S": "1" }, "Card": { "S": "4111" } } });
    let record = record(&json_call("DynamoDB_20120810.PutItem", DYNAMODB, &request, &json!({})));
    assert_eq!(record["requestParameters"], json!({ "tableName": "T", "items": ["Id", "Card"] }));
    assert_eq!((&record["managementEvent"], &record["eventCategory"]), (&json!(false), &json!("Data")));
    let arn = "arn:aws:dynamodb:us-east-1:111122223333:table/T";
    let table = json!({ "accountId": "111122223333", "type": "AWS::DynamoDB::Table", "ARN": arn });
    assert_eq!(record["resources"], json!([table]));
}

#[test]
fn secrets_are_hidden_by_the_model_and_by_rule() {
    for (target, service, request) in [
        ("secretsmanager.CreateSecret", "secretsmanager", json!({ "Name": "n", "SecretString": "hush" })),
        ("secretsmanager.PutSecretValue", "secretsmanager", json!({ "SecretId": "n", "SecretBinary": "hush" })),
        ("AmazonSSM.PutParameter", "ssm", json!({ "Name": "n", "Value": "hush" })),
        ("AmazonSQS.SendMessage", "sqs", json!({ "QueueUrl": "u", "MessageBody": "hush" })),
        ("Kinesis_20131202.PutRecords", "kinesis", json!({ "Records": [{ "Data": "hush" }] })),
        ("Unheard_of.SetPassword", "unheard", json!({ "Deep": { "Password": "hush" } })),
    ] {
        let text = record(&json_call(target, service, &request, &json!({}))).to_string();
        assert!(text.contains("HIDDEN_DUE_TO_SECURITY_REASONS") && !text.contains("hush"), "{text}");
    }
    // CloudTrail's records of KMS do not name texts at all.
    let request = json!({ "KeyId": "k", "Plaintext": "hush" });
    let encrypt = record(&json_call("TrentService.Encrypt", "kms", &request, &json!({})));
    assert_eq!(encrypt["requestParameters"], json!({ "keyId": "k" }));
}

#[test]
fn a_failure_names_its_type_without_its_namespace() {
    let mut exchange = json_call("TrentService.ScheduleKeyDeletion", "kms", &json!({ "KeyId": "1234" }), &json!({}));
    exchange.status = Some(StatusCode::BAD_REQUEST);
    exchange.response_body = body(r#"{"__type":"com.amazonaws.kms#NotFoundException:","message":"no key"}"#);
    let failed = record(&exchange);
    assert_eq!((&failed["errorCode"], &failed["errorMessage"]), (&json!("NotFoundException"), &json!("no key")));
    assert_eq!(failed["resources"][0]["ARN"], "arn:aws:kms:us-east-1:111122223333:key/1234");

    with_header(&mut exchange.response_headers, "x-amzn-errortype", "DisabledException:http://x/");
    exchange.response_body = body("not json");
    assert_eq!(record(&exchange)["errorCode"], "DisabledException");
}

#[test]
fn an_unknown_operation_is_recorded_under_its_name() {
    let record = record(&json_call("Unheard_of.DoThings", "unheard", &json!({ "A": 1 }), &json!({})));
    assert_eq!((&record["eventSource"], &record["eventName"]), (&json!("unheard.amazonaws.com"), &json!("DoThings")));
    assert_eq!(record["requestParameters"], json!({ "a": 1 }));
}

#[test]
fn a_target_without_a_name_is_an_unknown_operation() {
    for target in ["Unheard_of.", ".", "#!"] {
        assert_eq!(record(&json_call(target, "unheard", &json!({}), &json!({})))["eventName"], "UnknownOperation");
    }
}

#[test]
fn a_request_that_was_too_long_to_keep_is_omitted() {
    let mut exchange = json_call("TrentService.TagResource", "kms", &json!({}), &json!({}));
    exchange.request_body = Captured::Truncated;
    assert_eq!(record(&exchange)["requestParameters"], json!({ "omitted": true }));
}

/// A map of texts in CBOR, each shorter than 256 bytes.
fn cbor(members: &[(&str, &str)]) -> Vec<u8> {
    let mut document = vec![0xa0 | u8::try_from(members.len()).unwrap()];
    for text in members.iter().flat_map(|(name, value)| [name, value]) {
        document.extend([0x78, u8::try_from(text.len()).unwrap()]);
        document.extend(text.as_bytes());
    }
    document
}

#[test]
fn rpc_v2_calls_are_recorded_as_their_json_twins() {
    let path = "/service/TrentService/operation/CreateAlias";
    let mut exchange = exchange("POST", path, "kms");
    with_header(&mut exchange.request_headers, "smithy-protocol", "rpc-v2-cbor");
    exchange.request_body = body(cbor(&[("AliasName", "alias/a"), ("TargetKeyId", "k")]));
    exchange.response_body = body(Vec::new());
    let created = record(&exchange);
    assert_eq!((&created["eventSource"], &created["eventName"]), (&json!("kms.amazonaws.com"), &json!("CreateAlias")));
    assert_eq!(created["requestParameters"], json!({ "aliasName": "alias/a", "targetKeyId": "k" }));
    assert_eq!((&created["readOnly"], &created["responseElements"]), (&json!(false), &Value::Null));

    exchange.status = Some(StatusCode::BAD_REQUEST);
    exchange.response_body = body(cbor(&[("__type", "com.amazonaws.kms#AlreadyExistsException"), ("message", "m")]));
    let failed = record(&exchange);
    assert_eq!((&failed["errorCode"], &failed["errorMessage"]), (&json!("AlreadyExistsException"), &json!("m")));

    exchange.request_body = body("no cbor");
    assert_eq!(record(&exchange)["requestParameters"], json!({ "omitted": true }));
}

#[test]
fn rpc_v2_calls_lose_their_secrets_too() {
    let mut exchange = exchange("POST", "/service/secretsmanager/operation/PutSecretValue", "secretsmanager");
    with_header(&mut exchange.request_headers, "smithy-protocol", "rpc-v2-cbor");
    exchange.request_body = body(cbor(&[("SecretId", "s"), ("SecretString", "hush")]));
    exchange.response_body = body(cbor(&[("ARN", "arn:aws:secretsmanager:us-east-1:111122223333:secret:s")]));
    let record = record(&exchange);
    assert_eq!(record["requestParameters"]["secretId"], "s");
    assert!(record["responseElements"]["arn"].is_string());
    assert!(!record.to_string().contains("hush"));
}

#[test]
fn an_object_whose_key_looks_like_a_call_stays_an_object() {
    let mut exchange = exchange("POST", "/bucket/service/S/operation/O", "s3");
    with_header(&mut exchange.request_headers, "smithy-protocol", "rpc-v2-cbor");
    assert_eq!(record(&exchange)["eventSource"], "s3.amazonaws.com");
}
