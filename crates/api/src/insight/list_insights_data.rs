use opentrail_insights::{Category, InsightFilter, StoredInsight};
use opentrail_model::Timestamp;
use opentrail_wire::cloudtrail::{Event, ListInsightsDataInput, ListInsightsDataOutput, Operation};
use uuid::Uuid;

use super::InsightError;
use super::data::range;
use super::target::declared;
use crate::context::{Context, Outcome};
use crate::page_token;

const OPERATION: Operation = Operation::ListInsightsData;
/// Events of a page, unless the request says otherwise. (API Reference, ListInsightsData, `MaxResults`.)
const MAX_RESULTS: usize = 50;

/// The Insights that were found in a trail's data events, of the caller's account in the Region called, newest first.
pub(crate) async fn list_insights_data(
    cx: Context<'_>,
    input: ListInsightsDataInput,
) -> Outcome<ListInsightsDataOutput> {
    let named = cx.listed_trail(&input.insight_source).await?;
    if !input.insight_source.starts_with("arn:") {
        return Err(InsightError::NoTrailArn { source_name: input.insight_source }.into());
    }
    let trail = named.require(&cx).map_err(declared(OPERATION))?.value;
    cx.require_administered(&trail)?;
    let (start, end) = range(cx.now(), input.start_time, input.end_time)?;
    let request = ListInsightsDataInput { max_results: None, next_token: None, ..input.clone() };
    let after: Option<(Timestamp, Uuid)> = match input.next_token.as_deref() {
        None => None,
        Some(token) => {
            let cursor = page_token::redeem(&cx, OPERATION.name(), &request, token);
            Some(cursor.map_err(|error| declared(OPERATION)(error.into()))?)
        }
    };
    let mut dimensions = input.dimensions.unwrap_or_default();
    let filter = InsightFilter {
        account: cx.account(),
        region: cx.region().to_string(),
        category: Category::Data,
        source: Some(trail.arn().to_string()),
        event_id: dimensions.remove("EventId"),
        event_name: dimensions.remove("EventName"),
        event_source: dimensions.remove("EventSource"),
        start,
        end,
        after,
        limit: input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_RESULTS),
    };
    let page = cx.services.insights.list(&filter).await?;
    Ok(ListInsightsDataOutput {
        events: Some(page.insights.into_iter().map(event).collect()),
        next_token: page.next.map(|cursor| page_token::issue(&cx, OPERATION.name(), &request, &cursor)),
    })
}

/// In the shape of the service model; the guide's example prints records, which SDKs would drop.
fn event(insight: StoredInsight) -> Event {
    Event {
        event_id: Some(insight.event_id.to_string()),
        event_name: Some(insight.event_name),
        event_time: Some(insight.time),
        event_source: Some(insight.event_source),
        resources: Some(Vec::new()),
        cloud_trail_event: Some(insight.record),
        ..Event::default()
    }
}
