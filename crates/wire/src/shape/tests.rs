//! The messages are those that AWS's services print, as quoted in public issue threads and documentation.

use serde_json::{Value, json};

use super::{InputError, List, Map, Member, Shape, Text, Validate, Whole, check};
use crate::cloudtrail::{
    CreateDashboardInput, CreateEventDataStoreInput, CreateTrailInput, GetQueryResultsInput, LookupEventsInput,
    Operation, StartQueryInput,
};
use crate::json::{parse_input, read_input};

fn refused<T: Validate + serde::de::DeserializeOwned + std::fmt::Debug>(input: &Value) -> (String, String) {
    let exception = read_input::<T>(input.to_string().as_bytes()).unwrap_err();
    (exception.name.into_owned(), exception.message)
}

#[test]
fn an_input_within_its_constraints_is_read() {
    let input =
        json!({ "Name": "t", "S3BucketName": "b", "EnableLogFileValidation": true, "SnsTopicName": null, "X": 1 });
    let input: CreateTrailInput = read_input(input.to_string().as_bytes()).unwrap();
    assert_eq!((input.name.as_str(), input.s3_bucket_name.as_str()), ("t", "b"));
    assert_eq!((input.enable_log_file_validation, input.sns_topic_name), (Some(true), None));
}

#[test]
fn an_empty_body_is_an_empty_input() {
    assert_eq!(read_input::<LookupEventsInput>(b"").unwrap(), LookupEventsInput::default());
    assert_eq!(read_input::<LookupEventsInput>(b" \n").unwrap(), LookupEventsInput::default());
}

#[test]
fn every_missing_member_is_told() {
    let (name, message) = refused::<CreateTrailInput>(&json!({ "Name": null }));
    assert_eq!(name, "ValidationException");
    assert_eq!(
        message,
        "2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; \
         Value null at 's3BucketName' failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn numbers_out_of_range_are_told() {
    let (_, message) = refused::<LookupEventsInput>(&json!({ "MaxResults": 51 }));
    assert_eq!(
        message,
        "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have value \
         less than or equal to 50"
    );
    let (_, message) = refused::<LookupEventsInput>(&json!({ "MaxResults": 0 }));
    assert!(message.ends_with("Member must have value greater than or equal to 1"), "{message}");
}

#[test]
fn values_outside_an_enumeration_are_told_with_their_place() {
    let attributes = json!([{ "AttributeKey": "EventName", "AttributeValue": "x" }, { "AttributeKey": "Color", "AttributeValue": "red" }]);
    let (_, message) = refused::<LookupEventsInput>(&json!({ "LookupAttributes": attributes }));
    assert_eq!(
        message,
        "1 validation error detected: Value 'Color' at 'lookupAttributes.2.member.attributeKey' failed to satisfy \
         constraint: Member must satisfy enum value set: [EventId, EventName, ReadOnly, Username, ResourceType, \
         ResourceName, EventSource, AccessKeyId]"
    );
}

#[test]
fn lengths_and_patterns_are_told_as_the_model_spells_them() {
    let (_, message) = refused::<GetQueryResultsInput>(&json!({ "QueryId": "NOT-A-UUID" }));
    assert_eq!(
        message,
        "2 validation errors detected: Value 'NOT-A-UUID' at 'queryId' failed to satisfy constraint: Member must have \
         length greater than or equal to 36; Value 'NOT-A-UUID' at 'queryId' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: ^[a-f0-9\\-]+$"
    );
}

#[test]
fn elements_of_simple_lists_are_told_together() {
    let (_, message) = refused::<StartQueryInput>(&json!({ "QueryParameters": ["ok", ""] }));
    assert_eq!(
        message,
        "1 validation error detected: Value '[ok, ]' at 'queryParameters' failed to satisfy constraint: Member must \
         satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than \
         or equal to 1]"
    );
    let (_, message) = refused::<StartQueryInput>(&json!({ "QueryParameters": [] }));
    assert!(
        message
            .contains("Value '[]' at 'queryParameters' failed to satisfy constraint: Member must have length greater")
    );
}

#[test]
fn keys_and_values_of_maps_are_told_together() {
    let widget = json!({ "QueryStatement": "SELECT 1", "ViewProperties": { "k": "", "long": "fine" } });
    let (_, message) = refused::<CreateDashboardInput>(&json!({ "Name": "board", "Widgets": [widget] }));
    assert_eq!(
        message,
        "2 validation errors detected: Value '{k=, long=fine}' at 'widgets.1.member.viewProperties' failed to satisfy \
         constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must \
         have length greater than or equal to 3, Member must satisfy regular expression pattern: ^[a-zA-Z0-9._\\-]+$]; \
         Value '{k=, long=fine}' at 'widgets.1.member.viewProperties' failed to satisfy constraint: Map value must \
         satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than \
         or equal to 1, Member must satisfy regular expression pattern: ^[a-zA-Z0-9._\\- ]+$]"
    );
}

#[test]
fn wrong_types_are_serialization_errors_and_come_first() {
    for (input, told) in [
        (json!({ "Name": 5 }), "NUMBER_VALUE can not be converted to a String at 'name'"),
        (json!({ "Name": true }), "TRUE_VALUE can not be converted to a String at 'name'"),
        (json!({ "Name": {} }), "Start of structure or map found where not expected: 'name' must be a String"),
        (json!({ "Name": [] }), "Start of list found where not expected: 'name' must be a String"),
        (
            json!({ "IsMultiRegionTrail": "yes" }),
            "STRING_VALUE can not be converted to a Boolean at 'isMultiRegionTrail'",
        ),
        (json!({ "TagsList": {} }), "Start of structure or map found where not expected: 'tagsList' must be a list"),
        (json!({ "TagsList": ["a"] }), "STRING_VALUE can not be converted to a structure at 'tagsList.1.member'"),
        (json!([]), "Start of list found where not expected: the request body must be a structure"),
    ] {
        assert_eq!(refused::<CreateTrailInput>(&input), ("SerializationException".to_owned(), told.to_owned()));
    }
    assert_eq!(refused::<LookupEventsInput>(&json!({ "MaxResults": 1.5 })).0, "SerializationException");
    assert_eq!(refused::<LookupEventsInput>(&json!({ "MaxResults": 3_000_000_000_u32 })).0, "SerializationException");
    assert_eq!(refused::<LookupEventsInput>(&json!({ "StartTime": "soon" })).0, "SerializationException");
}

#[test]
fn what_is_not_json_is_a_serialization_error() {
    for body in [&b"{"[..], b"{\"Name\":\"\xFF\"}", b"{} {}", b"null", "[".repeat(100_000).as_bytes()] {
        let exception = read_input::<LookupEventsInput>(body).unwrap_err();
        assert_eq!(exception.name, "SerializationException");
    }
}

#[test]
fn whole_numbers_may_be_written_with_a_fraction_of_zero() {
    let input: LookupEventsInput =
        read_input(br#"{"MaxResults":5.0,"StartTime":1700000000.5,"EndTime":1700000001}"#).unwrap();
    assert_eq!(input.max_results, Some(5));
    assert_eq!(input.start_time.unwrap().as_millis(), 1_700_000_000_500);
    assert_eq!(input.end_time.unwrap().as_millis(), 1_700_000_001_000);
}

#[test]
fn null_elements_are_told() {
    let (_, message) = refused::<CreateTrailInput>(&json!({ "Name": "t", "S3BucketName": "b", "TagsList": [null] }));
    assert!(message.contains("Value null at 'tagsList.1.member' failed"), "{message}");
}

#[test]
fn long_values_and_long_lists_of_faults_are_cut() {
    let selectors = vec![json!({}); 1000];
    let input = json!({ "Name": "x".repeat(100_000), "AdvancedEventSelectors": selectors });
    let Err(InputError::Invalid(violations)) = parse_input::<CreateEventDataStoreInput>(input.to_string().as_bytes())
    else {
        panic!("the input breaks constraints");
    };
    assert_eq!(violations.len(), 50);
    assert_eq!(violations[0].value.as_ref().unwrap().chars().count(), 1025);
}

#[test]
fn text_is_counted_in_code_points() {
    static SHAPE: Shape = Shape::Text(Text::new().length(None, Some(2)));
    assert_eq!(check(&SHAPE, &mut json!("𝄞é")), Ok(()));
    assert!(check(&SHAPE, &mut json!("abc")).is_err());
}

#[test]
fn numbers_of_64_bits_are_kept_whole() {
    static SHAPE: Shape = Shape::Whole(Whole::of_bits(64));
    assert_eq!(check(&SHAPE, &mut json!(i64::MAX)), Ok(()));
    assert_eq!(check(&SHAPE, &mut json!(i64::MIN)), Ok(()));
    assert!(check(&SHAPE, &mut json!(u64::MAX)).is_err());
}

/// Every pattern below `shape`.
fn patterns<'a>(shape: &'a Shape, found: &mut Vec<&'a super::Pattern>) {
    match shape {
        Shape::Text(Text { pattern: Some(pattern), .. }) => found.push(pattern),
        Shape::List(List { element, .. }) => patterns(element, found),
        Shape::Map(Map { key, value, .. }) => {
            patterns(key, found);
            patterns(value, found);
        }
        Shape::Structure(members) => members.iter().for_each(|Member { shape, .. }| patterns(shape, found)),
        _ => {}
    }
}

#[test]
fn every_generated_pattern_compiles() {
    let mut found = Vec::new();
    Operation::ALL.iter().for_each(|operation| patterns(operation.input_shape(), &mut found));
    crate::cloudtrail_data::Operation::ALL.iter().for_each(|operation| patterns(operation.input_shape(), &mut found));
    crate::iam::Operation::ALL.iter().for_each(|operation| patterns(operation.input_shape(), &mut found));
    crate::organizations::Operation::ALL.iter().for_each(|operation| patterns(operation.input_shape(), &mut found));
    crate::kms::Operation::ALL.iter().for_each(|operation| patterns(operation.input_shape(), &mut found));
    crate::events::Operation::ALL.iter().for_each(|operation| patterns(operation.input_shape(), &mut found));
    assert!(found.len() > 50, "{}", found.len());
    for pattern in found {
        pattern.matches("");
    }
}
