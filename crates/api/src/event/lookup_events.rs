use opentrail_history::{Category, Cursor, LookupEvent, LookupQuery};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{Event, LookupEventsInput, LookupEventsOutput, Resource};

use super::attribute;
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Events of a page, unless the request says otherwise. (API Reference, LookupEvents, `MaxResults`.)
const MAX_RESULTS: usize = 50;

/// The management events of the last 90 days of the account in the Region called, newest first.
pub(crate) async fn lookup_events(cx: Context<'_>, input: LookupEventsInput) -> Outcome<LookupEventsOutput> {
    cx.authorize(Access::anywhere("LookupEvents"))?;
    let category = match input.event_category.as_deref() {
        None => Category::Management,
        Some("insight") => Category::Insight,
        Some(other) => {
            return Err(Exception::invalid_event_category(format!(
                "EventCategory {other:?} is not valid: use insight, or leave it out for management events."
            ))
            .into());
        }
    };
    let attribute = attribute::from_wire(input.lookup_attributes.as_deref().unwrap_or_default(), category)?;
    if let (Some(start), Some(end)) = (input.start_time, input.end_time)
        && start > end
    {
        return Err(Exception::invalid_time_range(format!("StartTime {start} is after EndTime {end}.")).into());
    }
    // A token continues the same question; how many answers come at once may differ from page to page.
    let request = LookupEventsInput { max_results: None, next_token: None, ..input.clone() };
    let before: Option<Cursor> = match input.next_token.as_deref() {
        Some(token) => Some(page_token::redeem(&cx, "LookupEvents", &request, token)?),
        None => None,
    };

    let query = LookupQuery {
        account: cx.account(),
        region: cx.region().clone(),
        category,
        attribute,
        start: input.start_time,
        end: input.end_time,
        max_results: input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_RESULTS),
        before,
    };
    let page = cx.services.history.lookup(&query).await?;
    Ok(LookupEventsOutput {
        events: Some(page.events.into_iter().map(event).collect()),
        next_token: page.next.map(|cursor| page_token::issue(&cx, "LookupEvents", &request, &cursor)),
    })
}

/// An event as it is answered: what it does not have is left out, `ReadOnly` is a text.
fn event(event: LookupEvent) -> Event {
    let resource = |(kind, name)| Resource { resource_type: kind, resource_name: name };
    Event {
        event_id: event.event_id,
        event_name: event.event_name,
        read_only: event.read_only.map(|read_only| read_only.to_string()),
        access_key_id: event.access_key_id,
        event_time: Some(event.event_time),
        event_source: event.event_source,
        username: event.username,
        resources: Some(event.resources.into_iter().map(resource).collect()),
        cloud_trail_event: Some(String::from_utf8_lossy(&event.raw).into_owned()),
    }
}
