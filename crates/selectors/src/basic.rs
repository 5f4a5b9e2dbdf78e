//! What makes basic event selectors valid. (API Reference, PutEventSelectors and EventSelector; User Guide, "Logging
//! data events".)

use opentrail_model::{Arn, DataResource, EventSelector};

use crate::SelectorError;
use crate::resources::BasicType;

/// Selectors of a trail.
const MAX_SELECTORS: usize = 5;
/// Data resource values over all selectors of a trail; values that mean all of a kind do not count.
const MAX_VALUES: usize = 250;
/// The services whose management events can be left out. (API Reference, EventSelector,
/// `ExcludeManagementEventSources`.)
pub(crate) const EXCLUDABLE_SOURCES: [&str; 2] = ["kms.amazonaws.com", "rdsdata.amazonaws.com"];

pub(crate) fn validate(selectors: &[EventSelector]) -> Result<(), SelectorError> {
    if !(1..=MAX_SELECTORS).contains(&selectors.len()) {
        return Err(SelectorError::Count { given: selectors.len(), max: MAX_SELECTORS });
    }
    for selector in selectors {
        selector.data_resources.iter().try_for_each(validate_resource)?;
        validate_excludes(selector)?;
    }
    let resources = selectors.iter().flat_map(|selector| &selector.data_resources);
    let given = resources.filter_map(|resource| Some((BasicType::named(&resource.kind)?, &resource.values)));
    let given: usize = given.map(|(kind, values)| values.iter().filter(|value| !kind.is_all(value)).count()).sum();
    if given > MAX_VALUES { Err(SelectorError::DataValues { given, max: MAX_VALUES }) } else { Ok(()) }
}

fn validate_resource(resource: &DataResource) -> Result<(), SelectorError> {
    let refused = || SelectorError::DataType { kind: resource.kind.clone() };
    let kind = BasicType::named(&resource.kind).ok_or_else(refused)?;
    match resource.values.iter().find(|value| !is_value(kind, value)) {
        Some(value) => Err(SelectorError::DataValue { value: value.clone() }),
        None => Ok(()),
    }
}

fn validate_excludes(selector: &EventSelector) -> Result<(), SelectorError> {
    let can_be_excluded = |name: &&String| EXCLUDABLE_SOURCES.contains(&name.as_str());
    match selector.exclude_management_event_sources.iter().find(|name| !can_be_excluded(name)) {
        Some(name) => Err(SelectorError::Excluded { event_source: name.clone() }),
        None => Ok(()),
    }
}

/// Whether the value means all of the type, or is the ARN of a resource of it. No wildcards.
fn is_value(kind: BasicType, value: &str) -> bool {
    let names_one: fn(&Arn) -> bool = match kind {
        BasicType::Object => is_in_bucket,
        BasicType::Function => |arn| is_one(arn, "function:"),
        BasicType::Table => |arn| is_one(arn, "table/"),
    };
    let is_one = |arn: Arn| arn.service() == kind.service() && names_one(&arn);
    kind.is_all(value) || (!value.contains('*') && value.parse().is_ok_and(is_one))
}

/// `arn:aws:s3:::bucket/` with what the keys begin with. The slash is needed for a bare bucket too, so that `logs` does
/// not take `logs-2` along.
fn is_in_bucket(arn: &Arn) -> bool {
    let names_bucket = arn.resource().split_once('/').is_some_and(|(bucket, _)| !bucket.is_empty());
    arn.region().is_empty() && arn.account().is_empty() && names_bucket
}

/// The ARN of a function without a version or alias, or of a table without an index or stream.
fn is_one(arn: &Arn, prefix: &str) -> bool {
    let name = arn.resource().strip_prefix(prefix).unwrap_or_default();
    !arn.region().is_empty() && !arn.account().is_empty() && !name.is_empty() && !name.contains([':', '/'])
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
            ("AWS::S3::Object", "arn:aws:s3:eu-west-1:111122223333:accesspoint/a"),
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
        assert_eq!(validate(&[]), Err(E::Count { given: 0, max: 5 }));
        assert_eq!(validate(&vec![EventSelector::default(); 5]), Ok(()));
        assert_eq!(validate(&vec![EventSelector::default(); 6]), Err(E::Count { given: 6, max: 5 }));
        let kind = "AWS::SNS::Topic".to_owned();
        assert_eq!(validate(&[data(&kind, &["arn:aws:sns"])]), Err(E::DataType { kind }));
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
        assert_eq!(validate(&[half.clone(), half, one]), Err(SelectorError::DataValues { given: 251, max: 250 }));
    }
}
