use opentrail_model::Timestamp;
use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{GetMetricDataInput, GetMetricDataOutput, MetricDataResult, errors};

use super::check::invalid;
use super::statistics::{aligned, ceiling};
use super::{Cx, ill_asked, paging, unanswered};
use crate::queries::{Answer, Queries};

/// As many queries in a request, and data points on a page. (API Reference, "GetMetricData".)
const MAX_QUERIES: usize = 500;
const MAX_DATAPOINTS: usize = 100_800;

/// Values of several metrics and of expressions over them.
pub(super) async fn get_metric_data(
    cx: &Cx<'_>,
    mut input: GetMetricDataInput,
) -> Result<GetMetricDataOutput, CodedError> {
    cx.authorize("GetMetricData", "*")?;
    let token = input.next_token.take();
    let digest = paging::digest(&input);
    let page = page_size(&input)?;
    let offset = paging::place::<usize>(digest, token.as_deref())?.unwrap_or(0);
    let queries = queries(cx, &input)?;
    // All queries count their periods from one start.
    let longest = queries.returned().map(|(_, period)| period).max().unwrap_or(60);
    let (start, end) = (aligned(input.start_time, longest, cx.now), ceiling(input.end_time));
    let store = &cx.monitoring.metrics.store;
    let answers = queries.answer(store, &cx.scope(), start, end, cx.now).await.map_err(unanswered)?;
    let descending = input.scan_by.as_deref() != Some("TimestampAscending");
    let total: usize = answers.iter().map(|answer| answer.points.len()).sum();
    let (mut skip, mut room) = (offset, page);
    let results = answers.into_iter().map(|answer| result(answer, descending, &mut skip, &mut room)).collect();
    let next = offset.saturating_add(page);
    let next_token = (next < total).then(|| paging::token(digest, &next));
    Ok(GetMetricDataOutput { metric_data_results: Some(results), next_token, messages: Some(Vec::new()) })
}

fn page_size(input: &GetMetricDataInput) -> Result<usize, CodedError> {
    match input.max_datapoints.map(usize::try_from) {
        None => Ok(MAX_DATAPOINTS),
        Some(Ok(most)) if (1..=MAX_DATAPOINTS).contains(&most) => Ok(most),
        Some(_) => Err(invalid(format!("The parameter MaxDatapoints must be 1 to {MAX_DATAPOINTS}"))),
    }
}

fn queries(cx: &Cx<'_>, input: &GetMetricDataInput) -> Result<Queries, CodedError> {
    let given = &input.metric_data_queries;
    if input.start_time >= input.end_time {
        let told = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(CodedError::validation(told));
    }
    if given.is_empty() || given.len() > MAX_QUERIES {
        let told = format!("The collection MetricDataQueries must have 1 to {MAX_QUERIES} elements.");
        return Err(CodedError::validation(told));
    }
    let own = cx.call.principal.account.to_string();
    if given.iter().any(|query| query.account_id.as_ref().is_some_and(|account| *account != own)) {
        return Err(errors::invalid_parameter_value_exception(format!(
            "The value for parameter AccountId must be {own}: metrics of other accounts are not available"
        )));
    }
    Queries::parse(given).map_err(|problem| ill_asked(&problem))
}

/// The part of an answer that is on the page, which begins after `skip` data points and has `room` for some.
fn result(answer: Answer, descending: bool, skip: &mut usize, room: &mut usize) -> MetricDataResult {
    let count = answer.points.len();
    let skipped = (*skip).min(count);
    let taken = (*room).min(count - skipped);
    *skip -= skipped;
    *room -= taken;
    let ordered: Box<dyn Iterator<Item = (i64, f64)>> =
        if descending { Box::new(answer.points.into_iter().rev()) } else { Box::new(answer.points.into_iter()) };
    let (times, values): (Vec<_>, Vec<_>) =
        ordered.skip(skipped).take(taken).map(|(time, value)| (Timestamp::from_secs(time), value)).unzip();
    // What is on a later page is still to come.
    let status = if skipped + taken < count { "PartialData" } else { "Complete" };
    MetricDataResult {
        id: Some(answer.id),
        label: Some(answer.label),
        timestamps: Some(times),
        values: Some(values),
        status_code: Some(status.to_owned()),
        messages: None,
    }
}
