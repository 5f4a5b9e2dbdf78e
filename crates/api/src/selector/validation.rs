//! What makes basic event selectors valid. (API Reference, PutEventSelectors and EventSelector; User Guide, "Logging
//! data events".)

use opentrail_model::{Arn, DataResource, EventSelector};

/// Selectors of a trail.
const MAX_SELECTORS: usize = 5;
/// Data resource values over all selectors of a trail; values that mean all of a kind do not count.
const MAX_VALUES: usize = 250;

/// Why selectors are refused. The texts are AWS's own where they have been observed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error("Specify a valid number of event selectors (1 to {MAX_SELECTORS}) for your trail; {given} were given.")]
    Count { given: usize },
    #[error("Value {given} for ReadWriteType is invalid: use ReadOnly, WriteOnly or All.")]
    ReadWriteType { given: String },
    #[error("AdvancedEventSelectors are not built yet. Use EventSelectors.")]
    Advanced,
    #[error("Specify either EventSelectors or AdvancedEventSelectors, not both.")]
    BothKinds,
    #[error(
        "Specify a valid number of DataResources.Values (0 to {MAX_VALUES}) for all your selectors; {given} were given."
    )]
    Values { given: usize },
    #[error(
        "Value {kind} for DataResources.Type is invalid: basic event selectors take AWS::S3::Object, AWS::Lambda::Function and AWS::DynamoDB::Table."
    )]
    Type { kind: String },
    #[error("Value {value} for DataResources.Values is invalid.")]
    Value { value: String },
    #[error(
        "Value {event_source} for ExcludeManagementEventSources is invalid: only kms.amazonaws.com and rdsdata.amazonaws.com can be excluded."
    )]
    Excluded { event_source: String },
}

/// Checks what a trail is to log.
pub(crate) fn validate(selectors: &[EventSelector]) -> Result<(), SelectorError> {
    if !(1..=MAX_SELECTORS).contains(&selectors.len()) {
        return Err(SelectorError::Count { given: selectors.len() });
    }
    for selector in selectors {
        selector.data_resources.iter().try_for_each(validate_resource)?;
        validate_excludes(selector)?;
    }
    let resources = selectors.iter().flat_map(|selector| &selector.data_resources);
    let given = resources.flat_map(|resource| &resource.values).filter(|value| !means_all(value)).count();
    if given > MAX_VALUES { Err(SelectorError::Values { given }) } else { Ok(()) }
}

fn validate_resource(resource: &DataResource) -> Result<(), SelectorError> {
    let well_formed: fn(&str) -> bool = match resource.kind.as_str() {
        "AWS::S3::Object" => is_s3_value,
        "AWS::Lambda::Function" => is_function,
        "AWS::DynamoDB::Table" => is_table,
        _ => return Err(SelectorError::Type { kind: resource.kind.clone() }),
    };
    match resource.values.iter().find(|value| !well_formed(value)) {
        Some(value) => Err(SelectorError::Value { value: value.clone() }),
        None => Ok(()),
    }
}

fn validate_excludes(selector: &EventSelector) -> Result<(), SelectorError> {
    let can_be_excluded = |name: &&String| matches!(name.as_str(), "kms.amazonaws.com" | "rdsdata.amazonaws.com");
    match selector.exclude_management_event_sources.iter().find(|name| !can_be_excluded(name)) {
        Some(name) => Err(SelectorError::Excluded { event_source: name.clone() }),
        None => Ok(()),
    }
}

fn means_all(value: &str) -> bool {
    match value.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "s3" | "lambda" | "dynamodb"] => !partition.is_empty(),
        ["arn", partition, "s3", "", "", ""] => !partition.is_empty(),
        _ => false,
    }
}

fn is_all_of(service: &str, value: &str) -> bool {
    means_all(value) && value.split(':').nth(2) == Some(service)
}

/// All of S3, or `arn:aws:s3:::bucket/` with what the keys begin with. The slash is needed for a bare bucket too, so
/// that `logs` does not take `logs-2` along.
fn is_s3_value(value: &str) -> bool {
    let names_bucket = |arn: Arn| {
        arn.service() == "s3"
            && arn.region().is_empty()
            && arn.account().is_empty()
            && arn.resource().split_once('/').is_some_and(|(bucket, _)| !bucket.is_empty())
    };
    is_all_of("s3", value) || (!value.contains('*') && value.parse().is_ok_and(names_bucket))
}

/// All of Lambda, or the ARN of a function without a version or alias.
fn is_function(value: &str) -> bool {
    let names_function = |arn: Arn| {
        let name = arn.resource().strip_prefix("function:").unwrap_or_default();
        is_regional(&arn, "lambda") && !name.is_empty() && !name.contains([':', '/'])
    };
    is_all_of("lambda", value) || (!value.contains('*') && value.parse().is_ok_and(names_function))
}

/// All of DynamoDB, or the ARN of a table.
fn is_table(value: &str) -> bool {
    let names_table = |arn: Arn| {
        let name = arn.resource().strip_prefix("table/").unwrap_or_default();
        is_regional(&arn, "dynamodb") && !name.is_empty() && !name.contains([':', '/'])
    };
    is_all_of("dynamodb", value) || (!value.contains('*') && value.parse().is_ok_and(names_table))
}

fn is_regional(arn: &Arn, service: &str) -> bool {
    arn.service() == service && !arn.region().is_empty() && !arn.account().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: &str, values: &[&str]) -> EventSelector {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        EventSelector { data_resources: vec![DataResource { kind: kind.into(), values }], ..EventSelector::default() }
    }

    #[test]
    fn values_that_name_a_resource_or_all_of_a_kind_are_taken() {
        let good = [
            ("AWS::S3::Object", "arn:aws:s3"),
            ("AWS::S3::Object", "arn:aws:s3:::"),
            ("AWS::S3::Object", "arn:aws:s3:::bucket/"),
            ("AWS::S3::Object", "arn:aws:s3:::bucket/a/b:c"),
            ("AWS::Lambda::Function", "arn:aws:lambda"),
            ("AWS::Lambda::Function", "arn:aws:lambda:eu-west-1:111122223333:function:f"),
            ("AWS::DynamoDB::Table", "arn:aws:dynamodb"),
            ("AWS::DynamoDB::Table", "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/t"),
        ];
        for (kind, value) in good {
            assert_eq!(validate(&[data(kind, &[value])]), Ok(()), "{value}");
        }
    }

    #[test]
    fn values_that_do_not_are_refused_by_name() {
        let bad = [
            ("AWS::S3::Object", "arn:aws:s3:::*"),
            ("AWS::S3::Object", "arn:aws:s3:::bucket"),
            ("AWS::S3::Object", "arn:aws:s3:::/key"),
            ("AWS::S3::Object", "arn:aws:s3:::bucket/*"),
            ("AWS::S3::Object", "arn:aws:lambda"),
            ("AWS::S3::Object", ""),
            ("AWS::Lambda::Function", "arn:aws:lambda:eu-west-1:111122223333:function:f:1"),
            ("AWS::Lambda::Function", "arn:aws:lambda:eu-west-1:111122223333:function:*"),
            ("AWS::Lambda::Function", "arn:aws:lambda:::"),
            ("AWS::DynamoDB::Table", "arn:aws:dynamodb:eu-west-1:111122223333:table/t/stream/s"),
            ("AWS::DynamoDB::Table", "t"),
        ];
        for (kind, value) in bad {
            let error = validate(&[data(kind, &[value])]).unwrap_err();
            assert_eq!(error.to_string(), format!("Value {value} for DataResources.Values is invalid."));
        }
    }

    #[test]
    fn counts_kinds_and_excludes_are_checked() {
        use SelectorError as E;
        assert_eq!(validate(&[]), Err(E::Count { given: 0 }));
        assert_eq!(validate(&vec![EventSelector::default(); 6]), Err(E::Count { given: 6 }));
        let kind = "AWS::SNS::Topic".to_owned();
        assert_eq!(validate(&[data(&kind, &["arn:aws:sns"])]), Err(E::Type { kind }));
        let exclude = |name: &str| EventSelector {
            exclude_management_event_sources: vec![name.into()],
            ..EventSelector::default()
        };
        assert_eq!(validate(&[exclude("kms.amazonaws.com")]), Ok(()));
        let event_source = "s3.amazonaws.com".to_owned();
        assert_eq!(validate(&[exclude(&event_source)]), Err(E::Excluded { event_source }));
    }

    #[test]
    fn the_limit_of_values_is_over_all_selectors_and_spares_those_that_mean_all() {
        let tables: Vec<_> = (0..125).map(|i| format!("arn:aws:dynamodb:eu-west-1:111122223333:table/t{i}")).collect();
        let tables: Vec<_> = tables.iter().map(String::as_str).collect();
        let half = data("AWS::DynamoDB::Table", &tables);
        let all = data("AWS::S3::Object", &["arn:aws:s3"]);
        assert_eq!(validate(&[half.clone(), half.clone(), all]), Ok(()));
        let one = data("AWS::S3::Object", &["arn:aws:s3:::bucket/"]);
        assert_eq!(validate(&[half.clone(), half, one]), Err(SelectorError::Values { given: 251 }));
    }
}
