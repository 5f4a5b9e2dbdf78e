use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use opentrail_model::{Region, Timestamp};
use opentrail_runtime::{Clock, SystemClock};
use opentrail_verify::{Evidence, PublicKeys, Range, Report, regions, verify};

use super::client::{self, Server};
use super::output::{bold, green, red, table, yellow};
use super::{FOUND_PROBLEMS, OK, OutputFormat};

/// Check delivered log files and digests: nothing altered, nothing missing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  opentrail verify opentrail-data/objects/my-logs --endpoint-url http://127.0.0.1:4590
  opentrail verify s3://my-logs --endpoint-url http://127.0.0.1:4590 --start 2026-01-01T00:00:00Z
  aws cloudtrail list-public-keys --start-time 2026-01-01 --end-time 2026-02-01 > keys.json
  opentrail verify ./copy-of-the-bucket --public-keys keys.json        # offline")]
pub(super) struct VerifyArgs {
    /// A directory with a copy of the bucket, or s3://bucket[/prefix].
    #[arg(value_name = "DIR|s3://BUCKET/PREFIX")]
    place: String,
    /// The public keys: what `aws cloudtrail list-public-keys` prints. Without it they are asked from the server.
    #[arg(long, value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// The server to ask for public keys, and the endpoint of an s3:// place. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region to sign requests to an s3:// place for.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: Region,
    /// Leave out digests that end before this time.
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Leave out digests that end after this time, and tell of chains that end much earlier.
    #[arg(long, value_name = "TIME")]
    end: Option<Timestamp>,
    /// How the verdict is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<u8> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref());
    let evidence = match args.place.strip_prefix("s3://") {
        Some(place) => bucket(place, endpoint.as_deref(), &args.region)?,
        None => directory(&args.place)?,
    };
    let keys = public_keys(&args, endpoint, &evidence).await?;
    if keys.is_empty() {
        bail!("there are no public keys to check with; give --public-keys FILE, or --endpoint-url of the server");
    }
    let progress = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {pos} files checked ({per_sec}), {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    progress.enable_steady_tick(Duration::from_millis(200));
    let range = Range { start: args.start, end: args.end };
    let report = verify(&evidence, &keys, range, &|files| progress.inc(files as u64)).await?;
    progress.finish_and_clear();
    if report.chains.is_empty() {
        bail!("{} holds no digest files{}", args.place, if args.start.is_some() { " in that time" } else { "" });
    }
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        OutputFormat::Table => print(&report),
    }
    Ok(if report.is_sound() { OK } else { FOUND_PROBLEMS })
}

fn directory(place: &str) -> anyhow::Result<Evidence> {
    let root = PathBuf::from(place);
    if !root.is_dir() {
        bail!("{place} is not a directory (a bucket is written s3://bucket/prefix)");
    }
    let signatures = opentrail_objects::signatures_below(&root).unwrap_or_else(|_| BTreeMap::new());
    Ok(Evidence::Directory { root, signatures })
}

fn bucket(place: &str, endpoint: Option<&str>, region: &Region) -> anyhow::Result<Evidence> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let store = super::client::s3(bucket, endpoint, region)?;
    Ok(Evidence::Bucket { store, prefix: prefix.trim_end_matches('/').to_owned() })
}

async fn public_keys(args: &VerifyArgs, endpoint: Option<String>, evidence: &Evidence) -> anyhow::Result<PublicKeys> {
    let mut keys = client::public_keys_in(&args.public_keys)?;
    if args.public_keys.is_empty()
        && let Some(endpoint) = endpoint
    {
        let server = Server::at(endpoint)?;
        let end = SystemClock.now() + Duration::from_secs(24 * 3600);
        for region in regions(evidence).await? {
            keys.extend(server.public_keys(&region.parse()?, Timestamp::EPOCH, end).await?);
        }
    }
    Ok(keys)
}

fn print(report: &Report) {
    let mut chains = table(&["TRAIL", "ACCOUNT", "REGION", "FROM", "TO", "DIGESTS VALID", "LOG FILES VALID"]);
    for chain in &report.chains {
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), Timestamp::to_iso);
        chains.add_row([
            chain.trail.clone(),
            chain.account.clone(),
            chain.region.clone(),
            time(chain.start),
            time(chain.end),
            format!("{}/{}", chain.valid_digests, chain.digests),
            format!("{}/{}", chain.valid_log_files, chain.log_files),
        ]);
    }
    anstream::println!("{chains}\n");
    for finding in &report.findings {
        let mark = if finding.problem.is_damage() { red("INVALID") } else { yellow("note") };
        anstream::println!("{mark}  {} {}: {}", finding.kind, finding.name, finding.problem);
    }
    if report.is_sound() {
        anstream::println!("{}", green("Everything checked is as it was written."));
    } else {
        let damaged = report.findings.iter().filter(|finding| finding.problem.is_damage()).count();
        anstream::println!("{}", bold(format!("{damaged} problem(s) found.")));
    }
}
