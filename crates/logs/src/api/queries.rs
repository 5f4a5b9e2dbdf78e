//! Operations on Logs Insights queries, and on what their results point to.

use std::collections::BTreeMap;

use opentrail_wire::logs::{
    DescribeQueriesInput, DescribeQueriesOutput, GetLogGroupFieldsInput, GetLogGroupFieldsOutput, GetLogRecordInput,
    GetLogRecordOutput, GetQueryResultsInput, GetQueryResultsOutput, LogGroupField, QueryInfo, QueryStatistics,
    ResultField, StartQueryInput, StartQueryOutput, StopQueryInput, StopQueryOutput,
};

use super::Cx;
use super::paging::{behind, invalid_token, limit, token};
use crate::error::{LogsError, invalid};
use crate::insights::{MOST_ROWS, Query, Question, pointer};
use crate::store::Window;

/// (API Reference, StartQuery, `logGroupNames`.)
const MOST_GROUPS: usize = 50;
const MINUTE: i64 = 60_000;

pub(super) async fn start(cx: &Cx<'_>, input: StartQueryInput) -> Result<StartQueryOutput, LogsError> {
    if let Some(language) = input.query_language.filter(|language| language != "CWLI") {
        return Err(invalid(format!("The query language {language} is not available here: use CWLI.")));
    }
    let given = [input.log_group_name.map(|name| vec![name]), input.log_group_names, input.log_group_identifiers];
    let mut given = given.into_iter().flatten();
    let (Some(identifiers), None) = (given.next(), given.next()) else {
        return Err(invalid("Give exactly one of logGroupName, logGroupNames and logGroupIdentifiers."));
    };
    if identifiers.is_empty() || identifiers.len() > MOST_GROUPS {
        return Err(invalid(format!("A query is over 1 to {MOST_GROUPS} log groups.")));
    }
    let mut groups = Vec::with_capacity(identifiers.len());
    for identifier in identifiers {
        let place = cx.identified(&identifier)?;
        let group = cx.group_at(&place, "logs:StartQuery", None).await?;
        if groups.iter().all(|known: &crate::store::GroupRow| known.id != group.id) {
            groups.push(group);
        }
    }
    if input.start_time > input.end_time {
        return Err(invalid("End time should not be before start time."));
    }
    let query = Query::parse(&input.query_string)?;
    let question = Question {
        text: input.query_string,
        query,
        groups,
        from: millis(input.start_time),
        through: millis(input.end_time),
        limit: limit(input.limit, MOST_ROWS).min(MOST_ROWS),
    };
    let place = (cx.call.principal.account, cx.call.region.clone());
    let id = cx.logs.start_query(place, cx.call.principal.arn().to_string(), question)?;
    Ok(StartQueryOutput { query_id: Some(id) })
}

/// Times of queries are in seconds; what can only be milliseconds is taken for such, as the console sends it.
fn millis(time: i64) -> i64 {
    if time >= 100_000_000_000 { time } else { time.saturating_mul(1000) }
}

pub(super) async fn results(cx: &Cx<'_>, input: GetQueryResultsInput) -> Result<GetQueryResultsOutput, LogsError> {
    cx.authorize_plainly("logs:GetQueryResults")?;
    let query = cx.logs.find_query(&input.query_id, cx.call.principal.account, &cx.call.region)?;
    let progress = query.progress();
    let list = format!("results/{}", query.id);
    let from = match behind(&list, input.next_token.as_deref())? {
        Some(key) => key.parse::<usize>().map_err(|_| invalid_token())?,
        None => 0,
    };
    let count = limit(input.max_items, MOST_ROWS);
    let page = progress.results.iter().skip(from).take(count);
    let field = |(name, value): &(std::sync::Arc<str>, String)| ResultField {
        field: Some(name.to_string()),
        value: Some(value.clone()),
    };
    let results: Vec<Vec<ResultField>> = page.map(|row| row.iter().map(field).collect()).collect();
    let end = from + results.len();
    let statistics = QueryStatistics {
        records_matched: Some(progress.matched as f64),
        records_scanned: Some(progress.scanned as f64),
        estimated_records_skipped: Some(0.0),
        bytes_scanned: Some(progress.bytes as f64),
        estimated_bytes_skipped: Some(0.0),
        log_groups_scanned: Some(query.groups.len() as f64),
        ..QueryStatistics::default()
    };
    Ok(GetQueryResultsOutput {
        query_language: Some("CWLI".to_owned()),
        results: Some(results),
        statistics: Some(statistics),
        status: Some(progress.status.as_str().to_owned()),
        encryption_key: None,
        next_token: (end < progress.results.len()).then(|| token(&list, &end.to_string())),
    })
}

pub(super) async fn stop(cx: &Cx<'_>, input: StopQueryInput) -> Result<StopQueryOutput, LogsError> {
    cx.authorize_plainly("logs:StopQuery")?;
    let query = cx.logs.find_query(&input.query_id, cx.call.principal.account, &cx.call.region)?;
    if cx.logs.stop_query(&query) {
        return Ok(StopQueryOutput { success: Some(true) });
    }
    Err(invalid(format!("Query with id {} has already ended and can no longer be stopped.", query.id)))
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeQueriesInput) -> Result<DescribeQueriesOutput, LogsError> {
    cx.authorize_all_groups("logs:DescribeQueries")?;
    let from = match behind("queries", input.next_token.as_deref())? {
        Some(key) => key.parse::<usize>().map_err(|_| invalid_token())?,
        None => 0,
    };
    let now = cx.logs.shared.clock.now();
    let mut queries = Vec::new();
    for query in cx.logs.queries(cx.call.principal.account, &cx.call.region) {
        let progress = query.progress();
        let wanted = input.status.as_ref().is_none_or(|status| *status == progress.status.as_str())
            && input.log_group_name.as_ref().is_none_or(|name| query.groups.contains(name))
            && input.query_language.as_ref().is_none_or(|language| language == "CWLI");
        if wanted {
            let duration = progress.ended.unwrap_or(now).since(query.created);
            queries.push(QueryInfo {
                query_language: Some("CWLI".to_owned()),
                query_id: Some(query.id.clone()),
                query_string: Some(query.text.clone()),
                status: Some(progress.status.as_str().to_owned()),
                create_time: Some(query.created.as_millis()),
                log_group_name: query.groups.first().cloned(),
                query_duration: i64::try_from(duration.as_millis()).ok(),
                bytes_scanned: Some(progress.bytes as f64),
                user_identity: Some(query.user.clone()),
            });
        }
    }
    let count = limit(input.max_results, 1000);
    let end = from.saturating_add(count);
    let next_token = (end < queries.len()).then(|| token("queries", &end.to_string()));
    let page = queries.into_iter().skip(from).take(count).collect();
    Ok(DescribeQueriesOutput { queries: Some(page), next_token })
}

pub(super) async fn record(cx: &Cx<'_>, input: GetLogRecordInput) -> Result<GetLogRecordOutput, LogsError> {
    let pointer = pointer(&input.log_record_pointer)?;
    let gone = || LogsError::NotFound("The log event is not there any more.".to_owned());
    let group = cx.logs.shared.store.group_of_id(pointer.group).await?;
    let group =
        group.filter(|group| group.place.account == cx.call.principal.account && group.place.region == cx.call.region);
    let place = group.ok_or_else(gone)?.place;
    let group = cx.group_at(&place, "logs:GetLogRecord", None).await?;
    let fields = cx.logs.shared.record(pointer, &group).await?;
    Ok(GetLogRecordOutput { log_record: Some(fields.into_iter().collect::<BTreeMap<_, _>>()) })
}

pub(super) async fn fields(cx: &Cx<'_>, input: GetLogGroupFieldsInput) -> Result<GetLogGroupFieldsOutput, LogsError> {
    let (name, identifier) = (input.log_group_name.as_deref(), input.log_group_identifier.as_deref());
    let group = cx.group_of_either(name, identifier, "logs:GetLogGroupFields").await?;
    // The 15 minutes before now, or the 8 before and after the time that is given. (API Reference, GetLogGroupFields, `time`.)
    let now = cx.logs.now();
    let (from, through) = match input.time {
        Some(time) => (millis(time).saturating_sub(8 * MINUTE), millis(time).saturating_add(8 * MINUTE)),
        None => (now - 15 * MINUTE, now),
    };
    let window = Window { from: from.max(group.expired_before(now)), through };
    let fields = cx.logs.shared.fields(&group, window).await?;
    let field = |(name, percent)| LogGroupField { name: Some(name), percent: Some(percent) };
    Ok(GetLogGroupFieldsOutput { log_group_fields: Some(fields.into_iter().map(field).collect()) })
}
