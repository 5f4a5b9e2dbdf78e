//! `opentrail import --into`: has the server import a bucket into an event data store, follows it, and tells what the digests
//! beside the log files prove of what was imported.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use object_store::ObjectStore;
use opentrail_imports::{Step, Walk, Window};
use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, SystemClock};
use opentrail_verify::{Evidence, Problem, PublicKeys, Range, Report, regions, verify};
use serde_json::{Value, json};

use super::client::{self, Server};
use super::import::ImportArgs;
use super::output::{bold, green, red, yellow};
use super::{FOUND_PROBLEMS, OK, OutputFormat};

const POLL: Duration = Duration::from_millis(500);
/// How long a bucket that fails is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many names of each kind are printed.
const NAMED: usize = 20;

pub(super) async fn run(args: &ImportArgs, store: &str, endpoint: &str) -> anyhow::Result<u8> {
    let Some(place) = args.place.strip_prefix("s3://") else {
        bail!(
            "{} is not a bucket: what goes into an event data store is read by the server, from s3://bucket/prefix",
            args.place
        );
    };
    let (bucket, folder) = place.split_once('/').unwrap_or((place, ""));
    let folder = match folder.trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let from = args.source_endpoint_url.as_deref().unwrap_or(endpoint);
    let objects = client::s3(bucket, Some(from), args.bucket_region.as_ref().unwrap_or(&args.region))?;
    let server = Server::at(endpoint.to_owned())?;
    let id = start(args, &server, store).await?;
    let Some(import) = follow(args, &server, &id).await? else {
        anstream::println!("The import {id} goes on in the server. See: aws cloudtrail get-import --import-id {id}");
        return Ok(OK);
    };
    let failures = failures(args, &server, &id).await?;
    let proof = prove(args, &server, objects, &folder, &failures).await?;
    let status = import["ImportStatus"].as_str().unwrap_or_default();
    match args.output {
        OutputFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&as_json(&import, &failures, proof.as_ref()))?)
        }
        OutputFormat::Table => print(&import, &failures, proof.as_ref()),
    }
    let sound = proof.is_none_or(|proof| proof.problems.is_empty());
    Ok(if status == "COMPLETED" && sound { OK } else { FOUND_PROBLEMS })
}

async fn start(args: &ImportArgs, server: &Server, store: &str) -> anyhow::Result<String> {
    let region = args.bucket_region.as_ref().unwrap_or(&args.region);
    let mut input = json!({
        "Destinations": [store],
        "ImportSource": { "S3": {
            "S3LocationUri": args.place, "S3BucketRegion": region.as_str(), "S3BucketAccessRoleArn": args.role,
        } },
    });
    for (name, time) in [("StartEventTime", args.start_time), ("EndEventTime", args.end_time)] {
        if let Some(time) = time {
            input[name] = json!(time.as_secs());
        }
    }
    let started = server.call(args.region.as_str(), "StartImport", &input).await?;
    Ok(started["ImportId"].as_str().context("the server's answer has no ImportId")?.to_owned())
}

/// The import once it has ended; `None` when somebody does not want to wait.
async fn follow(args: &ImportArgs, server: &Server, id: &str) -> anyhow::Result<Option<Value>> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{spinner} {wide_bar} {percent}%  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    loop {
        let import = server.call(args.region.as_str(), "GetImport", &json!({ "ImportId": id })).await?;
        let statistic = |name: &str| import["ImportStatistics"][name].as_u64().unwrap_or_default();
        bar.set_length(statistic("PrefixesFound"));
        bar.set_position(statistic("PrefixesCompleted"));
        let (files, events) = (statistic("FilesCompleted"), statistic("EventsCompleted"));
        bar.set_message(format!("{} files, {} events", HumanCount(files), HumanCount(events)));
        if !matches!(import["ImportStatus"].as_str(), Some("INITIALIZING" | "IN_PROGRESS")) {
            bar.finish_and_clear();
            return Ok(Some(import));
        }
        tokio::select! {
            () = SystemClock.sleep(POLL) => {}
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                bar.finish_and_clear();
                return Ok(None);
            }
        }
    }
}

/// Everything that failed, as ListImportFailures has it.
async fn failures(args: &ImportArgs, server: &Server, id: &str) -> anyhow::Result<Vec<Value>> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut input = json!({ "ImportId": id, "MaxResults": 1000 });
        if let Some(token) = &token {
            input["NextToken"] = json!(token);
        }
        let mut page = server.call(args.region.as_str(), "ListImportFailures", &input).await?;
        if let Value::Array(page) = page["Failures"].take() {
            found.extend(page.into_iter().filter(|failure| failure["Status"] == "FAILED"));
        }
        token = page["NextToken"].as_str().map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// What digests say of the files that were imported, as they are in the bucket after that.
#[derive(Debug, Default)]
struct Proof {
    digests: usize,
    valid_digests: usize,
    /// Log files that were imported.
    files: usize,
    /// Those of them that a validly signed digest lists as they are.
    proven: usize,
    /// Those that no such digest lists.
    unlisted: usize,
    /// What must not be: files that are altered or missing, digests that are damaged.
    problems: Vec<String>,
    /// There are digests, but no keys to check them with.
    unchecked: bool,
}

/// `None` when there are no digests.
async fn prove(
    args: &ImportArgs,
    server: &Server,
    objects: Arc<dyn ObjectStore>,
    folder: &str,
    failures: &[Value],
) -> anyhow::Result<Option<Proof>> {
    // Digests lie in the sibling of the folder `CloudTrail`.
    let above = match folder.find("CloudTrail/") {
        Some(at) if at == 0 || folder[..at].ends_with('/') => &folder[..at],
        _ => folder,
    };
    let evidence = Evidence::Bucket { store: Arc::clone(&objects), prefix: above.trim_end_matches('/').to_owned() };
    let regions = regions(&evidence).await?;
    if regions.is_empty() {
        return Ok(None);
    }
    let mut keys = client::public_keys_in(&args.public_keys)?;
    if args.public_keys.is_empty() {
        keys = asked(server, &regions).await?;
    }
    if keys.is_empty() {
        return Ok(Some(Proof { unchecked: true, ..Proof::default() }));
    }
    let window = Window::new(args.start_time, args.end_time);
    let failed: HashSet<&str> = failures.iter().filter_map(|failure| failure["Location"].as_str()).collect();
    let imported = imported(objects, folder, &window, &failed).await?;
    let report = verify(&evidence, &keys, Range::default(), &|_| ()).await?;
    let concerns = |name: &str| name.starts_with(folder) && window.may_hold_file(name);
    Ok(Some(judge(&report, &imported, concerns)))
}

async fn asked(server: &Server, regions: &BTreeSet<String>) -> anyhow::Result<PublicKeys> {
    let mut keys = PublicKeys::default();
    let end = SystemClock.now() + Duration::from_secs(24 * 3600);
    for region in regions {
        keys.extend(server.public_keys(&region.parse()?, Timestamp::EPOCH, end).await?);
    }
    Ok(keys)
}

/// The keys of the log files that an import reads, without those that failed.
async fn imported(
    objects: Arc<dyn ObjectStore>,
    folder: &str,
    window: &Window,
    failed: &HashSet<&str>,
) -> anyhow::Result<HashSet<String>> {
    let walk = Walk::new(objects, window.clone(), Arc::new(SystemClock), PATIENCE);
    let scope = walk.scope(folder).await.map_err(|(folder, error)| anyhow::anyhow!("{folder}: {error}"))?;
    let mut steps = walk.steps(folder, scope, None, Arc::default());
    let mut keys = HashSet::new();
    while let Some(step) = steps.next().await {
        match step {
            Step::Object(object) if !failed.contains(object.key.as_str()) => {
                keys.insert(object.key);
            }
            Step::Object(_) | Step::Done(_) => {}
            Step::Failed { folder, error, .. } | Step::Lost { folder, error } => bail!("{folder}: {error}"),
        }
    }
    Ok(keys)
}

fn judge(report: &Report, imported: &HashSet<String>, concerns: impl Fn(&str) -> bool) -> Proof {
    let mut proof = Proof { files: imported.len(), ..Proof::default() };
    for chain in &report.chains {
        proof.digests += chain.digests;
        proof.valid_digests += chain.valid_digests;
    }
    proof.proven = imported.intersection(&report.proven).count();
    let mut altered = HashSet::new();
    for finding in report.findings.iter().filter(|finding| finding.problem.is_damage()) {
        if finding.kind == "digest" || concerns(&finding.name) {
            proof.problems.push(format!("{} {}: {}", finding.kind, finding.name, finding.problem));
            if imported.contains(&finding.name) && finding.problem != Problem::Unlisted {
                altered.insert(finding.name.as_str());
            }
        }
    }
    proof.unlisted = proof.files - proof.proven - altered.len();
    proof
}

fn as_json(import: &Value, failures: &[Value], proof: Option<&Proof>) -> Value {
    json!({
        "ImportId": import["ImportId"],
        "ImportStatus": import["ImportStatus"],
        "ImportStatistics": import["ImportStatistics"],
        "Failures": failures,
        "Proof": proof.map(|proof| json!({
            "Checked": !proof.unchecked, "Digests": proof.digests, "ValidDigests": proof.valid_digests,
            "Files": proof.files, "Proven": proof.proven, "Unlisted": proof.unlisted, "Problems": proof.problems,
        })),
    })
}

fn print(import: &Value, failures: &[Value], proof: Option<&Proof>) {
    let count = |n: usize| HumanCount(n as u64).to_string();
    for failure in failures.iter().take(NAMED) {
        let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
        anstream::println!("{}  {}: {}: {}", red("failed"), text("Location"), text("ErrorType"), text("ErrorMessage"));
    }
    let statistic = |name: &str| HumanCount(import["ImportStatistics"][name].as_u64().unwrap_or_default()).to_string();
    anstream::println!(
        "imported   {} events of {} files; {} failed",
        bold(statistic("EventsCompleted")),
        statistic("FilesCompleted"),
        statistic("FailedEntries")
    );
    match proof {
        None => anstream::println!("{}  there are no digests: nothing is proven of the files", yellow("note")),
        Some(proof) if proof.unchecked => anstream::println!(
            "{}  there are digests; give their public keys with --public-keys to have them checked",
            yellow("note")
        ),
        Some(proof) => {
            for problem in proof.problems.iter().take(NAMED) {
                anstream::println!("{}  {problem}", red("INVALID"));
            }
            anstream::println!(
                "proven     {} of {} files are as validly signed digests list them, {} are in none ({} of {} digests valid)",
                bold(count(proof.proven)),
                count(proof.files),
                count(proof.unlisted),
                count(proof.valid_digests),
                count(proof.digests)
            );
        }
    }
    let status = import["ImportStatus"].as_str().unwrap_or_default();
    let id = import["ImportId"].as_str().unwrap_or_default();
    match status {
        "COMPLETED" => anstream::println!("{}", green("Everything is imported.")),
        other => anstream::println!(
            "{}",
            yellow(format!("The import is {other}. Try again with: aws cloudtrail start-import --import-id {id}"))
        ),
    }
}
