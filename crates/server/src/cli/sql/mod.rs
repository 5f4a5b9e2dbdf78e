//! `opentrail sql`.

mod names;
mod print;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use opentrail_model::Region;
use opentrail_runtime::{Clock, Shutdown, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};

use self::print::Printer;
use super::client::{self, Server};
use super::lake::Lake;
use super::{FOUND_PROBLEMS, OK, stop_on_ctrl_c};

/// Ask event data stores of a running server in SQL.
///
/// The dialect is CloudTrail Lake's: one SELECT in Trino's spelling. A store is named by its id, or by its name or ARN in
/// quotes or bare.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  export AWS_SHARED_CREDENTIALS_FILE=opentrail-data/credentials AWS_ENDPOINT_URL=http://127.0.0.1:4590
  opentrail sql 'SELECT eventName, count(*) AS calls FROM my-store GROUP BY 1 ORDER BY 2 DESC LIMIT 10'
  opentrail sql --file denied.sql --output csv > denied.csv
  opentrail sql --watch 2 \"SELECT eventTime, eventName FROM my-store WHERE errorCode <> '' ORDER BY 1 DESC LIMIT 20\"")]
pub(super) struct SqlArgs {
    /// The statement; without it, it is read from the standard input.
    #[arg(value_name = "SQL", conflicts_with = "file")]
    statement: Option<String>,
    /// A file that has the statement.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The server. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region of the stores.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
    /// The account that owns the stores, where that is not the caller's.
    #[arg(long, value_name = "ID")]
    owner: Option<String>,
    /// Run the statement again so many seconds after each end, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,
    /// The most rows that a table shows.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_rows: usize,
    /// How rows are printed. Default: a table on a terminal, CSV elsewhere.
    #[arg(long, value_name = "FORMAT")]
    output: Option<RowFormat>,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RowFormat {
    /// For people.
    Table,
    /// An array of objects; of columns with one name the later ones get a number.
    Json,
    /// RFC 4180, with a line of headings.
    Csv,
}

/// Of the answer to DescribeQuery.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Statistics {
    events_scanned: u64,
    bytes_scanned: u64,
    execution_time_in_millis: u64,
}

pub(super) async fn run(args: SqlArgs) -> anyhow::Result<u8> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref())
        .context("which server? give --endpoint-url, or set AWS_ENDPOINT_URL")?;
    let statement = statement(&args)?;
    let is_terminal = std::io::stdout().is_terminal();
    let format = args.output.unwrap_or(if is_terminal { RowFormat::Table } else { RowFormat::Csv });
    let (stop, _tasks) = stop_on_ctrl_c();
    let session = Session { server: Server::at(endpoint)?, args, format, stop };
    let statement = session.with_ids(statement).await?;
    loop {
        let code = session.ask(&statement, is_terminal).await?;
        let Some(seconds) = session.args.watch else { return Ok(code) };
        tokio::select! {
            () = SystemClock.sleep(Duration::from_secs(seconds)) => {}
            () = session.stop.begun() => return Ok(code),
        }
    }
}

fn statement(args: &SqlArgs) -> anyhow::Result<String> {
    let text = match (&args.statement, &args.file) {
        (Some(statement), _) => statement.clone(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        (None, None) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read the statement")?;
            text
        }
    };
    let text = text.trim().trim_end_matches(';').to_owned();
    if text.is_empty() {
        bail!("there is no statement");
    }
    Ok(text)
}

/// A statement being asked, once or again and again.
struct Session {
    server: Server,
    args: SqlArgs,
    format: RowFormat,
    /// Ctrl-C.
    stop: Shutdown,
}

impl Session {
    fn lake(&self) -> Lake<'_> {
        Lake { server: &self.server, region: &self.args.region, owner: self.args.owner.as_deref() }
    }

    /// The statement with ids in the place of the stores' names and ARNs.
    async fn with_ids(&self, statement: String) -> anyhow::Result<String> {
        let named = names::stores(&statement);
        if named.iter().all(|name| name.id.is_some()) {
            return Ok(names::replaced(&statement, &named));
        }
        let stores = client::event_data_stores(&self.server, &self.args.region).await?;
        let name_and_id = |store: &Value| {
            let id = store["EventDataStoreArn"].as_str()?.rsplit('/').next()?;
            Some((store["Name"].as_str()?.to_owned(), id.to_owned()))
        };
        let known: BTreeMap<String, String> = stores.iter().filter_map(name_and_id).collect();
        let with_ids = named.into_iter().map(|name| {
            let id = name.id.clone().or_else(|| known.get(&name.text).cloned());
            names::StoreName { id, ..name }
        });
        // A name that is no store's may be one of a WITH query: the server knows.
        Ok(names::replaced(&statement, &with_ids.collect::<Vec<_>>()))
    }

    /// Runs the statement and prints its rows.
    async fn ask(&self, statement: &str, clear: bool) -> anyhow::Result<u8> {
        let lake = self.lake();
        let id = lake.start(statement).await?;
        let first = tokio::select! {
            first = lake.first_page(&id) => first?,
            () = self.stop.begun() => {
                lake.call("CancelQuery", json!({ "QueryId": id })).await?;
                bail!("the query is cancelled");
            }
        };
        let is_whole = match first.query_status.as_str() {
            "FINISHED" => true,
            "TIMED_OUT" => false,
            other => bail!("the query {}: {}", other.to_lowercase(), first.error_message.unwrap_or_default()),
        };
        let described = lake.call("DescribeQuery", json!({ "QueryId": id })).await?;
        if self.args.watch.is_some() && clear {
            // To the top left, and everything behind it away.
            print!("\x1b[H\x1b[2J");
        }
        let mut printer = Printer::new(self.format, self.args.max_rows);
        let mut page = first;
        loop {
            printer.push(page.query_result_rows)?;
            let goes_on = printer.wants_more() && !self.stop.has_begun();
            let Some(token) = page.next_token.filter(|_| goes_on) else { break };
            page = lake.page(&id, Some(token)).await?;
        }
        printer.finish()?;
        let statistics = described["QueryStatistics"].clone();
        self.report(&serde_json::from_value(statistics).unwrap_or_default(), printer.rows());
        if !is_whole {
            eprintln!("the query ran out of time: there are more rows");
        }
        Ok(if is_whole { OK } else { FOUND_PROBLEMS })
    }

    fn report(&self, statistics: &Statistics, rows: usize) {
        let Statistics { events_scanned, bytes_scanned, execution_time_in_millis } = statistics;
        let rows = match rows {
            1 => "1 row".to_owned(),
            rows => format!("{} rows", indicatif::HumanCount(rows as u64)),
        };
        eprintln!(
            "{rows}; {} events and {} read in {}.{:03} s",
            indicatif::HumanCount(*events_scanned),
            indicatif::HumanBytes(*bytes_scanned),
            execution_time_in_millis / 1000,
            execution_time_in_millis % 1000,
        );
    }
}
