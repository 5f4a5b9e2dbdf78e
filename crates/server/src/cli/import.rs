use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use clap::Args;
use http::Method;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use opentrail_ingest::import::{self, FileBody, Import, ImportError, Progress, Sink, SinkError, Summary};
use opentrail_ingest::{Encoding, Report};
use opentrail_model::{Region, Timestamp};
use opentrail_runtime::{OnError, Shutdown, SystemClock};
use opentrail_verify::{Evidence, Range, regions, verify};
use opentrail_wire::sigv4::{UNSIGNED_PAYLOAD, hex_sha256};
use serde_json::{Value, json};

use super::client::{self, Server};
use super::output::{bold, green, red, yellow};
use super::{FOUND_PROBLEMS, OK, OutputFormat, stop_on_ctrl_c};

/// Put the events of log files into a running server's Event history, or into an event data store.
///
/// With --into the server itself reads the bucket (StartImport), as the role may, and this tells how far it is and what the
/// digests beside the log files prove. Without it, this walks a CloudTrail key layout, or any tree of .json, .json.gz and
/// .ndjson files. Digests found on the way are checked when their public keys are at hand. Stopped with Ctrl-C and run again,
/// it goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  export AWS_SHARED_CREDENTIALS_FILE=opentrail-data/credentials
  opentrail import ./downloaded-trail --endpoint-url http://127.0.0.1:4590
  opentrail import s3://my-logs/AWSLogs --source-endpoint-url https://s3.example.org --endpoint-url http://127.0.0.1:4590
  aws cloudtrail list-public-keys --start-time 2025-01-01 --end-time 2026-01-01 > keys.json     # of the source
  opentrail import ./downloaded-trail --public-keys keys.json --endpoint-url http://127.0.0.1:4590
  opentrail import s3://my-logs/AWSLogs/111122223333/CloudTrail/ --into EVENT_DATA_STORE --role arn:aws:iam::111122223333:role/import \\
    --endpoint-url http://127.0.0.1:4590")]
pub(super) struct ImportArgs {
    /// A directory, or s3://bucket[/prefix].
    #[arg(value_name = "DIR|s3://BUCKET/PREFIX")]
    pub(super) place: String,
    /// The server to import into. Default: AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    pub(super) endpoint_url: Option<String>,
    /// The S3 endpoint of an s3:// place. Default: the server's embedded store.
    #[arg(long, value_name = "URL")]
    pub(super) source_endpoint_url: Option<String>,
    /// The Region to sign requests for.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    pub(super) region: Region,
    /// Public keys of the source's digests: what `aws cloudtrail list-public-keys` prints.
    #[arg(long, value_name = "FILE")]
    pub(super) public_keys: Vec<PathBuf>,
    /// An event data store, by its ARN or ID: the server imports the bucket into it.
    #[arg(long, value_name = "STORE", requires = "role")]
    pub(super) into: Option<String>,
    /// The role that the server is to read the bucket as (S3BucketAccessRoleArn).
    #[arg(long, value_name = "ARN", requires = "into")]
    pub(super) role: Option<String>,
    /// The bucket's Region. Default: --region.
    #[arg(long, value_name = "REGION", requires = "into")]
    pub(super) bucket_region: Option<Region>,
    /// Leave out events of before this time.
    #[arg(long, value_name = "TIME", requires = "into")]
    pub(super) start_time: Option<Timestamp>,
    /// Leave out events of after this time.
    #[arg(long, value_name = "TIME", requires = "into")]
    pub(super) end_time: Option<Timestamp>,
    /// Files read at once.
    #[arg(long, value_name = "N", default_value_t = 4, conflicts_with = "into")]
    parallel: usize,
    /// How the summary is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: OutputFormat,
}

pub(super) async fn run(args: ImportArgs) -> anyhow::Result<u8> {
    let endpoint = client::endpoint(args.endpoint_url.as_deref())
        .context("where to? give --endpoint-url of the server, or set AWS_ENDPOINT_URL")?;
    if let Some(store) = &args.into {
        return super::import_into::run(&args, store, &endpoint).await;
    }
    let (store, prefix, evidence) = source(&args, &endpoint)?;
    let server = Server::at(endpoint)?;
    let digests = check_digests(&args, &evidence).await?;

    let (stop, tasks) = stop_on_ctrl_c();
    let import = Import::new(store, prefix, Arc::new(SystemClock)).with_parallel(args.parallel);
    tasks.spawn("show progress", OnError::Log, show(import.progress(), stop.clone()));
    let sink = HttpSink { server, region: args.region.to_string(), place: args.place.clone() };
    let finished = import.run(&sink, &stop).await;
    stop.begin();
    tasks.join(Duration::from_secs(1)).await;
    let (summary, failure) = match finished {
        Ok(summary) => (summary, None),
        Err(error) => (summary_of(&error).clone(), Some(error)),
    };
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&as_json(&summary, digests.as_ref()))?),
        OutputFormat::Table => print(&summary, digests.as_ref()),
    }
    if let Some(error) = failure {
        bail!("{error}; run the same command again to go on");
    }
    let damaged = digests.is_some_and(|digests| digests.damaged > 0);
    Ok(if summary.refused_count > 0 || summary.failed_count > 0 || damaged { FOUND_PROBLEMS } else { OK })
}

fn summary_of(error: &ImportError) -> &Summary {
    match error {
        ImportError::List { summary, .. } | ImportError::Stopped { summary, .. } => summary,
    }
}

type Source = (Arc<dyn ObjectStore>, Option<ObjectPath>, Evidence);

fn source(args: &ImportArgs, endpoint: &str) -> anyhow::Result<Source> {
    let Some(place) = args.place.strip_prefix("s3://") else {
        let root = PathBuf::from(&args.place);
        if !root.is_dir() {
            bail!("{} is not a directory (a bucket is written s3://bucket/prefix)", args.place);
        }
        let signatures = opentrail_objects::signatures_below(&root).unwrap_or_default();
        let store = import::directory(&root)?;
        return Ok((store, None, Evidence::Directory { root, signatures }));
    };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_end_matches('/');
    let from = args.source_endpoint_url.as_deref().unwrap_or(endpoint);
    let store = client::s3(bucket, Some(from), &args.region)?;
    let evidence = Evidence::Bucket { store: Arc::clone(&store), prefix: prefix.to_owned() };
    Ok((store, (!prefix.is_empty()).then(|| ObjectPath::from(prefix)), evidence))
}

/// What the digests on the way said.
#[derive(Debug)]
struct Digests {
    digests: usize,
    valid_digests: usize,
    log_files: usize,
    valid_log_files: usize,
    damaged: usize,
    findings: Vec<String>,
    /// There are digests, but no keys to check them with.
    unchecked: bool,
}

async fn check_digests(args: &ImportArgs, evidence: &Evidence) -> anyhow::Result<Option<Digests>> {
    let keys = client::public_keys_in(&args.public_keys)?;
    if regions(evidence).await?.is_empty() {
        return Ok(None);
    }
    let mut digests = Digests {
        digests: 0,
        valid_digests: 0,
        log_files: 0,
        valid_log_files: 0,
        damaged: 0,
        findings: Vec::new(),
        unchecked: keys.is_empty(),
    };
    if !digests.unchecked {
        let report = verify(evidence, &keys, Range::default(), &|_| ()).await?;
        for chain in &report.chains {
            digests.digests += chain.digests;
            digests.valid_digests += chain.valid_digests;
            digests.log_files += chain.log_files;
            digests.valid_log_files += chain.valid_log_files;
        }
        digests.damaged = report.findings.iter().filter(|finding| finding.problem.is_damage()).count();
        digests.findings =
            report.findings.iter().map(|found| format!("{} {}: {}", found.kind, found.name, found.problem)).collect();
    }
    Ok(Some(digests))
}

/// A server's `POST /v1/records`. The server remembers which files were put to their end.
struct HttpSink {
    server: Server,
    region: String,
    place: String,
}

impl HttpSink {
    fn id(&self, name: &str, etag: &str) -> String {
        hex_sha256(format!("{}\n{name}\n{etag}", self.place).as_bytes())
    }

    /// The answer's JSON; an error answer stops the import when trying another file cannot help.
    async fn answer(response: reqwest::Response) -> Result<Value, SinkError> {
        let status = response.status();
        let text = response.text().await.map_err(|error| SinkError::Stop { reason: error.to_string() })?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|error| SinkError::Stop { reason: error.to_string() });
        }
        let reason = client::error_text(&text);
        if status.as_u16() == 400 { Err(SinkError::File { reason }) } else { Err(SinkError::Stop { reason }) }
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn is_done(&self, name: &str, etag: &str) -> Result<bool, SinkError> {
        let path = format!("/v1/records?import={}", self.id(name, etag));
        let sent = self.server.send(Method::GET, &self.region, &path, &[], Vec::new().into(), UNSIGNED_PAYLOAD).await;
        let response = sent.map_err(|error| SinkError::Stop { reason: format!("{error:#}") })?;
        Ok(Self::answer(response).await?["Done"] == true)
    }

    async fn put_file(&self, name: &str, etag: &str, body: FileBody) -> Result<Report, SinkError> {
        let id = self.id(name, etag);
        let encoding = match body.encoding {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        };
        let headers = [("x-opentrail-import", id.as_str()), ("content-encoding", encoding)];
        let stream = reqwest::Body::wrap_stream(body.stream);
        let sent =
            self.server.send(Method::POST, &self.region, "/v1/records", &headers, stream, UNSIGNED_PAYLOAD).await;
        let response = sent.map_err(|error| SinkError::Stop { reason: format!("{error:#}") })?;
        serde_json::from_value(Self::answer(response).await?)
            .map_err(|error| SinkError::Stop { reason: format!("the answer is no report: {error}") })
    }
}

async fn show(
    mut progress: tokio::sync::watch::Receiver<Progress>,
    stop: Shutdown,
) -> Result<(), std::convert::Infallible> {
    let style = "{spinner} {wide_bar} {percent}%  {msg}";
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    loop {
        tokio::select! {
            () = stop.begun() => break,
            changed = progress.changed() => if changed.is_err() { break },
        }
        let now = *progress.borrow_and_update();
        bar.set_length(now.bytes_found);
        bar.set_position(now.bytes_done);
        let left = now.remaining().map_or_else(|| "…".to_owned(), |left| HumanDuration(left).to_string());
        bar.set_message(format!(
            "{}/{} files, {}, {:.0} records/s, {left} left",
            now.files_done,
            now.files_found,
            HumanBytes(now.bytes_done),
            now.records_per_second()
        ));
    }
    bar.finish_and_clear();
    Ok(())
}

fn as_json(summary: &Summary, digests: Option<&Digests>) -> Value {
    json!({
        "Files": summary.files,
        "FilesDoneBefore": summary.files_done_before,
        "DigestFiles": summary.digest_files,
        "OtherFiles": summary.other_files,
        "Accepted": summary.accepted,
        "Duplicates": summary.duplicates,
        "RefusedCount": summary.refused_count,
        "Refused": summary.refused.iter()
            .map(|r| json!({"File": r.file, "Index": r.index, "Reason": r.reason})).collect::<Vec<_>>(),
        "FailedCount": summary.failed_count,
        "Failed": summary.failed.iter().map(|f| json!({"File": f.file, "Reason": f.reason})).collect::<Vec<_>>(),
        "Stopped": summary.stopped,
        "Digests": digests.map(|d| json!({
            "Checked": !d.unchecked, "Digests": d.digests, "ValidDigests": d.valid_digests,
            "LogFiles": d.log_files, "ValidLogFiles": d.valid_log_files, "Findings": d.findings,
        })),
    })
}

fn print(summary: &Summary, digests: Option<&Digests>) {
    let count = |n: u64| HumanCount(n).to_string();
    if let Some(digests) = digests {
        if digests.unchecked {
            let note = yellow("note");
            anstream::println!(
                "{note}  there are digests; give their public keys with --public-keys to have them checked"
            );
        } else {
            anstream::println!(
                "digests    {}/{} valid, {}/{} log files as they list them",
                digests.valid_digests,
                digests.digests,
                digests.valid_log_files,
                digests.log_files
            );
        }
        for finding in &digests.findings {
            anstream::println!("{}  {finding}", red("INVALID"));
        }
    }
    for failed in &summary.failed {
        anstream::println!("{}  {}: {}", red("failed"), failed.file, failed.reason);
    }
    for refused in &summary.refused {
        anstream::println!("{}  {} record {}: {}", yellow("refused"), refused.file, refused.index, refused.reason);
    }
    let hidden = summary.refused_count.saturating_sub(summary.refused.len() as u64);
    if hidden > 0 {
        anstream::println!("… and {} more refused", count(hidden));
    }
    anstream::println!(
        "files      {} imported, {} done before, {} failed, {} digests, {} other",
        count(summary.files),
        count(summary.files_done_before),
        count(summary.failed_count),
        count(summary.digest_files),
        count(summary.other_files)
    );
    anstream::println!(
        "records    {} accepted, {} duplicates, {} refused",
        bold(count(summary.accepted)),
        count(summary.duplicates),
        count(summary.refused_count)
    );
    if summary.stopped {
        anstream::println!("{}", yellow("Stopped; run the same command again to go on."));
    } else if summary.failed_count == 0 && summary.refused_count == 0 {
        anstream::println!("{}", green("Everything is imported."));
    }
}
