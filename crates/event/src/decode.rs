use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, ListBuilder, StringBuilder, StructBuilder, TimestampMillisecondBuilder,
    UInt8Builder, UInt64Builder,
};
use arrow_schema::{DataType, Field, Fields};
use opentrail_journal::Entry;
use opentrail_model::{Position, Source, Timestamp};
use sonic_rs::{JsonValueTrait, LazyValue};

use crate::{Control, EventBatch, json, lookup};

pub(crate) fn decode(after: Position, entries: &[Entry], resources: bool) -> EventBatch {
    let raw_bytes = entries.iter().map(|entry| entry.body.len()).sum();
    let mut columns = Columns::for_rows(entries.len(), raw_bytes);
    let mut controls = Vec::new();
    for entry in entries {
        if entry.source == Source::Control {
            controls.push(Control {
                position: entry.position,
                received: entry.received,
                account: entry.account,
                body: entry.body.clone(),
            });
        } else {
            columns.push(entry, resources);
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
    session_credential_from_console: BooleanBuilder,
    error_code: StringBuilder,
    vpc_endpoint_id: StringBuilder,
    user_arn: StringBuilder,
    access_key_id: StringBuilder,
    invoked_by: StringBuilder,
    user_agent: StringBuilder,
    username: StringBuilder,
    resources: ListBuilder<StructBuilder>,
    lookup_resources: ListBuilder<StructBuilder>,
}

/// A column of texts, with room for a short one in each row.
fn texts(rows: usize) -> StringBuilder {
    StringBuilder::with_capacity(rows, rows * 32)
}

fn pairs(rows: usize, second: &str) -> ListBuilder<StructBuilder> {
    let fields = Fields::from(vec![Field::new("type", DataType::Utf8, true), Field::new(second, DataType::Utf8, true)]);
    let field = Arc::new(Field::new_struct("element", fields.clone(), false));
    let values = StructBuilder::new(fields, vec![Box::new(texts(rows)), Box::new(texts(rows))]);
    ListBuilder::with_capacity(values, rows).with_field(field)
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
    /// Builders with room for `rows`, and no more: most batches at the tail hold a single record, and Arrow's builders
    /// begin with room for 1,024.
    fn for_rows(rows: usize, raw_bytes: usize) -> Self {
        Self {
            position: UInt64Builder::with_capacity(rows),
            source: UInt8Builder::with_capacity(rows),
            account: UInt64Builder::with_capacity(rows),
            received: TimestampMillisecondBuilder::with_capacity(rows),
            raw: BinaryBuilder::with_capacity(rows, raw_bytes),
            event_time: TimestampMillisecondBuilder::with_capacity(rows),
            region: texts(rows),
            event_id: texts(rows),
            event_name: texts(rows),
            event_source: texts(rows),
            event_type: texts(rows),
            event_category: texts(rows),
            read_only: BooleanBuilder::with_capacity(rows),
            session_credential_from_console: BooleanBuilder::with_capacity(rows),
            error_code: texts(rows),
            vpc_endpoint_id: StringBuilder::with_capacity(rows, 0),
            user_arn: texts(rows),
            access_key_id: texts(rows),
            invoked_by: texts(rows),
            user_agent: texts(rows),
            username: texts(rows),
            resources: pairs(rows, "arn"),
            lookup_resources: pairs(rows, "name"),
        }
    }

    fn push(&mut self, entry: &Entry, resources: bool) {
        self.position.append_value(entry.position.0);
        self.source.append_value(entry.source as u8);
        self.account.append_value(entry.account.as_u64());
        self.received.append_value(entry.received.as_millis());
        self.raw.append_value(&entry.body);

        let record = Top::read(&entry.body);
        let identity = record.identity();
        self.event_time.append_option(time(record.event_time.as_ref()));
        self.region.append_option(text(&record.region));
        self.event_id.append_option(text(&record.event_id).or(text(&record.event_id_of_aggregate)));
        let subject = record.insight_subject();
        self.event_name.append_option(text(&record.event_name).or(text(&subject.event_name)));
        self.event_source.append_option(text(&record.event_source).or(text(&subject.event_source)));
        self.event_type.append_option(text(&record.event_type));
        self.event_category.append_value(category(&record));
        self.read_only.append_option(lenient_bool(&record.read_only));
        self.session_credential_from_console.append_option(lenient_bool(&record.session_credential_from_console));
        self.error_code.append_option(text(&record.error_code));
        self.vpc_endpoint_id.append_option(text(&record.vpc_endpoint_id));
        self.user_arn.append_option(text(&identity.arn));
        self.access_key_id.append_option(text(&identity.access_key_id).filter(|key| !key.is_empty()));
        self.invoked_by.append_option(text(&identity.invoked_by));
        self.user_agent.append_option(text(&record.user_agent));
        self.username.append_option(username(&identity));
        if resources {
            self.push_resources(&record);
        }
        self.resources.append(true);
        self.lookup_resources.append(true);
    }

    fn push_resources(&mut self, record: &Top<'_>) {
        let derived = text(&record.event_source).and_then(|source| {
            lookup::resources(source, record.request_parameters.as_ref(), record.response_elements.as_ref())
        });
        for (kind, name) in derived.iter().flatten() {
            push_pair(&mut self.lookup_resources, Some(kind), Some(name));
        }
        if let Some(list) = record.resources.as_ref().filter(|list| list.is_array()) {
            json::elements(list.as_raw_str(), |resource| {
                let resource = Resource::read(resource);
                let (kind, arn) = (text(&resource.kind), text(&resource.arn).or(text(&resource.arn_prefix)));
                push_pair(&mut self.resources, kind, arn);
                if derived.is_none() && (kind.is_some() || arn.is_some()) {
                    push_pair(&mut self.lookup_resources, kind, arn);
                }
            });
        }
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
            session_credential_from_console: self.session_credential_from_console.finish(),
            error_code: self.error_code.finish(),
            vpc_endpoint_id: self.vpc_endpoint_id.finish(),
            user_arn: self.user_arn.finish(),
            access_key_id: self.access_key_id.finish(),
            invoked_by: self.invoked_by.finish(),
            user_agent: self.user_agent.finish(),
            username: self.username.finish(),
            resources: self.resources.finish(),
            lookup_resources: self.lookup_resources.finish(),
        }
    }
}

/// A record's members that have columns; each the last of its name.
#[derive(Default)]
struct Top<'a> {
    event_time: Option<LazyValue<'a>>,
    region: Option<LazyValue<'a>>,
    event_id: Option<LazyValue<'a>>,
    event_id_of_aggregate: Option<LazyValue<'a>>,
    event_name: Option<LazyValue<'a>>,
    event_source: Option<LazyValue<'a>>,
    event_type: Option<LazyValue<'a>>,
    event_category: Option<LazyValue<'a>>,
    management_event: Option<LazyValue<'a>>,
    read_only: Option<LazyValue<'a>>,
    session_credential_from_console: Option<LazyValue<'a>>,
    error_code: Option<LazyValue<'a>>,
    vpc_endpoint_id: Option<LazyValue<'a>>,
    user_identity: Option<LazyValue<'a>>,
    user_agent: Option<LazyValue<'a>>,
    resources: Option<LazyValue<'a>>,
    request_parameters: Option<LazyValue<'a>>,
    response_elements: Option<LazyValue<'a>>,
    insight_details: Option<LazyValue<'a>>,
}

/// Which calls an event of Insights is about: LookupEvents finds it by them.
#[derive(Default)]
struct Subject<'a> {
    event_name: Option<LazyValue<'a>>,
    event_source: Option<LazyValue<'a>>,
}

impl<'a> Top<'a> {
    /// Bytes that are not one JSON object have no members.
    fn read(raw: &'a [u8]) -> Self {
        let mut top = Self::default();
        let valid = str::from_utf8(raw).is_ok_and(|json| {
            json::members(json, |key, value| {
                let member = match key {
                    "eventTime" => &mut top.event_time,
                    "awsRegion" => &mut top.region,
                    "eventID" => &mut top.event_id,
                    "eventId" => &mut top.event_id_of_aggregate,
                    "eventName" => &mut top.event_name,
                    "eventSource" => &mut top.event_source,
                    "eventType" => &mut top.event_type,
                    "eventCategory" => &mut top.event_category,
                    "managementEvent" => &mut top.management_event,
                    "readOnly" => &mut top.read_only,
                    "sessionCredentialFromConsole" => &mut top.session_credential_from_console,
                    "errorCode" => &mut top.error_code,
                    "vpcEndpointId" => &mut top.vpc_endpoint_id,
                    "userIdentity" => &mut top.user_identity,
                    "userAgent" => &mut top.user_agent,
                    "resources" => &mut top.resources,
                    "requestParameters" => &mut top.request_parameters,
                    "responseElements" => &mut top.response_elements,
                    "insightDetails" => &mut top.insight_details,
                    _ => return,
                };
                *member = Some(value.clone());
            })
        });
        if valid { top } else { Self::default() }
    }

    fn insight_subject(&self) -> Subject<'_> {
        let mut subject = Subject::default();
        let Some(object) = self.insight_details.as_ref().filter(|value| value.is_object()) else { return subject };
        json::members(object.as_raw_str(), |key, value| match key {
            "eventName" => subject.event_name = Some(value.clone()),
            "eventSource" => subject.event_source = Some(value.clone()),
            _ => {}
        });
        subject
    }

    fn identity(&self) -> Identity<'_> {
        let mut identity = Identity::default();
        let Some(object) = self.user_identity.as_ref().filter(|value| value.is_object()) else { return identity };
        json::members(object.as_raw_str(), |key, value| {
            let member = match key {
                "type" => &mut identity.kind,
                "principalId" => &mut identity.principal_id,
                "arn" => &mut identity.arn,
                "accessKeyId" => &mut identity.access_key_id,
                "userName" => &mut identity.user_name,
                "invokedBy" => &mut identity.invoked_by,
                _ => return,
            };
            *member = Some(value.clone());
        });
        identity
    }
}

#[derive(Default)]
struct Identity<'a> {
    kind: Option<LazyValue<'a>>,
    principal_id: Option<LazyValue<'a>>,
    arn: Option<LazyValue<'a>>,
    access_key_id: Option<LazyValue<'a>>,
    user_name: Option<LazyValue<'a>>,
    invoked_by: Option<LazyValue<'a>>,
}

#[derive(Default)]
struct Resource<'a> {
    kind: Option<LazyValue<'a>>,
    arn: Option<LazyValue<'a>>,
    arn_prefix: Option<LazyValue<'a>>,
}

impl<'a> Resource<'a> {
    fn read(value: &'a LazyValue<'a>) -> Self {
        let mut resource = Self::default();
        if value.is_object() {
            json::members(value.as_raw_str(), |key, value| match key {
                "type" => resource.kind = Some(value.clone()),
                "ARN" => resource.arn = Some(value.clone()),
                "ARNPrefix" => resource.arn_prefix = Some(value.clone()),
                _ => {}
            });
        }
        resource
    }
}

fn text<'v>(value: &'v Option<LazyValue<'_>>) -> Option<&'v str> {
    value.as_ref()?.as_str()
}

/// The columns hold milliseconds within chrono's years; a time outside them is no time.
fn time(value: Option<&LazyValue<'_>>) -> Option<i64> {
    value?.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_millis)
}

fn category<'v>(record: &'v Top<'_>) -> &'v str {
    match text(&record.event_category) {
        Some(category) => category,
        None if text(&record.event_type) == Some("AwsCloudTrailInsight") => "Insight",
        None if lenient_bool(&record.management_event) == Some(false) => "Data",
        None => "Management",
    }
}

fn lenient_bool(value: &Option<LazyValue<'_>>) -> Option<bool> {
    let value = value.as_ref()?;
    value.as_bool().or_else(|| match value.as_str()? {
        s if s.eq_ignore_ascii_case("true") => Some(true),
        s if s.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

/// LookupEvents' `Username`, as observed: the session's name for roles and federated users, `root` for root, nothing
/// for services and other accounts, else `userName`.
fn username<'v>(identity: &'v Identity<'_>) -> Option<&'v str> {
    match text(&identity.kind) {
        Some("Root") => Some("root"),
        Some("AssumedRole" | "FederatedUser") => {
            let of_principal = text(&identity.principal_id).and_then(|id| id.split_once(':')).map(|(_, name)| name);
            of_principal.or_else(|| text(&identity.arn).and_then(|arn| arn.rsplit_once('/')).map(|(_, name)| name))
        }
        Some("AWSService" | "AWSAccount") => None,
        _ => text(&identity.user_name),
    }
}
