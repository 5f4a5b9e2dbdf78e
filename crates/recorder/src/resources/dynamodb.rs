//! DynamoDB's tables, streams and the like, wherever a request names them. (DynamoDB Developer Guide, "Logging DynamoDB
//! operations by using AWS CloudTrail", and the API Reference's requests.)
//!
//! Only where the API has names of resources they are looked for: items and expressions are the caller's own and may
//! look like anything.

use serde_json::{Map, Value};

use super::{Place, is_arn, member_of};
use crate::partiql;

/// Members with the name or the ARN of a table, or with an ARN below one: of a stream, a backup, an export, an import.
const TABLES: &[&str] = &[
    "TableName",
    "TableArn",
    "StreamArn",
    "SourceTableName",
    "SourceTableArn",
    "TargetTableName",
    "BackupArn",
    "ExportArn",
    "ImportArn",
    "ResourceArn",
];

/// What one entry of a transaction does.
pub(crate) const ENTRIES: &[&str] = &["ConditionCheck", "Delete", "Get", "Put", "Update"];

/// The resources of a request, each once; a table stands behind its stream.
pub(super) fn named(request: &Value, place: &Place<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    let mut add = |resource: Value| {
        if !found.contains(&resource) {
            found.push(resource);
        }
    };
    let text = |value: &Value, member: &str| member_of(value, member).and_then(Value::as_str).map(str::to_owned);
    let mut names: Vec<String> = TABLES.iter().filter_map(|member| text(request, member)).collect();
    if let Some(creation) = member_of(request, "TableCreationParameters") {
        names.extend(text(creation, "TableName"));
    }
    if let Some(Value::Object(tables)) = member_of(request, "RequestItems") {
        names.extend(tables.keys().cloned());
    }
    for entry in list(request, "TransactItems") {
        names.extend(ENTRIES.iter().filter_map(|kind| text(member_of(entry, kind)?, "TableName")));
    }
    for statement in statements(request) {
        names.extend(partiql::table_of(statement).map(|(_, table)| table));
    }
    // An iterator of a stream's shard begins with the stream's ARN.
    let iterator = text(request, "ShardIterator");
    names.extend(iterator.as_deref().and_then(|text| text.split_once('|')).map(|(arn, _)| arn.to_owned()));

    for name in names.iter().filter(|name| !name.is_empty()) {
        let arn = place.arn("dynamodb", "table/", name);
        let Some((head, path)) = arn.split_once(":table/") else {
            // A global table, or the ARN of something that has no table above it.
            if is_arn(name) && name.contains(":global-table/") {
                add(place.resource("AWS::DynamoDB::GlobalTable", name));
            }
            continue;
        };
        let table = path.split('/').next().unwrap_or(path);
        if path.contains("/stream/") {
            add(place.resource("AWS::DynamoDB::Stream", &arn));
        }
        add(place.resource("AWS::DynamoDB::Table", &format!("{head}:table/{table}")));
    }
    if let Some(name) = text(request, "GlobalTableName") {
        let arn = format!("arn:{}:dynamodb::{}:global-table/{name}", place.region.partition(), place.endpoint.account);
        add(place.resource("AWS::DynamoDB::GlobalTable", if is_arn(&name) { &name } else { &arn }));
    }
    found
}

/// The PartiQL statements of a request: one, those of a batch, or those of a transaction.
pub(crate) fn statements(request: &Value) -> impl Iterator<Item = &str> {
    let lists = ["Statements", "TransactStatements"].into_iter().flat_map(move |name| list(request, name));
    let all = lists.filter_map(|entry| member_of(entry, "Statement")).chain(member_of(request, "Statement"));
    all.filter_map(Value::as_str)
}

pub(crate) fn list<'a>(request: &'a Value, member: &str) -> &'a [Value] {
    member_of(request, member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member that is an object.
pub(crate) fn object<'a>(value: &'a Value, member: &str) -> Option<&'a Map<String, Value>> {
    member_of(value, member)?.as_object()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Endpoint;
    use serde_json::json;

    /// Every way in which DynamoDB's requests name resources.
    #[test]
    fn tables_are_found_wherever_a_request_names_them() {
        let endpoint = Endpoint {
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            service: None,
            s3_hosts: Vec::new(),
        };
        let region = "us-east-1".parse().unwrap();
        let place = Place { endpoint: &endpoint, region: &region };
        let table = |name: &str| ("Table", format!("arn:aws:dynamodb:us-east-1:111122223333:table/{name}"));
        let foreign = "arn:aws:dynamodb:us-west-2:444455556666:table/F";
        let stream = format!("{foreign}/stream/2026-01-02T03:04:05.678");
        let streamed = || vec![("Stream", stream.clone()), ("Table", foreign.to_owned())];
        let global = ("GlobalTable", "arn:aws:dynamodb::111122223333:global-table/G".to_owned());
        let put = |table: &str| json!({ "Put": { "TableName": table, "Item": { "TableName": { "S": "no" } } } });
        for (request, expected) in [
            (json!({ "TableName": "T", "Key": { "TableName": { "S": "no" } } }), vec![table("T")]),
            (json!({ "TableName": foreign, "IndexName": "I" }), vec![("Table", foreign.to_owned())]),
            (json!({ "RequestItems": { "A": [], "B": { "Keys": [] } } }), vec![table("A"), table("B")]),
            (json!({ "RequestItems": { "A": [], foreign: [] } }), vec![table("A"), ("Table", foreign.to_owned())]),
            (
                json!({ "TransactItems": [put("A"), { "Get": { "TableName": "B" } }, { "Update": { "TableName": "A" } },
                    { "Delete": { "TableName": "C" } }, { "ConditionCheck": { "TableName": "D" } }] }),
                vec![table("A"), table("B"), table("C"), table("D")],
            ),
            (json!({ "Statement": "SELECT * FROM \"T\"" }), vec![table("T")]),
            (
                json!({ "Statements": [{ "Statement": "DELETE FROM A" }, { "Statement": "UPDATE B SET x=1" }] }),
                vec![table("A"), table("B")],
            ),
            (json!({ "TransactStatements": [{ "Statement": "INSERT INTO A VALUE {}" }] }), vec![table("A")]),
            (json!({ "StreamArn": stream }), streamed()),
            (json!({ "ShardIterator": format!("{stream}|1|AAAAAAAAA") }), streamed()),
            (json!({ "ShardIterator": "opaque" }), vec![]),
            (
                json!({ "BackupArn": format!("{foreign}/backup/01"), "TargetTableName": "T" }),
                vec![table("T"), ("Table", foreign.to_owned())],
            ),
            (json!({ "SourceTableName": "S", "TargetTableName": "T" }), vec![table("S"), table("T")]),
            (json!({ "TableCreationParameters": { "TableName": "T" }, "S3BucketSource": {} }), vec![table("T")]),
            (json!({ "TableArn": foreign, "S3Bucket": "b" }), vec![("Table", foreign.to_owned())]),
            (json!({ "ExportArn": format!("{foreign}/export/01") }), vec![("Table", foreign.to_owned())]),
            (json!({ "ImportArn": format!("{foreign}/import/01") }), vec![("Table", foreign.to_owned())]),
            (json!({ "ResourceArn": foreign, "Tags": [] }), vec![("Table", foreign.to_owned())]),
            (json!({ "GlobalTableName": "G", "ReplicaUpdates": [] }), vec![global]),
            (json!({ "Limit": 10, "ExclusiveStartTableName": "T" }), vec![]),
        ] {
            let found: Vec<_> = named(&request, &place)
                .iter()
                .map(|found| (found["type"].as_str().unwrap().to_owned(), found["ARN"].as_str().unwrap().to_owned()))
                .collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(kind, arn)| (format!("AWS::DynamoDB::{kind}"), arn)).collect();
            assert_eq!(found, expected, "{request}");
        }
    }
}
