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
use opentrail_sigma::Operation;
use serde::Deserialize;
use serde_json::{Value, json};

use self::print::Printer;
use super::client::{self, Server};
use super::lake::Lake;
use super::{FOUND_PROBLEMS, OK, stop_on_ctrl_c};
use crate::wiring::FINDINGS;

/// Ask event data stores of a running server in SQL, or what Sigma rules found.
///
/// The dialect is CloudTrail Lake's: one SELECT in Trino's spelling. A store is named by its id, or by its name or ARN in
/// quotes or bare. The table `findings` has what Sigma rules found in the account, unless a store is called so; it cannot
/// be asked together with stores.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  export AWS_SHARED_CREDENTIALS_FILE=opentrail-data/credentials AWS_ENDPOINT_URL=http://127.0.0.1:4590
  opentrail sql 'SELECT eventName, count(*) AS calls FROM my-store GROUP BY 1 ORDER BY 2 DESC LIMIT 10'
  opentrail sql --file denied.sql --output csv > denied.csv
  opentrail sql --watch 2 \"SELECT eventTime, eventName FROM my-store WHERE errorCode <> '' ORDER BY 1 DESC LIMIT 20\"
  opentrail sql 'SELECT ruleTitle, count(*) AS times FROM findings GROUP BY 1 ORDER BY 2 DESC'")]
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
    let (statement, of) = session.with_ids(statement).await?;
    loop {
        let code = match of {
            Of::Stores => session.ask(&statement, is_terminal).await?,
            Of::Findings => session.ask_findings(&statement, is_terminal).await?,
        };
        let Some(seconds) = session.args.watch else { return Ok(code) };
        tokio::select! {
            () = SystemClock.sleep(Duration::from_secs(seconds)) => {}
            () = session.stop.begun() => return Ok(code),
        }
    }
}

fn in_words(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{} rows", indicatif::HumanCount(rows as u64)),
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

/// What a statement is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Stores,
    Findings,
}

/// Of the answer to QueryFindings.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FoundRows {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    is_cut: bool,
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
    async fn with_ids(&self, statement: String) -> anyhow::Result<(String, Of)> {
        let named = names::stores(&statement);
        if named.iter().all(|name| name.id.is_some()) {
            return Ok((names::replaced(&statement, &named), Of::Stores));
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
        let with_ids: Vec<_> = with_ids.collect();
        let is_findings = |name: &names::StoreName| name.id.is_none() && name.text.eq_ignore_ascii_case(FINDINGS);
        // Beside a store it is a query of WITH, or refused.
        let of = match with_ids.iter().any(is_findings) && with_ids.iter().all(|name| name.id.is_none()) {
            true => Of::Findings,
            false => Of::Stores,
        };
        // A name that is no store's may be one of a WITH query: the server knows.
        Ok((names::replaced(&statement, &with_ids), of))
    }

    /// Asks the findings of Sigma rules and prints the rows.
    async fn ask_findings(&self, statement: &str, clear: bool) -> anyhow::Result<u8> {
        let input = json!({ "Statement": statement, "Account": self.args.owner });
        let answer = tokio::select! {
            answer = self.server.sigma(self.args.region.as_str(), Operation::QueryFindings, &input) => answer?,
            () = self.stop.begun() => bail!("the query is given up"),
        };
        let FoundRows { columns, rows, is_cut } = serde_json::from_value(answer)?;
        self.clear(clear);
        let mut printer = Printer::new(self.format, self.args.max_rows);
        let named = |row: Vec<Option<String>>| {
            let values = row.into_iter().map(Option::unwrap_or_default);
            columns.iter().cloned().zip(values).map(|value| BTreeMap::from([value])).collect()
        };
        printer.push(rows.into_iter().map(named).collect())?;
        printer.finish()?;
        eprintln!("{}", in_words(printer.rows()));
        if is_cut {
            eprintln!("an answer has no more rows than these, and there are more");
        }
        Ok(if is_cut { FOUND_PROBLEMS } else { OK })
    }

    fn clear(&self, clear: bool) {
        if self.args.watch.is_some() && clear {
            // To the top left, and everything behind it away.
            print!("\x1b[H\x1b[2J");
        }
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
        self.clear(clear);
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
        eprintln!(
            "{}; {} events and {} read in {}.{:03} s",
            in_words(rows),
            indicatif::HumanCount(*events_scanned),
            indicatif::HumanBytes(*bytes_scanned),
            execution_time_in_millis / 1000,
            execution_time_in_millis % 1000,
        );
    }
}
