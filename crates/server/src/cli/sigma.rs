//! `opentrail sigma`: Sigma rules on the stream, and over the past.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{Clock, SystemClock};
use opentrail_sigma::{Finding, Operation, Refused, RuleSet, hunt};
use serde_json::{Value, json};

use super::client::{self, Server};
use super::{FOUND_PROBLEMS, OK, OutputFormat, output};

/// Of Event history that is asked for at once: what is kept in memory to be put into the order of time.
const STEP: Duration = Duration::from_secs(3600);
/// Of rules that are sent at once; a request may have 16 MiB.
const PART_BYTES: usize = 8 << 20;

/// Run published Sigma rules on what is recorded, or over what was.
///
/// Rules of `logsource: product aws, service cloudtrail` run as they are written; others are refused by name and reason.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  git clone https://github.com/SigmaHQ/sigma
  opentrail sigma load sigma/rules/cloud/aws --endpoint-url http://127.0.0.1:4590
  opentrail sigma findings --level high
  opentrail sigma hunt sigma/rules/cloud/aws --since 90d")]
pub(super) struct SigmaArgs {
    #[command(subcommand)]
    command: SigmaCommand,
}

#[derive(Debug, Subcommand)]
enum SigmaCommand {
    /// Load the rules of files and directories: from now on they run on the account's events.
    Load {
        /// Files ending with .yml or .yaml, and directories of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// List the account's rules.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Remove rules by their ids.
    Remove {
        /// The ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// List what rules have found, the newest first.
    Findings {
        /// This level or higher: informational, low, medium, high, critical.
        #[arg(long)]
        level: Option<String>,
        /// Of this rule, by id.
        #[arg(long, value_name = "ID")]
        rule: Option<String>,
        /// With this tag, e.g. attack.t1078.
        #[arg(long)]
        tag: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        count: usize,
        #[command(flatten)]
        at: At,
    },
    /// Run rules over Event history; nothing is kept.
    Hunt {
        /// Files ending with .yml or .yaml, and directories of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// From so long ago on, e.g. 12h or 90d.
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
        since: Duration,
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
    /// The Region to sign for, and the one that is hunted in.
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

    async fn call(&self, operation: Operation, input: &Value) -> anyhow::Result<Value> {
        self.server()?.sigma(self.region.as_str(), operation, input).await
    }

    /// All pages of the list `member`, up to `most`.
    async fn pages(
        &self,
        operation: Operation,
        mut input: Value,
        member: &str,
        most: usize,
    ) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            input["MaxResults"] = json!((most - all.len()).min(1000));
            let mut answer = self.call(operation, &input).await?;
            if let Value::Array(page) = answer[member].take() {
                all.extend(page);
            }
            match answer["NextToken"].take() {
                token @ Value::String(_) if all.len() < most => input["NextToken"] = token,
                _ => return Ok(all),
            }
        }
    }

    fn print(&self, rows: &[Value], columns: &[&str], row: impl Fn(&Value) -> Vec<String>) -> anyhow::Result<()> {
        match self.output {
            OutputFormat::Json => println!("{}", serde_json::to_string_pretty(rows)?),
            OutputFormat::Table => {
                let mut table = output::table(columns);
                for found in rows {
                    table.add_row(row(found));
                }
                println!("{table}");
            }
        }
        Ok(())
    }

    /// Findings as `ListFindings` answers them.
    fn print_findings(&self, found: &[Value]) -> anyhow::Result<()> {
        self.print(found, &["time", "level", "rule", "event", "id"], |finding| {
            let event = &finding["Record"]["eventName"];
            [&finding["Time"], &finding["Rule"]["Level"], &finding["Rule"]["Title"], event, &finding["EventId"]]
                .map(text)
                .to_vec()
        })
    }
}

pub(super) async fn run(args: SigmaArgs) -> anyhow::Result<u8> {
    match args.command {
        SigmaCommand::Load { paths, at } => load(&paths, &at).await,
        SigmaCommand::List { at } => list(&at).await,
        SigmaCommand::Remove { ids, at } => remove(&ids, &at).await,
        SigmaCommand::Findings { level, rule, tag, count, at } => {
            let input = json!({ "Level": level, "Rule": rule, "Tag": tag });
            let found = at.pages(Operation::ListFindings, input, "Findings", count).await?;
            at.print_findings(&found)?;
            Ok(OK)
        }
        SigmaCommand::Hunt { paths, since, at } => hunt_history(&paths, since, &at).await,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn load(paths: &[PathBuf], at: &At) -> anyhow::Result<u8> {
    let (mut loaded, mut refused) = (0, Vec::new());
    for part in parts(files(paths)?) {
        let files: Vec<Value> = part.iter().map(|(name, text)| json!({ "Name": name, "Text": text })).collect();
        let mut answer = at.call(Operation::LoadSigmaRules, &json!({ "Files": files })).await?;
        loaded += ["Loaded", "Unchanged"].map(|list| answer[list].as_array().map_or(0, Vec::len)).iter().sum::<usize>();
        if let Value::Array(more) = answer["Refused"].take() {
            refused.extend(more);
        }
    }
    println!("Rules that run on the account's events from now on: {loaded}");
    told(&refused, |refused| ["File", "Rule", "Reason"].map(|name| text(&refused[name])))
}

/// Says what was refused, on standard error.
fn told<T>(refused: &[T], row: impl Fn(&T) -> [String; 3]) -> anyhow::Result<u8> {
    if refused.is_empty() {
        return Ok(OK);
    }
    let mut table = output::table(&["file", "rule", "why it is refused"]);
    for one in refused {
        table.add_row(row(one));
    }
    anstream::eprintln!("{} rules that are refused: {}\n{table}", output::yellow("note:"), refused.len());
    Ok(FOUND_PROBLEMS)
}

async fn list(at: &At) -> anyhow::Result<u8> {
    let rules = at.pages(Operation::ListSigmaRules, json!({}), "Rules", usize::MAX).await?;
    at.print(&rules, &["id", "level", "title"], |rule| {
        [&rule["Id"], &rule["Level"], &rule["Title"]].map(text).to_vec()
    })?;
    Ok(OK)
}

async fn remove(ids: &[String], at: &At) -> anyhow::Result<u8> {
    let answer = at.call(Operation::RemoveSigmaRules, &json!({ "Ids": ids })).await?;
    let unknown = answer["NotFound"].as_array().cloned().unwrap_or_default();
    println!("Rules that are gone: {}", ids.len() - unknown.len());
    for id in &unknown {
        anstream::eprintln!("{} there is no rule {}", output::yellow("note:"), text(id));
    }
    Ok(if unknown.is_empty() { OK } else { FOUND_PROBLEMS })
}

async fn hunt_history(paths: &[PathBuf], since: Duration, at: &At) -> anyhow::Result<u8> {
    let files = files(paths)?;
    let (rules, refused) = RuleSet::load(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let refused_code =
        told(&refused, |Refused { file, rule, reason }| [file.clone(), rule.clone(), reason.to_string()])?;
    if rules.is_empty() {
        bail!("none of {} files has a rule that runs", files.len());
    }
    let server = at.server()?;
    let now = SystemClock.now();
    let mut records = Vec::new();
    let mut from = Timestamp::from_secs((now.as_millis() / 1000) - i64::try_from(since.as_secs())?);
    while from <= now {
        let to = (from + STEP).min(now);
        records.extend(history(&server, at.region.as_str(), from, to).await?);
        from = to + Duration::from_secs(1);
    }
    let mut found: Vec<Finding> = Vec::new();
    let nobody: AccountId = "000000000000".parse()?;
    let hunted = hunt(&rules, nobody, records, |finding| found.push(finding), |_| {});
    anstream::eprintln!("rules: {}; events: {}; findings: {}", rules.len(), hunted.records, hunted.findings);
    let rows: Vec<Value> = found.iter().map(Finding::detail).collect();
    at.print_findings(&rows)?;
    Ok(if found.is_empty() { refused_code } else { FOUND_PROBLEMS })
}

/// The events between two times in the order of time.
async fn history(server: &Server, region: &str, from: Timestamp, to: Timestamp) -> anyhow::Result<Vec<Bytes>> {
    let mut input = json!({ "StartTime": from.as_secs(), "EndTime": to.as_secs(), "MaxResults": 50 });
    let mut newest_first = Vec::new();
    loop {
        let mut answer = server.call(region, "LookupEvents", &input).await?;
        if let Value::Array(page) = answer["Events"].take() {
            newest_first.extend(page.iter().map(|event| Bytes::from(text(&event["CloudTrailEvent"]))));
        }
        match answer["NextToken"].take() {
            token @ Value::String(_) => input["NextToken"] = token,
            _ => break,
        }
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// Name and text of each file of rules, in the order of their names.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, &mut found)?;
    }
    if found.is_empty() {
        bail!("no file ends with .yml or .yaml there");
    }
    found.sort();
    found.dedup();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    found.into_iter().map(read).collect()
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        let path = entry.path();
        // A link may lead round in circles.
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            found.push(path);
        }
    }
    Ok(())
}

/// The files in parts that fit into a request.
fn parts(files: Vec<(String, String)>) -> Vec<Vec<(String, String)>> {
    let mut parts: Vec<Vec<(String, String)>> = Vec::new();
    let mut bytes = usize::MAX;
    for file in files {
        let size = file.0.len() + file.1.len() * 2;
        if bytes.saturating_add(size) > PART_BYTES || parts.last().is_some_and(|part| part.len() >= 1000) {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(part) = parts.last_mut() {
            part.push(file);
        }
    }
    parts
}
