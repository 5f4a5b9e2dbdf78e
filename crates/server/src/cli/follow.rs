use anyhow::{Context as _, bail};
use clap::Args;
use http::Method;
use opentrail_model::Region;
use opentrail_wire::sigv4::UNSIGNED_PAYLOAD;
use serde_json::Value;

use super::client::{self, Server};
use super::{FOUND_PROBLEMS, OK, OutputFormat, output};

/// Say how followed buckets are doing: what came in, how far behind, which files cannot be read.
///
/// Buckets are followed by `[[follow]]` in the server's configuration. Those of the caller's account are listed; it
/// needs opentrail:ListFollowedBuckets.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  opentrail follow --endpoint-url http://127.0.0.1:4590
  opentrail follow --output json | jq '.Sources[].Failures[].Key'

The exit code is 1 when a bucket is not followed, or a file was set aside.")]
pub(super) struct FollowArgs {
    /// The server. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region to sign for.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
    /// How it is listed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

pub(super) async fn run(args: FollowArgs) -> anyhow::Result<u8> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref())
        .context("which server? give --endpoint-url, or set AWS_ENDPOINT_URL")?;
    let server = Server::at(endpoint)?;
    let body = Vec::new().into();
    let response = server.send(Method::GET, args.region.as_str(), "/v1/follow", &[], body, UNSIGNED_PAYLOAD).await?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        bail!("the followed buckets cannot be listed: {}", client::error_text(&text));
    }
    let answer: Value = serde_json::from_str(&text)?;
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&answer)?),
        OutputFormat::Table => print(list(&answer["Sources"])),
    }
    let troubled = list(&answer["Sources"]).iter().any(|source| {
        let is_troubled = matches!(source["State"].as_str(), Some("Failing" | "Refused"));
        is_troubled || list(&source["Failures"]).iter().any(|failure| failure["SetAside"] == true)
    });
    Ok(if troubled { FOUND_PROBLEMS } else { OK })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn print(sources: &[Value]) {
    if sources.is_empty() {
        println!("No bucket is followed for this account; [[follow]] in the server's configuration does that.");
        return;
    }
    let columns =
        ["Name", "Bucket", "State", "Newest", "LagSeconds", "Folders", "Files", "Records", "Duplicates", "Refused"];
    let mut header: Vec<String> = columns.map(str::to_lowercase).to_vec();
    header[4] = "lag (s)".to_owned();
    header.push("failures".to_owned());
    let mut table = output::table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for source in sources {
        let mut row: Vec<String> = columns.map(|column| text(&source[column])).to_vec();
        row[2] = match source["State"].as_str() {
            Some("Following") => output::green("following"),
            Some("Starting") => "starting".to_owned(),
            _ => output::red(row[2].to_lowercase()),
        };
        row.push(list(&source["Failures"]).len().to_string());
        table.add_row(row);
    }
    anstream::println!("{table}");
    for source in sources {
        let name = text(&source["Name"]);
        if let Some(error) = source["Error"].as_str() {
            anstream::println!("{} {name}: {error}", output::red("error:"));
        }
        for account in list(&source["UnnamedAccounts"]) {
            let account = text(account);
            anstream::println!(
                "{} {name}: `accounts` does not name {account}, an account of this server: its folder is left alone",
                output::yellow("warning:")
            );
        }
        for failure in list(&source["Failures"]) {
            let (key, kind, message) = (text(&failure["Key"]), text(&failure["Kind"]), text(&failure["Message"]));
            let (attempts, next) = (text(&failure["Attempts"]), text(&failure["Next"]));
            anstream::println!("{name}: {key}\n  {kind}: {message} ({attempts} attempts, the next at {next})");
        }
    }
}
