//! A plan as a statement of Lake's SQL, with a comment that says what was understood.

use chrono::NaiveDateTime;
use uuid::Uuid;

use crate::dimensions::is_time;
use crate::plan::{Plan, Shape};
use crate::time::Span;

/// What rows of events show.
const EVENT: &str = "eventTime, userIdentity.arn AS who, eventSource, eventName, awsRegion, sourceIPAddress, errorCode,\n  \
                     requestParameters, eventID";

/// What was understood, in words.
pub(crate) fn said(plan: &Plan) -> String {
    let rows = match &plan.shape {
        Shape::Events => match (plan.limit, plan.oldest_first) {
            (None, false) => "events, the newest first".to_owned(),
            (None, true) => "events, the oldest first".to_owned(),
            (Some(limit), false) => format!("the newest {limit} events"),
            (Some(limit), true) => format!("the oldest {limit} events"),
        },
        Shape::Count => "the number of events".to_owned(),
        Shape::Distinct(dimension) => format!("how many different values of: {}", dimension.said),
        Shape::Groups(groups) => {
            let by: Vec<&str> = groups.iter().map(|group| group.said).collect();
            let top = plan.limit.map_or(String::new(), |limit| format!(", the first {limit}"));
            let ranked = if plan.ranked { ", the largest number first" } else { "" };
            format!("the number of events by {}{ranked}{top}", by.join(" and "))
        }
    };
    let conditions: Vec<&str> = plan.filters.iter().map(|filter| filter.said.as_str()).collect();
    let conditions = if conditions.is_empty() { "all".to_owned() } else { conditions.join("; ") };
    let time = match plan.span {
        None | Some(Span { from: None, to: None }) => "any time".to_owned(),
        Some(Span { from: Some(from), to: None }) => format!("from {} UTC on", text(from)),
        Some(Span { from: None, to: Some(to) }) => format!("before {} UTC", text(to)),
        Some(Span { from: Some(from), to: Some(to) }) => format!("from {} until before {} UTC", text(from), text(to)),
    };
    format!("{rows}. Which: {conditions}. When: {time}.")
}

/// The statement.
pub(crate) fn statement(plan: &Plan, store: Uuid) -> String {
    let mut conditions: Vec<String> = Vec::new();
    if let Some(Span { from, to }) = plan.span {
        conditions.extend(from.map(|from| format!("eventTime >= '{}'", text(from))));
        conditions.extend(to.map(|to| format!("eventTime < '{}'", text(to))));
    }
    conditions.extend(plan.filters.iter().map(|filter| filter.sql.clone()));
    let limit = plan.limit.map_or(String::new(), |limit| format!("\nLIMIT {limit}"));
    let (select, order) = match &plan.shape {
        Shape::Events => {
            let direction = if plan.oldest_first { "" } else { " DESC" };
            (EVENT.to_owned(), format!("\nORDER BY eventTime{direction}, eventID{limit}"))
        }
        Shape::Count => ("count(*) AS events".to_owned(), String::new()),
        Shape::Distinct(dimension) => {
            let columns: Vec<&str> = dimension.columns.iter().map(|(column, _)| *column).collect();
            let value =
                if columns.len() == 1 { columns[0].to_owned() } else { format!("concat({})", columns.join(", ")) };
            (format!("count(DISTINCT {value}) AS different"), String::new())
        }
        Shape::Groups(groups) => {
            let columns: Vec<(&str, &str)> = groups.iter().flat_map(|group| group.columns.iter().copied()).collect();
            for group in groups.iter().filter(|group| group.always) {
                conditions.push(format!("{} IS NOT NULL", group.columns[0].0));
            }
            let heads: Vec<String> = columns
                .iter()
                .map(|(column, head)| if column == head { (*column).to_owned() } else { format!("{column} AS {head}") })
                .collect();
            let keys: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
            let in_time = groups.first().is_some_and(is_time) && !plan.ranked;
            let heading: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
            let order = if in_time { heading.join(", ") } else { format!("events DESC, {}", heading.join(", ")) };
            let latest =
                if groups.iter().any(is_time) { "" } else { ", min(eventTime) AS earliest, max(eventTime) AS latest" };
            let select = format!("{}, count(*) AS events{latest}", heads.join(", "));
            (select, format!("\nGROUP BY {}\nORDER BY {order}{limit}", keys.join(", ")))
        }
    };
    conditions.dedup();
    let filter = if conditions.is_empty() { String::new() } else { format!("\nWHERE {}", conditions.join("\n  AND ")) };
    format!("-- Understood: {}\nSELECT {select}\nFROM {store}{filter}{order}", said(plan))
}

fn text(time: NaiveDateTime) -> String {
    let text = time.format("%Y-%m-%d %H:%M:%S%.3f").to_string();
    text.strip_suffix(".000").map_or(text.clone(), str::to_owned)
}
