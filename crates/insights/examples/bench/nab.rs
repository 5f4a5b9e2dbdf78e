//! The method over the series of AWS metrics in the Numenta Anomaly Benchmark, beside the detectors published with it.
//!
//! Points come every five minutes and are no counts; each becomes five minutes of calls, scaled so that the median of the first
//! 15% (which nobody is scored on) is twenty a minute. Scores are NAB's own, profile `standard`: sigmoid rewards in the labelled windows,
//! -0.11 for each false positive, -1 for each window missed; each detector with the threshold that suits it best over these series, scaled
//! so that 0 is a detector that finds nothing and 100 one that finds all at once. (Alexander Lavin, Subutai Ahmad, "Evaluating
//! Real-time Anomaly Detection Algorithms", 2015.) The method looks for more than usual only, and many labels are about less.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use opentrail_insights::method::{Closed, Knowledge, Minute, Observed, Parameters, Series};
use opentrail_model::Timestamp;

const FOLDER: &str = "realAWSCloudWatch";
const FALSE_POSITIVE: f64 = 0.11;

type Fault = Box<dyn Error>;

/// One series: its times, whether each lies in which window, and a score for each.
struct Scored {
    times: Vec<String>,
    scores: Vec<f64>,
    windows: Vec<(String, String)>,
}

pub(crate) fn run(directory: &Path) -> Result<(), Fault> {
    let windows: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&std::fs::read_to_string(directory.join("labels/combined_windows.json"))?)?;
    let mut results: Vec<(String, f64)> = Vec::new();
    for detector in std::fs::read_dir(directory.join("results"))? {
        let (path, name) = {
            let d = detector?;
            (d.path(), d.file_name().to_string_lossy().into_owned())
        };
        let mut all = Vec::new();
        for (file, windows) in of_aws(&windows) {
            let Some(csv) = ["realAWSCloudWatch", "realAWSCloudwatch"]
                .iter()
                .find_map(|folder| std::fs::read_to_string(path.join(folder).join(format!("{name}_{file}"))).ok())
            else {
                continue;
            };
            let rows = csv.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
            let rows: Vec<(String, f64)> =
                rows.filter_map(|row| Some((row.first()?.to_string(), row.get(2)?.parse().ok()?))).collect();
            let (times, scores) = rows.into_iter().unzip();
            all.push(Scored { times, scores, windows: windows.clone() });
        }
        if all.len() == of_aws(&windows).count() {
            results.push((name, best(&all)));
        }
    }
    let mut ours = Vec::new();
    for (file, windows) in of_aws(&windows) {
        let csv = ["realAWSCloudWatch", "realAWSCloudwatch"]
            .iter()
            .find_map(|folder| std::fs::read_to_string(directory.join("data").join(folder).join(&file)).ok())
            .ok_or("a series is missing")?;
        let rows = csv.lines().skip(1).filter_map(|line| line.split_once(','));
        let rows: Vec<(String, f64)> = rows.filter_map(|(t, v)| Some((t.to_owned(), v.parse().ok()?))).collect();
        let scores = scores(&rows)?;
        ours.push(Scored { times: rows.into_iter().map(|(time, _)| time).collect(), scores, windows });
    }
    results.push(("opentrail".to_owned(), best(&ours)));
    results.sort_by(|a, b| b.1.total_cmp(&a.1));
    println!("NAB, {} series of {FOLDER}, standard profile", ours.len());
    for (name, score) in results {
        println!("{name:<24} {score:>7.1}");
    }
    Ok(())
}

fn of_aws(windows: &BTreeMap<String, Vec<(String, String)>>) -> impl Iterator<Item = (String, Vec<(String, String)>)> {
    let named = windows.iter().filter_map(|(name, windows)| Some((name.split_once('/')?, windows)));
    named
        .filter(|((folder, _), _)| folder.eq_ignore_ascii_case(FOLDER))
        .map(|((_, file), windows)| (file.to_owned(), windows.clone()))
}

/// The surprise of each point, over what an Insight would need.
fn scores(rows: &[(String, f64)]) -> Result<Vec<f64>, Fault> {
    let mut first: Vec<f64> = rows[..(rows.len() * 15 / 100).min(750)].iter().map(|(_, value)| *value).collect();
    first.sort_by(f64::total_cmp);
    let scale = 20.0 / first[first.len() / 2].max(1e-3);
    let loose = Parameters { false_discoveries: 1.0, ratio: 1.0, excess: 0.0, above_peaks: 1.0 };
    let start = minute(&rows[0].0)?;
    let (mut observed, mut series) = (Observed::default(), Series::new(start));
    let mut scores = Vec::with_capacity(rows.len());
    let mut last = start.back(1);
    for (time, value) in rows {
        let at = minute(time)?;
        let mut largest = 0.0_f64;
        for at in (0..5).map(|more| Minute(at.0 + more)).filter(|at| *at > last).collect::<Vec<_>>() {
            last = at;
            observed.close(at);
            let known = Knowledge { observed: &observed, since: start, age: observed.total() as u32 };
            let count = (value * scale).round().clamp(0.0, 1e9) as u32;
            if let Closed::Unusual(surprise) = series.close(at, count, &known, Some(&loose)) {
                largest = largest.max(surprise.exponent / (surprise.habit + 10.0));
            }
        }
        scores.push(largest);
    }
    // One detection for a stretch: what follows within two hours tells nothing new.
    let raw = scores.clone();
    for at in 0..raw.len() {
        if raw[at.saturating_sub(24)..at].iter().any(|before| *before >= raw[at] && *before > 0.0) {
            scores[at] = 0.0;
        }
    }
    Ok(scores)
}

fn minute(time: &str) -> Result<Minute, Fault> {
    Ok(Minute::of(format!("{}Z", time.get(..19).ok_or("a time is short")?.replace(' ', "T")).parse::<Timestamp>()?))
}

/// The score with the threshold that suits best.
fn best(all: &[Scored]) -> f64 {
    let mut thresholds: Vec<f64> = all.iter().flat_map(|one| one.scores.iter().copied()).filter(|s| *s > 0.0).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    // A few thousand are enough to find the best to a tenth of a point.
    let step = (thresholds.len() / 2000).max(1);
    let windows: f64 = all.iter().map(|one| one.windows.len() as f64).sum();
    let tried = thresholds.iter().rev().step_by(step).chain(thresholds.last());
    let raw = tried.map(|t| all.iter().map(|one| score(one, *t)).sum::<f64>()).fold(-windows, f64::max);
    100.0 * (raw + windows) / (2.0 * windows)
}

/// NAB's score of a series: detections are points at or above the threshold, those in the first 15% do not count.
fn score(one: &Scored, threshold: f64) -> f64 {
    let probation = (one.times.len() * 15 / 100).min(750);
    let clip = |time: &str| time.get(..19).unwrap_or(time).to_owned();
    let index = |time: &str| one.times.partition_point(|t| clip(t) < clip(time));
    let windows: Vec<(usize, usize)> = one.windows.iter().map(|(a, b)| (index(a), index(b))).collect();
    let sigmoid = |y: f64| 2.0 / (1.0 + (5.0 * y).exp()) - 1.0;
    let mut total = 0.0;
    let mut rewards = vec![None::<f64>; windows.len()];
    for at in (probation..one.scores.len()).filter(|at| one.scores[*at] >= threshold) {
        if let Some(in_window) = windows.iter().position(|(a, b)| (*a..=*b).contains(&at)) {
            let (a, b) = windows[in_window];
            let reward = sigmoid(-((b - at) as f64 + 1.0) / (b - a + 1) as f64) / sigmoid(-1.0);
            rewards[in_window] = Some(rewards[in_window].unwrap_or(f64::MIN).max(reward));
        } else if let Some((a, b)) = windows.iter().rfind(|(_, b)| *b < at) {
            let y = (at - b) as f64 / ((b - a).max(1)) as f64;
            total += FALSE_POSITIVE * if y > 3.0 { -1.0 } else { sigmoid(y) };
        } else {
            total -= FALSE_POSITIVE;
        }
    }
    total + rewards.into_iter().map(|reward| reward.unwrap_or(-1.0)).sum::<f64>()
}
