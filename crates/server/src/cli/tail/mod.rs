//! `opentrail tail`: events as they become durable, in the terminal.

mod line;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use clap::Args;
use futures::StreamExt;
use http::Method;
use opentrail_model::{AccountId, Region};
use opentrail_runtime::{Clock, Shutdown, SystemClock};
use opentrail_wire::sigv4;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::{self, Server};
use super::{OK, output, stop_on_ctrl_c};
use line::Line;

/// Between attempts to reach a server that went away.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// Of one line of the answer; a record has at most a few MiB.
const MOST_LINE_BYTES: usize = 64 << 20;

/// Print events as they become durable: when, who, what, from where, and how it ended.
///
/// The caller needs opentrail:TailEvents. A server that goes away is waited for, and nothing that it took meanwhile is missed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  export AWS_SHARED_CREDENTIALS_FILE=opentrail-data/credentials AWS_ENDPOINT_URL=http://127.0.0.1:4590
  opentrail tail
  opentrail tail --errors --event-source s3.amazonaws.com
  opentrail tail --filter '{ $.userIdentity.type = \"Root\" && $.eventType != \"AwsServiceEvent\" }'
  opentrail tail --where \"userIdentity.type = 'Root' AND tlsDetails.tlsVersion <> 'TLSv1.3'\"
  opentrail tail --user alice --json | jq .requestParameters")]
pub(super) struct TailArgs {
    /// A filter pattern of CloudWatch Logs: `{ $.errorCode = "AccessDenied*" }`, or words that a record must have.
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,
    /// A condition in CloudTrail Lake's SQL, as stands behind WHERE in `opentrail sql`.
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// The account, if not the caller's; can be given several times.
    #[arg(long, value_name = "ID")]
    account: Vec<AccountId>,
    /// All accounts of the organization that the caller's account administers.
    #[arg(long, conflicts_with = "account")]
    organization: bool,
    /// The events' Region; can be given several times. (The Region to sign for is AWS_REGION.)
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// A user name, an ARN or an access key; can be given several times.
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// The operation, e.g. DeleteTrail; can be given several times.
    #[arg(long, value_name = "NAME")]
    event_name: Vec<String>,
    /// The service, e.g. iam.amazonaws.com; can be given several times.
    #[arg(long, value_name = "SERVICE")]
    event_source: Vec<String>,
    /// Calls that failed only.
    #[arg(long)]
    errors: bool,
    /// Calls that change something only.
    #[arg(long)]
    writes: bool,
    /// Print the records themselves, one on each line.
    #[arg(long)]
    json: bool,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The server. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region to sign for.
    #[arg(long, value_name = "REGION", default_value = "us-east-1", env = "AWS_REGION", hide = true)]
    signing_region: Region,
}

/// A line of the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    position: Option<u64>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AnswerError {
    code: String,
    message: String,
}

/// Why the printing ended.
enum End {
    /// As many as were asked for, or Ctrl-C, or nobody reads the output.
    Done,
    /// The server is gone, or said so.
    Lost(String),
    /// What comes next is not what came last: events in between are gone from the journal.
    Missed(String),
}

pub(super) async fn run(args: TailArgs) -> anyhow::Result<u8> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref())
        .context("which server? give --endpoint-url, or set AWS_ENDPOINT_URL")?;
    let (stop, _tasks) = stop_on_ctrl_c();
    let mut tail = Tail { server: Server::at(endpoint)?, args, stop, after: None, printed: 0 };
    let mut answer = tail.call().await?;
    anstream::eprintln!("watching; Ctrl-C ends it");
    loop {
        match tail.print(answer).await? {
            End::Done => return Ok(OK),
            End::Lost(why) => {
                anstream::eprintln!("{} {why}; waiting for the server", output::yellow("lost:"));
            }
            End::Missed(why) => {
                anstream::eprintln!("{} {why}", output::red("missed:"));
                tail.after = None;
            }
        }
        let mut pause = FIRST_PAUSE;
        answer = loop {
            tokio::select! {
                () = SystemClock.sleep(pause) => {}
                () = tail.stop.begun() => return Ok(OK),
            }
            match tail.call().await {
                Ok(answer) => break answer,
                Err(error) if error.is::<Refused>() => return Err(error),
                Err(_) => pause = (pause * 2).min(LAST_PAUSE),
            }
        };
    }
}

/// The server does not want to; to ask again would not help.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses: {0}")]
struct Refused(String);

struct Tail {
    server: Server,
    args: TailArgs,
    /// Ctrl-C.
    stop: Shutdown,
    /// All up to here is printed.
    after: Option<u64>,
    printed: u64,
}

impl Tail {
    async fn call(&self) -> anyhow::Result<reqwest::Response> {
        let TailArgs {
            filter,
            condition,
            account,
            organization,
            region,
            user,
            event_name,
            event_source,
            errors,
            writes,
            ..
        } = &self.args;
        let input = json!({
            "FilterPattern": filter,
            "Where": condition,
            "Accounts": account,
            "Organization": organization,
            "Regions": region,
            "Users": user,
            "EventNames": event_name,
            "EventSources": event_source,
            "ErrorsOnly": errors,
            "WritesOnly": writes,
            "After": self.after,
        });
        let body = serde_json::to_vec(&input)?;
        let hash = hex::encode(sigv4::sha256(&body));
        let (headers, region) = ([("content-type", "application/json")], self.args.signing_region.as_str());
        let response = self.server.send(Method::POST, region, "/v1/tail", &headers, body.into(), &hash).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let why = client::error_text(&response.text().await?);
        if status.is_client_error() {
            return Err(Refused(why).into());
        }
        bail!("{why}")
    }

    /// Prints what comes, until no more does.
    async fn print(&mut self, response: reqwest::Response) -> anyhow::Result<End> {
        let (mut parts, mut rest) = (response.bytes_stream(), BytesMut::new());
        loop {
            let part = tokio::select! {
                part = parts.next() => part,
                () = self.stop.begun() => return Ok(End::Done),
            };
            match part {
                Some(Ok(part)) => rest.extend_from_slice(&part),
                Some(Err(error)) => return Ok(End::Lost(format!("the connection broke off: {error}"))),
                None => return Ok(End::Lost("the server closed the connection".to_owned())),
            }
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest.split_to(end + 1);
                if let Some(end) = self.print_line(&line)? {
                    return Ok(end);
                }
            }
            if rest.len() > MOST_LINE_BYTES {
                bail!("the server sends a line of more than {MOST_LINE_BYTES} bytes");
            }
        }
    }

    fn print_line(&mut self, line: &[u8]) -> anyhow::Result<Option<End>> {
        let answer: Answer<'_> = serde_json::from_slice(line).context("the server sends what is no event")?;
        if let Some(AnswerError { code, message }) = answer.error {
            return Ok(Some(match code.as_str() {
                "ServiceUnavailable" => End::Lost(message),
                "Trimmed" => End::Missed(message),
                _ => return Err(Refused(message).into()),
            }));
        }
        if let Some(record) = answer.record {
            let printed = match self.args.json {
                true => writeln!(std::io::stdout(), "{}", record.get()),
                false => {
                    let record: Value = serde_json::from_str(record.get())?;
                    let names_accounts = self.args.organization || self.args.account.len() > 1;
                    writeln!(anstream::stdout(), "{}", Line { record: &record, names_accounts })
                }
            };
            if printed.is_err() {
                return Ok(Some(End::Done));
            }
            self.printed += 1;
        }
        self.after = answer.position.or(self.after);
        Ok(self.args.count.is_some_and(|count| self.printed >= count).then_some(End::Done))
    }
}
