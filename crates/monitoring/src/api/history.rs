use opentrail_wire::CodedError;
use opentrail_wire::cloudwatch::{AlarmHistoryItem, DescribeAlarmHistoryInput, DescribeAlarmHistoryOutput};

use super::{Cx, failed, paging};
use crate::alarm::{HistoryItem, HistoryQuery};

/// As many items on a page when the request does not say. (API Reference, "DescribeAlarmHistory".)
const PAGE: usize = 100;

/// What happened to alarms within 30 days.
pub(super) async fn describe_alarm_history(
    cx: &Cx<'_>,
    mut input: DescribeAlarmHistoryInput,
) -> Result<DescribeAlarmHistoryOutput, CodedError> {
    cx.authorize("DescribeAlarmHistory", &cx.alarms_arn(input.alarm_name.as_deref().unwrap_or("*")))?;
    let token = input.next_token.take();
    let digest = paging::digest(&input);
    let limit = input.max_records.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
    let kinds = input.alarm_types.filter(|kinds| !kinds.is_empty());
    let query = HistoryQuery {
        alarm: input.alarm_name,
        // Without types, those of metric alarms only, as of DescribeAlarms.
        kinds: kinds.unwrap_or_else(|| vec!["MetricAlarm".to_owned()]),
        item: input.history_item_type,
        start: input.start_date,
        end: input.end_date,
        ascending: input.scan_by.as_deref() == Some("TimestampAscending"),
        after: paging::place(digest, token.as_deref())?,
        limit,
    };
    let items = cx.monitoring.metrics.store.history(&cx.scope(), &query, cx.now).await.map_err(failed)?;
    let next_token = items.last().filter(|_| items.len() == limit).map(|last| paging::token(digest, &last.id));
    let items = items.into_iter().map(shown).collect();
    Ok(DescribeAlarmHistoryOutput { alarm_history_items: Some(items), next_token })
}

fn shown(item: HistoryItem) -> AlarmHistoryItem {
    AlarmHistoryItem {
        alarm_name: Some(item.alarm),
        alarm_type: Some(item.kind),
        timestamp: Some(item.time),
        history_item_type: Some(item.item),
        history_summary: Some(item.summary),
        history_data: Some(item.data),
        ..AlarmHistoryItem::default()
    }
}
