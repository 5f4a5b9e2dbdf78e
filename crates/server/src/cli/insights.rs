//! `opentrail insights`: why an Insight was told, and what the method finds in the past.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use http::Method;
use opentrail_insights::{Call, Category, Explanation, InsightRecord, MOST_KEYS, Replay, Sensitivity, State, chart};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{Clock, SystemClock};
use opentrail_wire::sigv4::UNSIGNED_PAYLOAD;
use serde_json::Value;

use super::client::{self, Server, error_text};
use super::lake::{Lake, Row};
use super::{OK, OutputFormat, output};

/// Of the past that is asked for at once.
const STEP: Duration = Duration::from_secs(24 * 3600);
/// The columns of a chart where there is no terminal.
const WIDTH: usize = 100;

/// Explain unusual activity that Insights has found, or look for it in the past.
///
/// Insights is switched on by `aws cloudtrail put-insight-selectors`; what it finds comes as CloudTrail's Insights events.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  aws cloudtrail lookup-events --event-category insight
  opentrail insights explain 6a6f2c81-0a54-8d7e-9c9b-8a3f5e0d1c42 --endpoint-url http://127.0.0.1:4590
  opentrail insights replay my-store --since 30d --sensitivity high")]
pub(super) struct InsightsArgs {
    #[command(subcommand)]
    command: InsightsCommand,
}

#[derive(Debug, Subcommand)]
enum InsightsCommand {
    /// Show the calls around an Insights event, what was expected, who made them, and how to see them one by one.
    Explain {
        /// The eventID or sharedEventID of an Insights event of the last 90 days.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Run the method over the events of an event data store, as if Insights had been on; nothing is kept.
    Replay {
        /// The event data store: its id, name or ARN.
        #[arg(value_name = "STORE")]
        store: String,
        /// From so long ago on, e.g. 12h or 90d. The first days are learnt from.
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
        since: Duration,
        /// How readily it tells: low, medium or high.
        #[arg(long, default_value = "medium")]
        sensitivity: Sensitivity,
        #[command(flatten)]
        at: At,
    },
}

/// Which server, and how results are printed.
#[derive(Debug, Args)]
struct At {
    /// The server. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region to sign for, and that of the store.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
    /// How results are printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

impl At {
    fn server(&self) -> anyhow::Result<Server> {
        let endpoint = client::endpoint(self.endpoint_url.as_deref())
            .context("which server? give --endpoint-url, or set AWS_ENDPOINT_URL")?;
        Server::at(endpoint)
    }
}

pub(super) async fn run(args: InsightsArgs) -> anyhow::Result<u8> {
    match args.command {
        InsightsCommand::Explain { id, at } => explain(&id, &at).await,
        InsightsCommand::Replay { store, since, sensitivity, at } => replay(&store, since, sensitivity, &at).await,
    }
}

async fn explain(id: &str, at: &At) -> anyhow::Result<u8> {
    let (server, path) = (at.server()?, format!("/v1/insights/{id}"));
    let body = Vec::new().into();
    let response = server.send(Method::GET, at.region.as_str(), &path, &[], body, UNSIGNED_PAYLOAD).await?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        bail!("{}", error_text(&text));
    }
    match at.output {
        OutputFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text)?)?);
        }
        OutputFormat::Table => {
            let explanation: Explanation = serde_json::from_str(&text)?;
            let width = console_width().saturating_sub(12);
            print!("{}\n{}", chart(&explanation, width), queries(&explanation));
        }
    }
    Ok(OK)
}

fn console_width() -> usize {
    comfy_table::Table::new().width().map_or(WIDTH, usize::from)
}

/// A time as statements compare it with `eventTime`.
fn moment(time: Timestamp) -> String {
    time.to_iso().replace('T', " ").replace('Z', "")
}

/// The ways to the events themselves.
fn queries(explanation: &Explanation) -> String {
    let text = |name: &str| explanation.insight_details[name].as_str().unwrap_or_default().replace('\'', "''");
    let from = Timestamp::from_secs(explanation.start);
    let until = explanation.end.map_or_else(|| SystemClock.now(), Timestamp::from_secs);
    let (source, name) = (text("eventSource"), text("eventName"));
    let error = explanation.insight_details["errorCode"].as_str().map(|code| code.replace('\'', "''"));
    let error = error.map(|code| format!(" AND errorCode = '{code}'")).unwrap_or_default();
    let region = &explanation.region;
    format!(
        "The events, of an event data store:
  opentrail sql --region {region} \"SELECT eventTime, userIdentity.arn, sourceIPAddress, userAgent, errorCode FROM STORE \
WHERE eventSource = '{source}' AND eventName = '{name}'{error} AND eventTime >= '{}' AND eventTime < '{}' ORDER BY 1\"
Management events, of Event history:
  aws cloudtrail lookup-events --region {region} --lookup-attributes AttributeKey=EventName,AttributeValue={name} \
--start-time {} --end-time {}\n",
        moment(from),
        moment(until),
        from.to_iso(),
        until.to_iso(),
    )
}

async fn replay(store: &str, since: Duration, sensitivity: Sensitivity, at: &At) -> anyhow::Result<u8> {
    let server = at.server()?;
    let id = store_id(&server, &at.region, store).await?;
    let lake = Lake { server: &server, region: &at.region, owner: None };
    let now = SystemClock.now();
    let mut replay = Replay::new(sensitivity, MOST_KEYS);
    let (mut from, mut records, mut events) = (now - since, Vec::new(), 0_u64);
    while from < now {
        let until = (from + STEP).min(now);
        events += replay_stretch(&lake, &id, from, until, &mut replay, &mut records).await?;
        from = until;
    }
    records.extend(replay.advance(now));
    match at.output {
        OutputFormat::Json => {
            let records: Vec<Value> =
                records.iter().map(|record| serde_json::from_str(&record.json)).collect::<Result<_, _>>()?;
            println!("{}", serde_json::to_string_pretty(&records)?);
        }
        OutputFormat::Table => print(&records),
    }
    eprintln!("{} Insights events in {} events", records.len(), indicatif::HumanCount(events));
    Ok(OK)
}

/// The id of the store of that id, name or ARN.
async fn store_id(server: &Server, region: &Region, named: &str) -> anyhow::Result<String> {
    for store in client::event_data_stores(server, region).await? {
        let arn = store["EventDataStoreArn"].as_str().unwrap_or_default();
        let id = arn.rsplit('/').next().unwrap_or_default();
        if [arn, id].contains(&named) || store["Name"] == named {
            return Ok(id.to_owned());
        }
    }
    bail!("there is no event data store {named} in {region}")
}

/// Folds in the events of a stretch of time, in their order; how many there were.
async fn replay_stretch(
    lake: &Lake<'_>,
    id: &str,
    from: Timestamp,
    until: Timestamp,
    replay: &mut Replay,
    records: &mut Vec<InsightRecord>,
) -> anyhow::Result<u64> {
    let statement = format!(
        "SELECT to_unixtime(eventTime), recipientAccountId, awsRegion, eventSource, eventName, eventCategory, readOnly, errorCode, \
         userIdentity.arn, userAgent FROM {id} WHERE eventCategory IN ('Management', 'Data') AND eventTime >= '{}' \
         AND eventTime < '{}' ORDER BY eventTime",
        moment(from),
        moment(until)
    );
    let query = lake.start(&statement).await?;
    let mut page = lake.first_page(&query).await?;
    if page.query_status != "FINISHED" {
        bail!("the query {}: {}", page.query_status.to_lowercase(), page.error_message.unwrap_or_default());
    }
    let mut events = 0;
    loop {
        for row in &page.query_result_rows {
            events += 1;
            if let Some(found) = fold(row, replay) {
                records.extend(found);
            }
        }
        let Some(token) = page.next_token else { return Ok(events) };
        page = lake.page(&query, Some(token)).await?;
    }
}

/// Folds in a row; `None` for one that is no call.
fn fold(row: &Row, replay: &mut Replay) -> Option<Vec<InsightRecord>> {
    let column = |at: usize| row.get(at)?.values().next().map(String::as_str).filter(|value| !value.is_empty());
    let time = Timestamp::from_millis((column(0)?.parse::<f64>().ok()? * 1000.0) as i64);
    let category = Category::parse(column(5)?)?;
    let call = Call {
        account: column(1)?.parse::<AccountId>().ok()?,
        region: column(2)?,
        event_source: column(3)?,
        event_name: column(4)?,
        category,
        writes: column(6) == Some("false"),
        error_code: column(7),
        user_arn: column(8),
        user_agent: column(9),
    };
    Some(replay.call(time, &call))
}

fn print(records: &[InsightRecord]) {
    let mut table =
        output::table(&["TIME", "STATE", "ACCOUNT", "REGION", "CALLS", "ERROR", "EXPECTED", "RATE", "MOSTLY BY"]);
    for InsightRecord { time, finding, .. } in records {
        let key = &finding.key;
        let mostly = finding.attributions.first().and_then(|attribution| attribution.insight.first());
        let state = match finding.state {
            State::Start => output::red("start"),
            State::End => output::green("end"),
        };
        table.add_row([
            time.to_iso(),
            state,
            key.account.to_string(),
            key.region.to_string(),
            format!("{} {}", key.event_source.trim_end_matches(".amazonaws.com"), key.event_name),
            key.error_code.as_deref().unwrap_or("-").to_owned(),
            format!("{:.2}/min", finding.expected),
            format!("{:.1}/min", finding.average),
            mostly.map_or_else(|| "-".to_owned(), |by| by.value.replace(char::is_control, " ")),
        ]);
    }
    anstream::println!("{table}");
}
