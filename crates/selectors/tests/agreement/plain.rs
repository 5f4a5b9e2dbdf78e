//! The rules of event selectors, written plainly over a record as serde_json reads it. Shares no code with the matcher.

use opentrail_model::{
    AdvancedEventSelector, DataResource, EventSelector, FieldSelector, ReadWriteType, SelectorField, Selectors,
};
use serde_json::Value;

pub(crate) fn takes(selectors: &Selectors, record: &Value) -> bool {
    match selectors {
        Selectors::Basic(basic) => basic.iter().any(|selector| takes_basic(selector, record)),
        Selectors::Advanced { advanced } => advanced.iter().any(|selector| takes_advanced(selector, record)),
    }
}

/// Every text that the field has in the record.
pub(crate) fn texts(field: SelectorField, record: &Value) -> Vec<String> {
    match field {
        SelectorField::ResourcesType => resources(record).into_iter().filter_map(|(kind, _)| kind).collect(),
        SelectorField::ResourcesArn => resources(record).into_iter().filter_map(|(_, arn)| arn).collect(),
        field => text(field, record).into_iter().collect(),
    }
}

fn text(field: SelectorField, record: &Value) -> Option<String> {
    let name = field.as_str();
    match field {
        SelectorField::EventCategory => Some(category(record)),
        SelectorField::ReadOnly | SelectorField::SessionCredentialFromConsole => {
            flag(&record[name]).map(|flag| flag.to_string())
        }
        SelectorField::UserIdentityArn => record["userIdentity"]["arn"].as_str().map(str::to_owned),
        _ => record[name].as_str().map(str::to_owned),
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn category(record: &Value) -> String {
    let derived = || {
        if record["eventType"] == "AwsCloudTrailInsight" {
            "Insight"
        } else if flag(&record["managementEvent"]) == Some(false) {
            "Data"
        } else {
            "Management"
        }
    };
    record["eventCategory"].as_str().unwrap_or_else(derived).to_owned()
}

/// Type and ARN of each resource; where the record lists none, the one that its service suggests.
fn resources(record: &Value) -> Vec<(Option<String>, Option<String>)> {
    let listed = record["resources"].as_array().cloned().unwrap_or_default();
    if listed.is_empty() {
        let kind = match record["eventSource"].as_str() {
            Some("s3.amazonaws.com") => Some("AWS::S3::Object"),
            Some("lambda.amazonaws.com") => Some("AWS::Lambda::Function"),
            Some("dynamodb.amazonaws.com") => Some("AWS::DynamoDB::Table"),
            _ => None,
        };
        return vec![(kind.map(str::to_owned), None)];
    }
    let read = |resource: &Value| {
        let arn = resource["ARN"].as_str().or(resource["ARNPrefix"].as_str());
        let service = arn.filter(|arn| arn.starts_with("arn:")).and_then(|arn| arn.split(':').nth(2));
        let of_arn = match service {
            Some("s3") => Some("AWS::S3::Object"),
            Some("lambda") => Some("AWS::Lambda::Function"),
            Some("dynamodb") if arn.is_some_and(|arn| arn.contains("/stream/")) => Some("AWS::DynamoDB::Stream"),
            Some("dynamodb") => Some("AWS::DynamoDB::Table"),
            _ => None,
        };
        (resource["type"].as_str().or(of_arn).map(str::to_owned), arn.map(str::to_owned))
    };
    listed.iter().map(read).collect()
}

fn takes_advanced(selector: &AdvancedEventSelector, record: &Value) -> bool {
    let of_resources = |field| matches!(field, SelectorField::ResourcesType | SelectorField::ResourcesArn);
    let (on_resources, on_texts): (Vec<_>, Vec<_>) =
        selector.field_selectors.iter().partition(|selector| of_resources(selector.field));
    on_texts.iter().all(|selector| holds(selector, text(selector.field, record).as_deref()))
        && (on_resources.is_empty()
            || resources(record).iter().any(|(kind, arn)| {
                on_resources.iter().all(|selector| match selector.field {
                    SelectorField::ResourcesType => holds(selector, kind.as_deref()),
                    _ => holds(selector, arn.as_deref()),
                })
            }))
}

fn holds(selector: &FieldSelector, text: Option<&str>) -> bool {
    let FieldSelector { equals, starts_with, ends_with, not_equals, not_starts_with, not_ends_with, .. } = selector;
    let any = |same: &[String], start: &[String], end: &[String]| {
        text.is_some_and(|text| {
            same.iter().any(|value| value == text)
                || start.iter().any(|value| text.starts_with(value.as_str()))
                || end.iter().any(|value| text.ends_with(value.as_str()))
        })
    };
    let unconditional = equals.is_empty() && starts_with.is_empty() && ends_with.is_empty();
    (unconditional || any(equals, starts_with, ends_with)) && !any(not_equals, not_starts_with, not_ends_with)
}

fn takes_basic(selector: &EventSelector, record: &Value) -> bool {
    let read_only = flag(&record["readOnly"]);
    let direction = match selector.read_write_type {
        ReadWriteType::All => true,
        ReadWriteType::ReadOnly => read_only == Some(true),
        ReadWriteType::WriteOnly => read_only != Some(true),
    };
    direction
        && match category(record).as_str() {
            "Management" => {
                let excluded = &selector.exclude_management_event_sources;
                selector.include_management_events
                    && !excluded.iter().any(|source| record["eventSource"] == source.as_str())
            }
            "Data" => selector.data_resources.iter().any(|wanted| takes_data(wanted, record)),
            _ => false,
        }
}

fn takes_data(wanted: &DataResource, record: &Value) -> bool {
    let (service, types): (&str, &[&str]) = match wanted.kind.as_str() {
        "AWS::S3::Object" => ("s3", &["AWS::S3::Object"]),
        "AWS::Lambda::Function" => ("lambda", &["AWS::Lambda::Function"]),
        _ => ("dynamodb", &["AWS::DynamoDB::Table", "AWS::DynamoDB::Stream"]),
    };
    let means_all = |value: &String| {
        let parts: Vec<&str> = value.split(':').collect();
        match parts[..] {
            ["arn", _, of] => of == service,
            ["arn", _, "s3", "", "", ""] => service == "s3",
            _ => false,
        }
    };
    let all = wanted.values.iter().any(means_all);
    resources(record).iter().any(|(kind, arn)| {
        let named = arn.as_deref().is_some_and(|arn| {
            wanted.values.iter().any(|value| match service {
                "s3" => arn.starts_with(value.as_str()),
                "lambda" => arn == value,
                _ => arn == value || arn.starts_with(&format!("{value}/stream/")),
            })
        });
        kind.as_deref().is_some_and(|kind| types.contains(&kind)) && (all || named)
    })
}
