use opentrail_insights::{Category, InsightType, MetricQuery, Period, Zeros};
use opentrail_model::Timestamp;
use opentrail_wire::cloudtrail::{ListInsightsMetricDataInput, ListInsightsMetricDataOutput, Operation};

use super::InsightError;
use super::data::range;
use super::target::declared;
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

const OPERATION: Operation = Operation::ListInsightsMetricData;
/// Points of a page, unless the request says otherwise. (API Reference, ListInsightsMetricData, `MaxResults`.)
const MAX_RESULTS: usize = 21_600;

/// The calls per period of an operation of the caller's account in the Region called, or those that ended with an error, oldest first: of
/// management events, or with a trail of data events.
pub(crate) async fn list_insights_metric_data(
    cx: Context<'_>,
    input: ListInsightsMetricDataInput,
) -> Outcome<ListInsightsMetricDataOutput> {
    cx.authorize(Access::anywhere("LookupEvents"))?;
    let trail = match input.trail_name.as_deref() {
        None => None,
        Some(name) => {
            let trail = cx.listed_trail(name).await?.require(&cx).map_err(declared(OPERATION))?.value;
            cx.require_administered(&trail)?;
            Some(trail)
        }
    };
    let is_error_rate = input.insight_type == InsightType::ApiErrorRate.as_str();
    match (is_error_rate, &input.error_code) {
        (true, None) => return Err(InsightError::NoErrorCode.into()),
        (false, Some(_)) => return Err(InsightError::ErrorCode.into()),
        _ => {}
    }
    let period = match input.period {
        None => Period::Hour,
        Some(seconds) => {
            u32::try_from(seconds).ok().and_then(Period::of_seconds).ok_or(InsightError::Period { period: seconds })?
        }
    };
    let (start, end) = range(cx.now(), input.start_time, input.end_time)?;
    let request = ListInsightsMetricDataInput { max_results: None, next_token: None, ..input.clone() };
    let after: Option<Timestamp> = match input.next_token.as_deref() {
        None => None,
        Some(token) => {
            let cursor = page_token::redeem(&cx, OPERATION.name(), &request, token);
            Some(cursor.map_err(|error| declared(OPERATION)(error.into()))?)
        }
    };
    let query = MetricQuery {
        account: cx.account(),
        region: cx.region().to_string(),
        event_source: input.event_source.clone(),
        event_name: input.event_name.clone(),
        category: if trail.is_some() { Category::Data } else { Category::Management },
        error_code: input.error_code.clone(),
        start: after.unwrap_or(start),
        end,
        period,
        zeros: if input.data_type.as_deref() == Some("FillWithZeros") { Zeros::Filled } else { Zeros::LeftOut },
        limit: input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_RESULTS),
    };
    let series = cx.services.insights.metric(&query, cx.now()).await?;
    let next_token = series.next.map(|cursor| page_token::issue(&cx, OPERATION.name(), &request, &cursor));
    let (timestamps, values) = series.points.into_iter().unzip();
    Ok(ListInsightsMetricDataOutput {
        trail_arn: trail.map(|trail| trail.arn().to_string()),
        event_source: Some(input.event_source),
        event_name: Some(input.event_name),
        insight_type: Some(input.insight_type),
        error_code: input.error_code,
        timestamps: Some(timestamps),
        values: Some(values),
        next_token,
    })
}
