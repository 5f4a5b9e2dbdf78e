use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, ListBuilder, StringBuilder, StructBuilder, TimestampMillisecondBuilder,
    UInt8Builder, UInt64Builder,
};
use arrow_schema::{DataType, Field, Fields};
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use serde_json::Value;

use crate::{Control, EventBatch};

pub(crate) fn decode(after: Position, entries: &[Entry]) -> EventBatch {
    let mut columns = Columns::new();
    let mut controls = Vec::new();
    for entry in entries {
        if entry.source == Source::Control {
            controls.push(Control { position: entry.position, account: entry.account, body: entry.body.clone() });
        } else {
            columns.push(entry);
        }
    }
    columns.finish(after, entries.last().map_or(after, |entry| entry.position), controls)
}

struct Columns {
    position: UInt64Builder,
    source: UInt8Builder,
    account: UInt64Builder,
    received: TimestampMillisecondBuilder,
    raw: BinaryBuilder,
    event_time: TimestampMillisecondBuilder,
    region: StringBuilder,
    event_id: StringBuilder,
    event_name: StringBuilder,
    event_source: StringBuilder,
    event_type: StringBuilder,
    event_category: StringBuilder,
    read_only: BooleanBuilder,
    error_code: StringBuilder,
    user_arn: StringBuilder,
    access_key_id: StringBuilder,
    invoked_by: StringBuilder,
    username: StringBuilder,
    resources: ListBuilder<StructBuilder>,
    lookup_resources: ListBuilder<StructBuilder>,
}

fn pairs(second: &str) -> ListBuilder<StructBuilder> {
    let fields = Fields::from(vec![Field::new("type", DataType::Utf8, true), Field::new(second, DataType::Utf8, true)]);
    let field = Arc::new(Field::new_struct("element", fields.clone(), false));
    let values = StructBuilder::new(fields, vec![Box::new(StringBuilder::new()), Box::new(StringBuilder::new())]);
    ListBuilder::new(values).with_field(field)
}

fn push_pair(list: &mut ListBuilder<StructBuilder>, first: Option<&str>, second: Option<&str>) {
    let pair = list.values();
    for (index, value) in [first, second].into_iter().enumerate() {
        let builder = pair.field_builder::<StringBuilder>(index).expect("pairs are two texts");
        builder.append_option(value);
    }
    pair.append(true);
}

impl Columns {
    fn new() -> Self {
        Self {
            position: UInt64Builder::new(),
            source: UInt8Builder::new(),
            account: UInt64Builder::new(),
            received: TimestampMillisecondBuilder::new(),
            raw: BinaryBuilder::new(),
            event_time: TimestampMillisecondBuilder::new(),
            region: StringBuilder::new(),
            event_id: StringBuilder::new(),
            event_name: StringBuilder::new(),
            event_source: StringBuilder::new(),
            event_type: StringBuilder::new(),
            event_category: StringBuilder::new(),
            read_only: BooleanBuilder::new(),
            error_code: StringBuilder::new(),
            user_arn: StringBuilder::new(),
            access_key_id: StringBuilder::new(),
            invoked_by: StringBuilder::new(),
            username: StringBuilder::new(),
            resources: pairs("arn"),
            lookup_resources: pairs("name"),
        }
    }

    fn push(&mut self, entry: &Entry) {
        self.position.append_value(entry.position.0);
        self.source.append_value(entry.source as u8);
        self.account.append_value(entry.account.as_u64());
        self.received.append_value(entry.received.as_millis());
        self.raw.append_value(&entry.body);

        let record: Value = serde_json::from_slice(&entry.body).unwrap_or_default();
        let identity = &record["userIdentity"];
        let time = record["eventTime"].as_str().and_then(|t| t.parse::<Timestamp>().ok());
        self.event_time.append_option(time.map(Timestamp::as_millis));
        self.region.append_option(record["awsRegion"].as_str());
        self.event_id.append_option(record["eventID"].as_str().or(record["eventId"].as_str()));
        self.event_name.append_option(record["eventName"].as_str());
        self.event_source.append_option(record["eventSource"].as_str());
        self.event_type.append_option(record["eventType"].as_str());
        self.event_category.append_value(category(&record));
        self.read_only.append_option(lenient_bool(&record["readOnly"]));
        self.error_code.append_option(record["errorCode"].as_str());
        self.user_arn.append_option(identity["arn"].as_str());
        self.access_key_id.append_option(identity["accessKeyId"].as_str().filter(|key| !key.is_empty()));
        self.invoked_by.append_option(identity["invokedBy"].as_str());
        self.username.append_option(username(identity));
        for resource in record["resources"].as_array().into_iter().flatten() {
            let arn = resource["ARN"].as_str().or(resource["ARNPrefix"].as_str());
            push_pair(&mut self.resources, resource["type"].as_str(), arn);
        }
        self.resources.append(true);
        self.lookup_resources.append(true);
    }

    fn finish(mut self, after: Position, through: Position, controls: Vec<Control>) -> EventBatch {
        EventBatch {
            after,
            through,
            controls,
            position: self.position.finish(),
            source: self.source.finish(),
            account: self.account.finish(),
            received: self.received.finish(),
            raw: self.raw.finish(),
            event_time: self.event_time.finish(),
            region: self.region.finish(),
            event_id: self.event_id.finish(),
            event_name: self.event_name.finish(),
            event_source: self.event_source.finish(),
            event_type: self.event_type.finish(),
            event_category: self.event_category.finish(),
            read_only: self.read_only.finish(),
            error_code: self.error_code.finish(),
            user_arn: self.user_arn.finish(),
            access_key_id: self.access_key_id.finish(),
            invoked_by: self.invoked_by.finish(),
            username: self.username.finish(),
            resources: self.resources.finish(),
            lookup_resources: self.lookup_resources.finish(),
        }
    }
}

fn category(record: &Value) -> &str {
    match record["eventCategory"].as_str() {
        Some(category) => category,
        None if record["eventType"] == "AwsCloudTrailInsight" => "Insight",
        None if lenient_bool(&record["managementEvent"]) == Some(false) => "Data",
        None => "Management",
    }
}

fn lenient_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn username(identity: &Value) -> Option<&str> {
    let principal = identity["principalId"].as_str().unwrap_or_default();
    match identity["type"].as_str() {
        Some("Root") => Some(identity["userName"].as_str().unwrap_or("root")),
        Some("AssumedRole" | "FederatedUser") => principal.split_once(':').map(|(_, session)| session),
        Some("AWSService" | "AWSAccount") => None,
        _ => identity["userName"].as_str(),
    }
}
