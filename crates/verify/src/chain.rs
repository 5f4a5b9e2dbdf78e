use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZero;

use futures::{StreamExt, TryStreamExt, stream};
use opentrail_model::Timestamp;

use crate::digest::{ChainName, Digest, LogFile, parse_name};
use crate::evidence::{Evidence, EvidenceError, Stored};
use crate::keys::PublicKeys;
use crate::log_file;
use crate::report::{ChainReport, Finding, Problem, Report};

/// The times looked at, by the digests' ends; both inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    /// Older digests are left out.
    pub start: Option<Timestamp>,
    /// Younger digests are left out. A chain that ends more than a digest's length before it gets a remark.
    pub end: Option<Timestamp>,
}

/// The Regions that digests in the evidence were made in: each signs with keys of its own.
///
/// # Errors
/// When the place cannot be read.
pub async fn regions(evidence: &Evidence) -> Result<BTreeSet<String>, EvidenceError> {
    let names = evidence.names().await?;
    Ok(names.iter().filter_map(|name| parse_name(name)).map(|(chain, _)| chain.region).collect())
}

/// Fetches under way at once; hashing runs on as many threads as there are cores.
const CONCURRENCY: usize = 32;

/// Checks every digest in `range` and every log file that they list. `progress` is told of each file once it is checked.
///
/// # Errors
/// When the place cannot be read at all. What is wrong with single files is in the report.
pub async fn verify(
    evidence: &Evidence,
    keys: &PublicKeys,
    range: Range,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Report, EvidenceError> {
    let names = evidence.names().await?;
    let mut chains: BTreeMap<ChainName, Vec<(String, String)>> = BTreeMap::new();
    for name in &names {
        if let Some((chain, time)) = parse_name(name) {
            chains.entry(chain).or_default().push((time, name.clone()));
        }
    }
    let mut report = Report::default();
    let mut coverage = Coverage::default();
    for (chain, mut digests) in chains {
        digests.sort();
        let in_range = |time: &str| {
            let time = time.parse_time();
            range.start.is_none_or(|start| time >= Some(start)) && range.end.is_none_or(|end| time <= Some(end))
        };
        let before = digests.iter().any(|(time, _)| !in_range(time));
        digests.retain(|(time, _)| in_range(time));
        check_chain(evidence, keys, range, &chain, digests, before, &mut report, &mut coverage, progress).await?;
    }
    coverage.report_unlisted(&names, &mut report);
    report.findings.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(report)
}

/// What valid digests cover: which log files they list, and up to when per account and Region.
#[derive(Default)]
struct Coverage {
    listed: HashSet<String>,
    spans: Vec<Span>,
}

struct Span {
    account: String,
    region: String,
    start: Timestamp,
    end: Timestamp,
}

impl Coverage {
    /// Log files that lie in a covered time by their names, yet are in no digest. A name has minutes only, and the file
    /// may be delivered after the minute it names, so that the covered time is taken narrowly: whole minutes inside it,
    /// the last quarter of an hour left out.
    fn report_unlisted(&self, names: &[String], report: &mut Report) {
        const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
        for name in names.iter().filter(|name| !self.listed.contains(*name)) {
            let Some((account, region, time)) = parse_log_name(name) else { continue };
            let inside = self.spans.iter().any(|span| {
                span.account == account
                    && span.region == region
                    && time >= span.start + MINUTE
                    && time + MINUTE * 15 <= span.end
            });
            if inside {
                report.findings.push(Finding { kind: "log file", name: name.clone(), problem: Problem::Unlisted });
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of `verify`, split off for its length")]
async fn check_chain(
    evidence: &Evidence,
    keys: &PublicKeys,
    range: Range,
    chain: &ChainName,
    files: Vec<(String, String)>,
    has_older: bool,
    report: &mut Report,
    coverage: &mut Coverage,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<(), EvidenceError> {
    let digests = read_digests(evidence, files).await?;
    let mut summary = ChainReport {
        trail: chain.trail.clone(),
        home_region: chain.home_region.clone(),
        account: chain.account.clone(),
        region: chain.region.clone(),
        start: None,
        end: None,
        starting_digests: 0,
        digests: digests.len(),
        valid_digests: 0,
        log_files: 0,
        valid_log_files: 0,
    };
    let mut listed = Vec::new();
    let mut unsigned = HashSet::new();
    let mut is_damaged = false;
    for (index, (name, stored, read)) in digests.iter().enumerate() {
        let before_is_damaged = std::mem::replace(&mut is_damaged, true);
        progress(1);
        let mut find = |problem| report.findings.push(Finding { kind: "digest", name: name.clone(), problem });
        let digest = match read {
            Ok(digest) => digest,
            Err(problem) => {
                find(problem.clone());
                continue;
            }
        };
        let next = digests.get(index + 1).and_then(|(_, _, read)| read.as_ref().ok());
        let mut is_signed = true;
        match check_digest(keys, name, stored, digest, next) {
            Ok(()) => {}
            Err(problem @ Problem::SignatureUnknown) => {
                is_signed = false;
                find(problem);
            }
            Err(problem) => {
                find(problem);
                continue;
            }
        }
        is_damaged = false;
        summary.valid_digests += 1;
        let (start, end) = (digest.start(), digest.end());
        summary.start = summary.start.or(start);
        summary.end = end.or(summary.end);
        let base = base_of(name, digest);
        match (&digest.previous_digest_s3_object, index.checked_sub(1).map(|i| &digests[i])) {
            (None, _) => summary.starting_digests += 1,
            (Some(previous), Some((previous_name, _, previous_read)))
                if previous.strip_prefix(base) == Some(previous_name) =>
            {
                // This digest is proven, so that where the two disagree, the other one is wrong; it may have been
                // found out by its signature already.
                if let (Ok(before), false) = (previous_read, before_is_damaged) {
                    if digest.previous_digest_hash_value.as_deref() != Some(before.hash.as_str()) {
                        let name = previous_name.clone();
                        report.findings.push(Finding { kind: "digest", name, problem: Problem::HashMismatch });
                    } else if digest.digest_start_time != before.digest_end_time {
                        find(Problem::TimeGap {
                            previous_end: before.digest_end_time.clone(),
                            start: digest.digest_start_time.clone(),
                        });
                    }
                }
            }
            // The digest before the first one looked at may lie outside the range that was asked for.
            (Some(_), None) if has_older || range.start.is_some() => {}
            (Some(previous), _) => {
                let name = previous.strip_prefix(base).unwrap_or(previous).to_owned();
                report.findings.push(Finding { kind: "digest", name, problem: Problem::NotFound });
            }
        }
        if let (Some(start), Some(end)) = (start, end) {
            let (account, region) = (chain.account.clone(), chain.region.clone());
            coverage.spans.push(Span { account, region, start, end });
        }
        for file in &digest.log_files {
            let name = file.s3_object.strip_prefix(base).unwrap_or(&file.s3_object).to_owned();
            coverage.listed.insert(name.clone());
            if !is_signed {
                unsigned.insert(name.clone());
            }
            listed.push((name, file.clone()));
        }
    }
    if let (Some(asked), Some(start), Some(end)) = (range.end, summary.start, summary.end) {
        let window = end.since(start).checked_div(u32::try_from(digests.len()).unwrap_or(1)).unwrap_or_default();
        if end + window * 2 < asked {
            let name = digests.last().map(|(name, ..)| name.clone()).unwrap_or_default();
            let problem = Problem::EndsEarly { last_end: end.to_iso() };
            report.findings.push(Finding { kind: "digest", name, problem });
        }
    }
    summary.log_files = listed.len();
    let checked = check_log_files(evidence, listed, progress).await?;
    for (name, verdict) in checked {
        match verdict {
            Ok(bytes) => {
                summary.valid_log_files += 1;
                report.log_bytes += bytes;
                if !unsigned.contains(&name) {
                    report.proven.insert(name);
                }
            }
            Err(problem) => report.findings.push(Finding { kind: "log file", name, problem }),
        }
    }
    report.chains.push(summary);
    Ok(())
}

type ReadDigest = (String, Stored, Result<Digest, Problem>);

async fn read_digests(evidence: &Evidence, files: Vec<(String, String)>) -> Result<Vec<ReadDigest>, EvidenceError> {
    stream::iter(files)
        .map(|(_, name)| async move {
            let Some(stored) = evidence.fetch(&name).await? else { return Ok(None) };
            let read = Digest::read(&stored.bytes);
            Ok(Some((name, stored, read)))
        })
        .buffered(CONCURRENCY)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

async fn check_log_files(
    evidence: &Evidence,
    files: Vec<(String, LogFile)>,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<(String, Result<u64, Problem>)>, EvidenceError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let hashing = tokio::sync::Semaphore::new(threads);
    let hashing = &hashing;
    stream::iter(files)
        .map(|(name, file)| async move {
            let Some(stored) = evidence.fetch(&name).await? else { return Ok((name, Err(Problem::NotFound))) };
            let _permit = hashing.acquire().await;
            let verdict = tokio::task::spawn_blocking(move || log_file::check(&stored.bytes, &file.hash_value)).await;
            progress(1);
            let crashed = |error: tokio::task::JoinError| Problem::InvalidFormat { reason: error.to_string() };
            Ok((name, verdict.map_err(crashed).and_then(|verdict| verdict)))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

fn check_digest(
    keys: &PublicKeys,
    name: &str,
    stored: &Stored,
    digest: &Digest,
    next: Option<&Digest>,
) -> Result<(), Problem> {
    if !digest.digest_s3_object.ends_with(name) {
        return Err(Problem::Moved { claimed: digest.digest_s3_object.clone() });
    }
    let fingerprint = &digest.digest_public_key_fingerprint;
    if !keys.knows(fingerprint) {
        return Err(Problem::PublicKeyNotFound { fingerprint: fingerprint.clone() });
    }
    // A copy without metadata still has each signature in the digest that follows.
    let from_next = next
        .filter(|next| next.previous_digest_s3_object.as_ref() == Some(&digest.digest_s3_object))
        .and_then(|next| next.previous_digest_signature.clone());
    let signature = stored.signature.clone().or(from_next).ok_or(Problem::SignatureUnknown)?;
    let signature = hex::decode(&signature).map_err(|_| Problem::SignatureFailed)?;
    if keys.verify(fingerprint, digest.signed_text().as_bytes(), &signature) {
        Ok(())
    } else {
        Err(Problem::SignatureFailed)
    }
}

/// What precedes `name` in the digest's own key: a copy may hold only a part of the bucket.
fn base_of<'a>(name: &str, digest: &'a Digest) -> &'a str {
    digest.digest_s3_object.strip_suffix(name).unwrap_or_default()
}

/// Account, Region and minute of a log file's name.
fn parse_log_name(key: &str) -> Option<(&str, &str, Timestamp)> {
    let stem = key.rsplit('/').next()?.strip_suffix(".json.gz")?;
    let (account, rest) = stem.split_once("_CloudTrail_")?;
    let (rest, _) = rest.rsplit_once('_')?;
    let (region, time) = rest.rsplit_once('_')?;
    Some((account, region, time.parse_time()?))
}

trait ParseTime {
    /// `20260102T0304Z` or `20260102T030405Z`.
    fn parse_time(&self) -> Option<Timestamp>;
}

impl ParseTime for str {
    fn parse_time(&self) -> Option<Timestamp> {
        let digits = self.strip_suffix('Z')?;
        let (date, time) = digits.split_at_checked(8)?;
        let time = time.strip_prefix('T')?;
        let seconds = time.get(4..6).unwrap_or("00");
        let iso = format!(
            "{}-{}-{}T{}:{}:{seconds}Z",
            date.get(..4)?,
            date.get(4..6)?,
            date.get(6..)?,
            time.get(..2)?,
            time.get(2..4)?
        );
        iso.parse().ok()
    }
}
