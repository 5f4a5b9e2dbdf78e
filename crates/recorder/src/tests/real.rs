//! Our records beside genuine ones of the same calls. The genuine ones are not part of the repository.

use std::path::PathBuf;

use super::*;

/// The first genuine record of this source, operation and outcome; `None` with a message where the folder is absent.
fn genuine(file: &str, source: &str, operation: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    };
    let found = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|record| record["eventSource"] == source && record["eventName"] == operation);
    Some(found.unwrap_or_else(|| panic!("{file} has no {operation}")))
}

fn sorted(value: &Value) -> Vec<&str> {
    let mut keys = keys(value);
    keys.sort_unstable();
    keys
}

/// Genuine S3 records of 2020 lack nothing of ours but what came with a later `eventVersion`.
#[test]
fn s3_data_events_look_like_genuine_ones() {
    for (operation, uri) in [("ListObjects", "/?list-type=2&prefix=&encoding-type=url"), ("GetObject", "/ring.txt")] {
        let Some(genuine) = genuine("otrf-security-datasets.ndjson", "s3.amazonaws.com", operation) else { return };
        let mut exchange = exchange("GET", uri, "s3");
        exchange.tls = Some(tls());
        let bucket = genuine["requestParameters"]["bucketName"].as_str().unwrap();
        with_header(&mut exchange.request_headers, "host", &format!("{bucket}.s3.amazonaws.com"));
        with_header(&mut exchange.response_headers, "x-amz-request-id", "A471D1060ED5FD07");
        with_header(&mut exchange.response_headers, "x-amz-id-2", "x=");
        let mut ours = record(&exchange);
        assert_eq!(sorted(&ours["requestParameters"]), sorted(&genuine["requestParameters"]));
        assert_eq!(ours["requestParameters"], genuine["requestParameters"]);
        assert_eq!(sorted(&ours["additionalEventData"]), sorted(&genuine["additionalEventData"]));
        for (ours, genuine) in
            ours["resources"].as_array().unwrap().iter().zip(genuine["resources"].as_array().unwrap())
        {
            assert_eq!(sorted(ours), sorted(genuine));
        }
        for same in ["eventName", "eventSource", "eventType", "eventCategory", "managementEvent", "readOnly"] {
            assert_eq!(ours[same], genuine[same], "{same}");
        }
        assert!(ours.as_object_mut().unwrap().remove("tlsDetails").is_some());
        assert_eq!(sorted(&ours), sorted(&genuine));
    }
}

#[test]
fn json_management_events_look_like_genuine_ones() {
    for (source, operation, target) in [
        ("cloudtrail.amazonaws.com", "DeleteTrail", "CloudTrail_20131101.DeleteTrail"),
        ("cloudtrail.amazonaws.com", "PutEventSelectors", "CloudTrail_20131101.PutEventSelectors"),
        ("ssm.amazonaws.com", "DescribeInstanceInformation", "AmazonSSM.DescribeInstanceInformation"),
        ("ssm.amazonaws.com", "SendCommand", "AmazonSSM.SendCommand"),
        ("ssm.amazonaws.com", "GetParameters", "AmazonSSM.GetParameters"),
        ("secretsmanager.amazonaws.com", "GetSecretValue", "secretsmanager.GetSecretValue"),
        ("secretsmanager.amazonaws.com", "BatchGetSecretValue", "secretsmanager.BatchGetSecretValue"),
    ] {
        let Some(genuine) = genuine("stratus-red-team.ndjson", source, operation) else { return };
        let service = source.split('.').next().unwrap();
        let request = capitalized(&genuine["requestParameters"]);
        let mut exchange = json_call(target, service, &request, &capitalized(&genuine["responseElements"]));
        exchange.tls = Some(tls());
        let ours = record(&exchange);
        assert_eq!(ours["requestParameters"], genuine["requestParameters"], "{operation}");
        assert_eq!(ours["responseElements"], genuine["responseElements"], "{operation}");
        assert_eq!(ours["readOnly"], genuine["readOnly"], "{operation}");
        for key in genuine.as_object().unwrap().keys().filter(|key| *key != "resources") {
            assert!(ours.get(key).is_some(), "{operation} has no {key}");
        }
    }
}

/// The request that makes such parameters.
fn capitalized(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let mut characters = name.chars();
                let first = characters.next().unwrap().to_ascii_uppercase();
                (format!("{first}{}", characters.as_str()), capitalized(value))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(capitalized).collect(),
        other => other.clone(),
    }
}
