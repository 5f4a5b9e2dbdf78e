use super::*;

use SelectorField as F;

/// Field, operator and values.
type Given<'a> = (F, &'a str, &'a [&'a str]);

fn selector(fields: &[Given<'_>]) -> AdvancedEventSelector {
    let mut made = AdvancedEventSelector::default();
    for (field, operator, values) in fields {
        let mut one = FieldSelector::of(*field);
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        match *operator {
            "Equals" => one.equals = values,
            "StartsWith" => one.starts_with = values,
            "EndsWith" => one.ends_with = values,
            "NotEquals" => one.not_equals = values,
            "NotStartsWith" => one.not_starts_with = values,
            "NotEndsWith" => one.not_ends_with = values,
            other => panic!("{other} is no operator"),
        }
        made.field_selectors.push(one);
    }
    made
}

const OPERATORS: [&str; 6] = ["Equals", "StartsWith", "EndsWith", "NotEquals", "NotStartsWith", "NotEndsWith"];

/// What a selector of the category needs, but for `field`.
fn needed(category: &'static str, field: F) -> Vec<Given<'static>> {
    let category: Given<'static> = match category {
        "Management" => (F::EventCategory, "Equals", &["Management"]),
        "Data" => (F::EventCategory, "Equals", &["Data"]),
        "NetworkActivity" => (F::EventCategory, "Equals", &["NetworkActivity"]),
        "Evidence" => (F::EventCategory, "Equals", &["Evidence"]),
        other => panic!("{other}"),
    };
    let kind: Given<'_> = (F::ResourcesType, "Equals", &["AWS::S3::Object"]);
    let source: Given<'_> = (F::EventSource, "Equals", &["s3.amazonaws.com"]);
    let all = match category.2[0] {
        "Data" => vec![category, kind],
        "NetworkActivity" => vec![category, source],
        _ => vec![category],
    };
    all.into_iter().filter(|(needed, ..)| *needed != field).collect()
}

/// A value that the field takes, if it can be used with the category at all.
fn good_value(field: F, category: &str) -> &'static str {
    match (field, category) {
        (F::ErrorCode, _) => "VpceAccessDenied",
        (F::EventCategory, _) => unreachable!("tested apart"),
        (F::EventName, _) => "PutObject",
        (F::EventSource, "Management") => "kms.amazonaws.com",
        (F::EventSource, _) => "s3.amazonaws.com",
        (F::EventType, _) => "AwsApiCall",
        (F::ReadOnly, _) => "false",
        (F::ResourcesArn, _) => "arn:aws:s3:::bucket/key",
        (F::ResourcesType, _) => "AWS::S3::Object",
        (F::SessionCredentialFromConsole, _) => "true",
        (F::UserIdentityArn, _) => "arn:aws:iam::111122223333:user/alice",
        (F::VpcEndpointId, _) => "vpce-1",
    }
}

/// The operators that may be used, by the tables of the User Guide; an empty text when the field may not be used.
fn documented(field: F, category: &str, holder: Holder) -> &'static str {
    let store = holder == Holder::EventDataStore;
    let any = "Equals StartsWith EndsWith NotEquals NotStartsWith NotEndsWith";
    match (field, category) {
        (_, "Evidence") => "",
        (F::ReadOnly, "Management" | "Data") => "Equals",
        (F::EventSource, "Management") if !store => "NotEquals",
        (F::EventSource, "Management" | "Data") => any,
        (F::EventSource, "NetworkActivity") => "Equals",
        (F::EventName, "Data" | "NetworkActivity") => any,
        (F::EventType | F::UserIdentityArn | F::ResourcesArn, "Data") => any,
        (F::EventName | F::EventType | F::UserIdentityArn, "Management") if store => any,
        (F::SessionCredentialFromConsole, "Data") => "Equals NotEquals",
        (F::SessionCredentialFromConsole, "Management") if store => "Equals NotEquals",
        (F::ResourcesType, "Data") => "Equals",
        (F::ErrorCode, "NetworkActivity") => "Equals",
        (F::VpcEndpointId, "NetworkActivity") => any,
        _ => "",
    }
}

#[test]
fn each_field_takes_the_documented_operators_in_each_category() {
    let mut combinations = 0;
    for holder in [Holder::Trail, Holder::EventDataStore] {
        let categories: &[&'static str] = match holder {
            Holder::Trail => &["Management", "Data", "NetworkActivity"],
            Holder::EventDataStore => &["Management", "Data", "NetworkActivity", "Evidence"],
        };
        for category in categories {
            for field in F::ALL.into_iter().filter(|field| *field != F::EventCategory) {
                for operator in OPERATORS {
                    let value = [good_value(field, category)];
                    let mut fields = needed(category, field);
                    fields.push((field, operator, &value));
                    let given = validate(&[selector(&fields)], holder);
                    let allowed = documented(field, category, holder);
                    let context = format!("{holder:?} {category} {field} {operator}");
                    if allowed.split(' ').any(|allowed| allowed == operator) {
                        assert_eq!(given, Ok(()), "{context}");
                    } else {
                        let E::Advanced { number: 1, error } = given.unwrap_err() else { panic!("{context}") };
                        let as_told = match error {
                            FieldError::NotOfCategory { .. } => allowed.is_empty(),
                            FieldError::Operator { operator: told, .. } => !allowed.is_empty() && told == operator,
                            _ => false,
                        };
                        assert!(as_told, "{context}: {error}");
                    }
                    combinations += 1;
                }
            }
        }
    }
    assert_eq!(combinations, (3 + 4) * 10 * 6);
}

fn error(fields: &[Given<'_>]) -> String {
    let E::Advanced { number: 1, error } = validate(&[selector(fields)], Holder::Trail).unwrap_err() else {
        panic!("the selector is at fault")
    };
    error.to_string()
}

const DATA_EVENTS: Given<'_> = (F::EventCategory, "Equals", &["Data"]);
const OBJECTS: Given<'_> = (F::ResourcesType, "Equals", &["AWS::S3::Object"]);
const NETWORK: Given<'_> = (F::EventCategory, "Equals", &["NetworkActivity"]);
const MANAGEMENT_EVENTS: Given<'_> = (F::EventCategory, "Equals", &["Management"]);

#[test]
fn a_category_is_needed_and_is_one_of_the_holders() {
    assert_eq!(error(&[]), "the field eventCategory is required");
    assert_eq!(error(&[OBJECTS]), "the field eventCategory is required");
    assert_eq!(error(&[(F::EventCategory, "Equals", &[])]), "the field eventCategory has no values");
    assert_eq!(
        error(&[(F::EventCategory, "Equals", &["Management", "Data"])]),
        "the field eventCategory takes exactly one value; 2 were given"
    );
    assert_eq!(
        error(&[(F::EventCategory, "NotEquals", &["Data"])]),
        "the field eventCategory takes Equals only, not NotEquals"
    );
    let insight = [(F::EventCategory, "Equals", &["Insight"][..])];
    assert_eq!(
        error(&insight),
        "the value Insight of the field eventCategory is invalid: it is Management, Data or NetworkActivity"
    );
    assert_eq!(validate(&[selector(&insight)], Holder::EventDataStore), Ok(()));
    let aggregated = [(F::EventCategory, "Equals", &["Aggregated"][..])];
    assert!(validate(&[selector(&aggregated)], Holder::EventDataStore).is_err());
}

#[test]
fn what_a_category_needs_must_be_there() {
    assert_eq!(error(&[DATA_EVENTS]), "the field resources.type is required where eventCategory is Data");
    assert_eq!(error(&[NETWORK]), "the field eventSource is required where eventCategory is NetworkActivity");
}

#[test]
fn values_are_checked_by_field() {
    let bad: [(&[Given<'_>], &str); 11] = [
        (&[MANAGEMENT_EVENTS, (F::ReadOnly, "Equals", &["True"])], "True of the field readOnly"),
        (&[MANAGEMENT_EVENTS, (F::ReadOnly, "Equals", &["true", "false"])], "exactly one value; 2"),
        (&[MANAGEMENT_EVENTS, (F::EventSource, "NotEquals", &["s3.amazonaws.com"])], "s3.amazonaws.com"),
        (&[DATA_EVENTS, OBJECTS, (F::SessionCredentialFromConsole, "Equals", &["false"])], "false"),
        (&[DATA_EVENTS, (F::ResourcesType, "Equals", &["AWS::S3::object"])], "AWS::S3::object"),
        (&[DATA_EVENTS, (F::ResourcesType, "Equals", &["s3"])], "s3 of the field resources.type"),
        (&[DATA_EVENTS, (F::ResourcesType, "Equals", &["AWS::S3::Object", "AWS::SNS::Topic"])], "exactly one value"),
        (&[NETWORK, (F::EventSource, "Equals", &["iam.amazonaws.com"])], "iam.amazonaws.com"),
        (&[NETWORK, (F::EventSource, "Equals", &["s3.amazonaws.com", "kms.amazonaws.com"])], "exactly one value"),
        (
            &[NETWORK, (F::EventSource, "Equals", &["s3.amazonaws.com"]), (F::ErrorCode, "Equals", &["AccessDenied"])],
            "VpceAccessDenied",
        ),
        (&[DATA_EVENTS, OBJECTS, (F::EventName, "Equals", &[])], "the field eventName has no values"),
    ];
    for (fields, part) in bad {
        assert!(error(fields).contains(part), "{} does not tell {part}", error(fields));
    }
    let both = [MANAGEMENT_EVENTS, (F::EventSource, "NotEquals", &["kms.amazonaws.com", "rdsdata.amazonaws.com"])];
    assert_eq!(validate(&[selector(&both)], Holder::Trail), Ok(()));
}

#[test]
fn whole_arns_of_the_type_are_needed_to_be_equal_but_not_to_begin() {
    let arns = |kind, operator, arn| {
        let fields: [Given<'_>; 3] =
            [DATA_EVENTS, (F::ResourcesType, "Equals", &[kind]), (F::ResourcesArn, operator, &[arn])];
        validate(&[selector(&fields)], Holder::Trail).map_err(|error| error.to_string())
    };
    let (objects, tables) = ("AWS::S3::Object", "AWS::DynamoDB::Table");
    let table = "arn:aws:dynamodb:us-east-1:111122223333:table/t";
    assert_eq!(arns(objects, "Equals", "arn:aws:s3:::bucket/"), Ok(()));
    assert_eq!(arns(objects, "StartsWith", "arn:aws:s3:::"), Ok(()));
    assert_eq!(arns(objects, "NotEndsWith", "/"), Ok(()));
    assert_eq!(arns(tables, "NotEquals", table), Ok(()));
    assert_eq!(arns("AWS::Brand::New", "Equals", table), Ok(()));
    assert!(arns(objects, "Equals", "arn:aws:s3").unwrap_err().contains("whole ARNs"));
    assert!(arns(objects, "NotEquals", "bucket/").unwrap_err().contains("whole ARNs"));
    assert!(arns(objects, "Equals", table).unwrap_err().contains("not the ARN of a resource of resources.type"));
    assert!(arns("AWS::XRay::Trace", "StartsWith", "arn").unwrap_err().contains("have no ARN"));
}

#[test]
fn a_field_is_given_once_and_does_not_contradict_itself() {
    let twice = [DATA_EVENTS, OBJECTS, (F::EventName, "Equals", &["A"][..]), (F::EventName, "NotEquals", &["B"])];
    assert!(error(&twice).starts_with("the field eventName is given more than once"));
    let mut contradiction = selector(&[DATA_EVENTS, OBJECTS, (F::EventName, "StartsWith", &["Get", "Put"])]);
    contradiction.field_selectors[2].not_starts_with = vec!["Put".into()];
    assert_eq!(
        validate(&[contradiction.clone()], Holder::Trail).unwrap_err().to_string(),
        "Advanced event selector 1 is invalid: the value Put of the field eventName is both included by StartsWith and \
         excluded by NotStartsWith."
    );
    contradiction.field_selectors[2].not_starts_with = vec!["PutObjectAcl".into()];
    assert_eq!(validate(&[contradiction], Holder::Trail), Ok(()));
}

#[test]
fn there_are_500_values_over_all_selectors() {
    let names: Vec<String> = (0..498).map(|i| format!("Name{i}")).collect();
    let mut full = selector(&[DATA_EVENTS, OBJECTS, (F::EventName, "Equals", &[])]);
    full.field_selectors[2].equals = names;
    assert_eq!(validate(&[full.clone()], Holder::Trail), Ok(()));
    let over = [selector(&[MANAGEMENT_EVENTS]), full];
    assert_eq!(validate(&over, Holder::Trail), Err(E::Values { given: 501, max: 500 }));
    let many = vec![selector(&[MANAGEMENT_EVENTS]); 6];
    assert_eq!(validate(&many, Holder::Trail), Ok(()));
    assert_eq!(validate(&many, Holder::EventDataStore), Err(E::Count { given: 6, max: 5 }));
    assert_eq!(validate(&[], Holder::Trail), Err(E::Count { given: 0, max: 500 }));
    let at_second = [selector(&[MANAGEMENT_EVENTS]), selector(&[DATA_EVENTS])];
    assert!(matches!(validate(&at_second, Holder::Trail), Err(E::Advanced { number: 2, .. })));
}

#[test]
fn some_categories_stand_alone_in_a_store() {
    let of = |category: &'static str| selector(&[(F::EventCategory, "Equals", &[category])]);
    let mixed = validate(&[of("Management"), of("ConfigurationItem")], Holder::EventDataStore);
    assert_eq!(mixed, Err(E::Mixed { category: "ConfigurationItem".into() }));
    assert_eq!(validate(&[of("Evidence"), of("Evidence")], Holder::EventDataStore), Ok(()));
}
