use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use opentrail_stores::Kind;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::schema::Columns;

/// What the decoder makes of events, and how many members it finds odd.
fn decode(kind: Kind, events: &[impl AsRef<[u8]>]) -> (RecordBatch, u64) {
    let columns = Columns::of(kind);
    let mut decoder = Decoder::new(columns.parts, events.len());
    events.iter().for_each(|event| decoder.push(event.as_ref()));
    let (arrays, odd) = decoder.finish();
    (RecordBatch::try_new(Arc::new(Schema::new(columns.shown.fields().clone())), arrays).unwrap(), odd)
}

/// A value of a column as JSON: times as microseconds, maps as objects.
fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(row).into(),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter();
            fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), value(column, row))).collect()
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| value(&items, item)).collect()
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            (0..entries.len()).map(|entry| (keys.value(entry).to_owned(), value(values, entry))).collect()
        }
        other => panic!("no column has the type {other}"),
    }
}

/// The same by a plain reading of serde_json's values.
fn expected(shape: Shape, value: &Value, odd: &mut u64) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let any = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let boolean = || match value.as_str() {
        Some(text) => text.to_ascii_lowercase().parse().ok(),
        None => value.as_bool(),
    };
    let whole = || value.as_i64().or(value.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64));
    let found = match shape {
        Shape::Text => value.as_str().map(Value::from),
        Shape::Word => value.as_str().map(Value::from).or(value.as_bool().map(|flag| flag.to_string().into())),
        Shape::Any => Some(any(value).into()),
        Shape::Flag => boolean().map(Value::from),
        Shape::Time => {
            let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            time.map(|time| (time.as_millis() * 1000).into())
        }
        Shape::Integer => whole().and_then(|n| i32::try_from(n).ok()).map(Value::from),
        Shape::Double => value.as_f64().map(Value::from),
        Shape::Map => value.as_object().map(|object| {
            let members = object.iter().filter(|(_, value)| !value.is_null());
            members.map(|(key, value)| (key.clone(), any(value).into())).collect::<Map<_, _>>().into()
        }),
        Shape::Struct(parts) => value.as_object().map(|object| expected_parts(parts, object, odd)),
        Shape::List(parts) => value.as_array().map(|items| {
            let item = |item: &Value| match item.as_object() {
                Some(object) => expected_parts(parts, object, odd),
                None => {
                    *odd += u64::from(!item.is_null());
                    Value::Null
                }
            };
            items.iter().map(item).collect()
        }),
    };
    found.unwrap_or_else(|| {
        *odd += 1;
        Value::Null
    })
}

fn expected_parts(parts: &[Part], object: &Map<String, Value>, odd: &mut u64) -> Value {
    let mut columns = Map::new();
    for part in parts {
        let at = |path: Vec<&str>| {
            let found = path[1..].iter().try_fold(object.get(path[0])?, |value, name| value.get(name))?;
            (!found.is_null()).then_some(found)
        };
        let found = part.paths().find_map(at).unwrap_or(&Value::Null);
        columns.insert(part.name(), expected(part.shape, found, odd));
    }
    columns.into()
}

/// Asserts that every column of every event is what a plain reading makes of it.
fn assert_like_serde(kind: Kind, events: &[impl AsRef<[u8]>]) {
    let (batch, odd) = decode(kind, events);
    let mut expected_odd = 0;
    for (row, event) in events.iter().enumerate() {
        let seen = String::from_utf8_lossy(event.as_ref());
        let expected = match serde_json::from_slice::<Value>(event.as_ref()).as_ref().map(Value::as_object) {
            Ok(Some(object)) => expected_parts(Columns::of(kind).parts, object, &mut expected_odd),
            _ => {
                expected_odd += 1;
                expected_parts(Columns::of(kind).parts, &Map::new(), &mut 0)
            }
        };
        for (number, field) in batch.schema().fields().iter().enumerate() {
            let found = value(batch.column(number), row);
            assert_eq!(found, expected[field.name()], "{} of {seen}", field.name());
        }
    }
    assert_eq!(odd, expected_odd);
}

const KINDS: [Kind; 5] =
    [Kind::CloudTrail, Kind::Insight, Kind::ConfigurationItem, Kind::Evidence, Kind::ActivityAuditLog];

#[test]
fn real_records_decode_as_serde_json_reads_them() {
    let records = crate::tests::real_records();
    for kind in KINDS {
        assert_like_serde(kind, &records);
    }
}

/// The published columns, some of each kind, by their paths.
#[test]
fn columns_have_the_published_names_and_types() {
    let type_of = |kind: Kind, path: &str| {
        let fields = Columns::of(kind).shown.fields().clone();
        path.split('.').fold(DataType::Struct(fields), |inside, name| match inside {
            DataType::Struct(fields) => fields.find(name).unwrap_or_else(|| panic!("{path}")).1.data_type().clone(),
            DataType::List(element) => match element.data_type() {
                DataType::Struct(fields) => fields.find(name).unwrap_or_else(|| panic!("{path}")).1.data_type().clone(),
                _ => panic!("{path}"),
            },
            _ => panic!("{path}"),
        })
    };
    let (text, map, time) = (DataType::Utf8, Shape::Map.data_type(), Shape::Time.data_type());
    for (kind, path, expected) in [
        (Kind::CloudTrail, "useridentity.sessioncontext.attributes.creationdate", &time),
        (Kind::CloudTrail, "useridentity.sessioncontext.webidfederationdata.attributes", &map),
        (Kind::CloudTrail, "useridentity.sessioncontext.ec2issuedinvpc", &text),
        (Kind::CloudTrail, "useridentity.inscopeof.credentiaisissuedto", &text),
        (Kind::CloudTrail, "useridentity.onbehalfof.identitystorearn", &text),
        (Kind::CloudTrail, "resources.arnprefix", &text),
        (Kind::CloudTrail, "readonly", &DataType::Boolean),
        (Kind::CloudTrail, "sessioncredentialfromconsole", &text),
        (Kind::CloudTrail, "tlsdetails.clientprovidedhostheader", &text),
        (Kind::CloudTrail, "eventcontext.tagcontext.resourcetags.tags", &map),
        (Kind::CloudTrail, "eventcontext.requestcontext", &map),
        (Kind::CloudTrail, "eventjsonchecksum", &text),
        (Kind::Insight, "insightcontext.attributions.insight.average", &DataType::Float64),
        (Kind::Insight, "insightcontext.baselineduration", &DataType::Int32),
        (Kind::Insight, "insighterrorcode", &text),
        (Kind::ConfigurationItem, "eventdata.configuration", &map),
        (Kind::ConfigurationItem, "eventdata.relationships.resourcename", &text),
        (Kind::Evidence, "eventdata.manualevidences3resourcepath", &text),
        (Kind::Evidence, "eventdata.time", &time),
        (Kind::ActivityAuditLog, "eventdata.useridentity.details", &map),
        (Kind::ActivityAuditLog, "eventdata.errormssage", &text),
        (Kind::ActivityAuditLog, "addendum.originaluid", &text),
        (Kind::ActivityAuditLog, "metadata.channelarn", &text),
    ] {
        assert_eq!(type_of(kind, path), *expected, "{path}");
    }
    let names = Columns::of(Kind::CloudTrail).shown.fields().iter().map(|field| field.name().clone());
    let published = "eventversion useridentity eventtime eventsource eventname awsregion sourceipaddress useragent errorcode \
        errormessage requestparameters responseelements additionaleventdata requestid eventid readonly resources eventtype \
        apiversion managementevent recipientaccountid sharedeventid annotation vpcendpointid vpcendpointaccountid \
        serviceeventdetails addendum edgedevicedetails insightdetails eventcategory tlsdetails \
        sessioncredentialfromconsole eventjson eventjsonchecksum eventcontext";
    assert_eq!(names.collect::<Vec<_>>().join(" "), published);
}

#[test]
fn maps_hold_every_value_as_its_text() {
    let event = r#"{"requestParameters" : { "text":"a\"b", "flag": true, "n": 1.50, "none":null, "x-amz-acl":"",
        "nested" : {"a b" : [1, "c\\\" d", {"e":null}] }, "again":1, "again":"2" }, "responseElements":{}}"#;
    let (batch, odd) = decode(Kind::CloudTrail, &[event]);
    let column = |name: &str| value(batch.column_by_name(name).unwrap(), 0);
    let expected = json!({
        "text": "a\"b", "flag": "true", "n": "1.50", "x-amz-acl": "",
        "nested": r#"{"a b":[1,"c\\\" d",{"e":null}]}"#, "again": "2",
    });
    assert_eq!((column("requestparameters"), column("responseelements"), odd), (expected, json!({}), 0));
    let many: Vec<String> = (0..100).map(|n| format!(r#""k{}":{n}"#, n % 40)).collect();
    let (batch, _) = decode(Kind::CloudTrail, &[format!(r#"{{"requestParameters":{{{}}}}}"#, many.join(","))]);
    let found = value(batch.column_by_name("requestparameters").unwrap(), 0);
    assert_eq!((found.as_object().unwrap().len(), &found["k19"], &found["k39"]), (40, &json!("99"), &json!("79")));
}

#[test]
fn insights_are_understood_flat_and_as_trails_have_them() {
    let attributions = json!([{
        "attribute": "userIdentityArn", "insight": [{ "value": "arn:a", "average": 2.5 }], "baseline": [],
    }]);
    let flat = json!({
        "insightState": "Start", "insightEventName": "RunInstances", "insightType": "ApiCallRateInsight",
        "insightContext": {
            "baselineAverage": 0.5, "insightAverage": 12, "baselineDuration": 10080, "insightDuration": 1,
            "attributions": attributions,
        },
    });
    let nested = json!({ "insightDetails": {
        "state": "Start", "eventName": "RunInstances", "insightType": "ApiCallRateInsight",
        "insightContext": {
            "statistics": {
                "baseline": { "average": 0.5 }, "insight": { "average": 12 },
                "baselineDuration": 10080, "insightDuration": 1,
            },
            "attributions": attributions,
        },
    } });
    let (batch, odd) = decode(Kind::Insight, &[flat.to_string(), nested.to_string()]);
    assert_eq!(odd, 0);
    for column in ["insightstate", "insighteventname", "insighttype", "insightcontext"] {
        let column = batch.column_by_name(column).unwrap();
        assert_eq!(value(column, 0), value(column, 1));
        assert!(column.is_valid(0));
    }
    let context = value(batch.column_by_name("insightcontext").unwrap(), 0);
    assert_eq!((&context["insightaverage"], &context["baselineduration"]), (&json!(12.0), &json!(10080)));
    assert_eq!(context["attributions"][0]["insight"][0]["value"], "arn:a");
}

#[test]
fn what_is_no_event_has_no_columns_and_is_counted() {
    let events: [&[u8]; 6] =
        [b"{\"eventName\":\"X\",oops", b"", b"\xff\xfe", b"[1]", b"\"eventName\"", b"{\"eventName\":\"X\"} {}"];
    for kind in KINDS {
        assert_like_serde(kind, &events);
        assert_eq!(decode(kind, &events).1, 6);
    }
}

fn any_json(keys: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-4000..4000).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["true", "False", "2026-01-02T03:04:05Z", " a \" b "]).prop_map(Value::from),
    ];
    let keys = prop_oneof![8 => prop::sample::select(keys).prop_map(str::to_owned), 1 => "\\PC{0,6}"];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every member that a schema looks at.
fn keys(parts: &[Part], found: &mut Vec<&'static str>) {
    for part in parts {
        found.extend(part.paths().flatten());
        if let Shape::Struct(parts) | Shape::List(parts) = part.shape {
            keys(parts, found);
        }
    }
}

fn event_of(kind: Kind) -> impl Strategy<Value = String> {
    let (mut top, mut all) = (Vec::new(), Vec::new());
    keys(Columns::of(kind).parts, &mut all);
    let columns = Columns::of(kind).parts;
    columns.iter().for_each(|part| top.extend(part.paths().map(|path| path[0])));
    prop::collection::vec((prop::sample::select(top), any_json(all)), 0..12).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?} : {value:#}")).collect();
        format!("{{{}}}", members.join(" ,"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn wrong_types_anywhere_decode_as_serde_json_reads_them(
        trail in event_of(Kind::CloudTrail),
        insight in event_of(Kind::Insight),
        item in event_of(Kind::ConfigurationItem),
        activity in event_of(Kind::ActivityAuditLog),
    ) {
        assert_like_serde(Kind::CloudTrail, &[&trail, &insight]);
        assert_like_serde(Kind::Insight, &[&insight, &item]);
        assert_like_serde(Kind::ConfigurationItem, &[&item, &trail]);
        assert_like_serde(Kind::ActivityAuditLog, &[&activity, &item]);
    }

    #[test]
    fn cut_events_never_panic(cut in 0usize..200) {
        let whole = br#"{"eventName":"A","userIdentity":{"type":"IAMUser","userName":"\u00e9"},"resources":[{"ARN":"x"}],"requestParameters":{"a":{"items":[{"b":"i-1"}]}}}"#;
        assert_like_serde(Kind::CloudTrail, &[&whole[..cut.min(whole.len())]]);
    }
}
