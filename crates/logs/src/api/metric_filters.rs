//! Operations on metric filters.

use opentrail_filters::FilterPattern;
use opentrail_wire::logs::{
    self as wire, DeleteMetricFilterInput, DescribeMetricFiltersInput, DescribeMetricFiltersOutput,
    MetricFilterMatchRecord, PutMetricFilterInput, TestMetricFilterInput, TestMetricFilterOutput,
};

use super::Cx;
use super::paging::{behind, limit, token};
use crate::error::{LogsError, invalid};
use crate::metric_filters::check_transformation;
use crate::service::aside;
use crate::store::{FilterRow, MetricFilter, MetricTransformation};

/// AWS has 100 for a log group; 1,000 is a choice of ours, since a trail has one log group.
const MOST_FILTERS: usize = 1000;
/// (CloudWatch Logs User Guide, "CloudWatch Logs quotas": five filter patterns with regular expressions per log group.)
const MOST_WITH_REGEX: usize = 5;

pub(super) async fn put(cx: &Cx<'_>, input: PutMetricFilterInput) -> Result<(), LogsError> {
    let group = cx.group(&input.log_group_name, "logs:PutMetricFilter").await?;
    if input.apply_on_transformed_logs == Some(true) {
        return Err(invalid("Log transformers are not available here: leave applyOnTransformedLogs out."));
    }
    if input.field_selection_criteria.is_some_and(|criteria| !criteria.is_empty())
        || input.emit_system_field_dimensions.is_some_and(|fields| !fields.is_empty())
    {
        return Err(invalid(
            "System fields are not available here: leave fieldSelectionCriteria and emitSystemFieldDimensions out.",
        ));
    }
    let Ok([given]) = <[wire::MetricTransformation; 1]>::try_from(input.metric_transformations) else {
        return Err(invalid("A metric filter has one metric transformation."));
    };
    let transformation = MetricTransformation {
        namespace: given.metric_namespace,
        metric: given.metric_name,
        value: given.metric_value,
        default: given.default_value,
        dimensions: given.dimensions.unwrap_or_default(),
        unit: given.unit,
    };
    check_transformation(&input.filter_pattern, &transformation)?;
    let filter =
        MetricFilter { name: input.filter_name, pattern: input.filter_pattern, created: cx.logs.now(), transformation };
    let with_regex = usize::from(has_regex(&filter.pattern));
    let check = move |others: &[MetricFilter]| {
        if others.len() >= MOST_FILTERS {
            return Err(LogsError::LimitExceeded(format!("A log group has at most {MOST_FILTERS} metric filters.")));
        }
        let others = others.iter().filter(|other| has_regex(&other.pattern)).count();
        if with_regex > 0 && others + with_regex > MOST_WITH_REGEX {
            return Err(LogsError::LimitExceeded(format!(
                "A log group has at most {MOST_WITH_REGEX} filter patterns with regular expressions."
            )));
        }
        Ok(())
    };
    cx.logs.shared.store.put_metric_filter(group.id, &filter, check).await?;
    cx.logs.shared.filters.send_modify(|version| *version += 1);
    Ok(())
}

pub(super) async fn delete(cx: &Cx<'_>, input: DeleteMetricFilterInput) -> Result<(), LogsError> {
    let group = cx.group(&input.log_group_name, "logs:DeleteMetricFilter").await?;
    if !cx.logs.shared.store.delete_metric_filter(group.id, &input.filter_name).await? {
        return Err(LogsError::NotFound("The specified metric filter does not exist.".to_owned()));
    }
    cx.logs.shared.filters.send_modify(|version| *version += 1);
    Ok(())
}

pub(super) async fn describe(
    cx: &Cx<'_>,
    input: DescribeMetricFiltersInput,
) -> Result<DescribeMetricFiltersOutput, LogsError> {
    const ACTION: &str = "logs:DescribeMetricFilters";
    if input.metric_name.is_some() != input.metric_namespace.is_some() {
        return Err(invalid("metricName and metricNamespace are given together or not at all."));
    }
    let group = match &input.log_group_name {
        Some(name) => Some(cx.group(name, ACTION).await?.id),
        None => {
            cx.authorize_all_groups(ACTION)?;
            None
        }
    };
    let place = (cx.call.principal.account.to_string(), cx.call.region.as_str());
    let mut rows = cx.logs.shared.store.metric_filters((&place.0, place.1), group).await?;
    let prefix = input.filter_name_prefix.unwrap_or_default();
    rows.retain(|row| {
        let metric = &row.filter.transformation;
        row.filter.name.starts_with(&prefix)
            && input.metric_name.as_ref().is_none_or(|name| *name == metric.metric)
            && input.metric_namespace.as_ref().is_none_or(|namespace| *namespace == metric.namespace)
    });
    let key = |row: &FilterRow| format!("{}:{}", row.group, row.filter.name);
    rows.sort_by_key(key);
    if let Some(after) = behind("metric-filters", input.next_token.as_deref())? {
        rows.retain(|row| key(row) > after);
    }
    let limit = limit(input.limit, 50);
    let next_token = (rows.len() > limit).then(|| token("metric-filters", &key(&rows[limit - 1])));
    rows.truncate(limit);
    Ok(DescribeMetricFiltersOutput { metric_filters: Some(rows.into_iter().map(shown).collect()), next_token })
}

pub(super) async fn test(cx: &Cx<'_>, input: TestMetricFilterInput) -> Result<TestMetricFilterOutput, LogsError> {
    cx.authorize_plainly("logs:TestMetricFilter")?;
    let pattern = FilterPattern::parse(&input.filter_pattern)
        .map_err(|error| invalid(format!("Invalid metric filter pattern: {error}.")))?;
    let matches = aside(move || {
        let matching = (1..).zip(input.log_event_messages).filter_map(|(number, message)| {
            let extracted = pattern.extract(&message)?;
            Some(MetricFilterMatchRecord {
                event_number: Some(number),
                event_message: Some(message),
                extracted_values: Some(extracted),
            })
        });
        Ok(matching.collect())
    })
    .await?;
    Ok(TestMetricFilterOutput { matches: Some(matches) })
}

fn has_regex(pattern: &str) -> bool {
    // Regular expressions stand between two %, outside of quotes.
    let mut quoted = false;
    pattern.chars().any(|c| {
        quoted ^= c == '"';
        c == '%' && !quoted
    })
}

fn shown(row: FilterRow) -> wire::MetricFilter {
    let FilterRow { group, filter } = row;
    let metric = filter.transformation;
    let transformation = wire::MetricTransformation {
        metric_name: metric.metric,
        metric_namespace: metric.namespace,
        metric_value: metric.value,
        default_value: metric.default,
        dimensions: Some(metric.dimensions).filter(|dimensions| !dimensions.is_empty()),
        unit: metric.unit,
    };
    wire::MetricFilter {
        filter_name: Some(filter.name),
        filter_pattern: Some(filter.pattern),
        metric_transformations: Some(vec![transformation]),
        creation_time: Some(filter.created),
        log_group_name: Some(group),
        apply_on_transformed_logs: Some(false),
        ..wire::MetricFilter::default()
    }
}
