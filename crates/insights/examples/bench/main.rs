//! Measures the method of Insights over labelled workloads: `cargo run --release -p opentrail-insights --example bench`.
//!
//! The parameters were chosen with the seeds from 1; what is reported uses others (from 1001 unless told).

mod detectors;
mod load;
mod nab;
mod report;
mod sampling;
mod workload;

use clap::Parser;
use opentrail_insights::method::{Parameters, Sensitivity};

use report::{Report, false_alarms};
use workload::{Account, DAY};

/// Recall, false alarms and delay of Insights over labelled workloads.
#[derive(Debug, Parser)]
struct Args {
    /// The seed of the first account; each next one has the next.
    #[arg(long, default_value_t = 1001)]
    seed: u64,
    /// How many accounts.
    #[arg(long, default_value_t = 20)]
    accounts: u64,
    /// Keys of each account.
    #[arg(long, default_value_t = 200)]
    keys: usize,
    /// Days before the first anomaly.
    #[arg(long, default_value_t = 28)]
    train_days: u32,
    /// Days in which anomalies lie, and over which false alarms count.
    #[arg(long, default_value_t = 14)]
    days: u32,
    /// Anomalies injected into each account.
    #[arg(long, default_value_t = 24)]
    anomalies: usize,
    /// low, medium or high.
    #[arg(long, default_value = "medium")]
    sensitivity: Sensitivity,
    /// Tries another false discovery rate.
    #[arg(long)]
    false_discoveries: Option<f64>,
    /// Tries another ratio to what is expected.
    #[arg(long)]
    ratio: Option<f64>,
    /// Tries another excess over what is expected.
    #[arg(long)]
    excess: Option<f64>,
    /// Tries another multiple of the second largest day.
    #[arg(long)]
    above_peaks: Option<f64>,
    /// Leaves out the detectors that ours is measured beside.
    #[arg(long)]
    only_ours: bool,
    /// Tells each alarm and each minute injected that raised none.
    #[arg(long)]
    trace: bool,
    /// Instead: so many minutes of records over 100,000 keys, each of which has calls in every minute.
    #[arg(long)]
    load: Option<u64>,
    /// Records a second of that.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Instead: the Numenta Anomaly Benchmark, checked out in this directory.
    #[arg(long)]
    nab: Option<std::path::PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    if let Some(minutes) = args.load {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        return runtime.block_on(load::run(100_000, args.rate, minutes));
    }
    if let Some(directory) = &args.nab {
        return nab::run(directory);
    }
    label(&args);
    Ok(())
}

fn label(args: &Args) {
    let parameters = |age: u32| {
        let mut parameters = Parameters::of(args.sensitivity, age)?;
        parameters.false_discoveries = args.false_discoveries.unwrap_or(parameters.false_discoveries);
        parameters.ratio = args.ratio.unwrap_or(parameters.ratio);
        parameters.excess = args.excess.unwrap_or(parameters.excess);
        parameters.above_peaks = args.above_peaks.unwrap_or(parameters.above_peaks);
        Some(parameters)
    };
    let (train, minutes) = (args.train_days * DAY, (args.train_days + args.days) * DAY);
    // Nothing is told in the first hour.
    let train = train.max(120);
    println!(
        "{} accounts of {} keys from seed {}, {} days before {} days with {} anomalies each; sensitivity {}",
        args.accounts, args.keys, args.seed, args.train_days, args.days, args.anomalies, args.sensitivity
    );
    let mut reports: Vec<Report> =
        ["opentrail", "fixed threshold", "3 sigma", "EWMA"].into_iter().map(Report::new).collect();
    for seed in args.seed..args.seed + args.accounts {
        let account = Account::generate(seed, args.keys, minutes, train, args.anomalies);
        reports[0].add(&account, &detectors::ours(&account, &parameters, args.trace), train, minutes);
        if !args.only_ours {
            reports[1].add(&account, &detectors::fixed_threshold(&account, train), train, minutes);
            reports[2].add(&account, &detectors::three_sigma(&account, train), train, minutes);
            reports[3].add(&account, &detectors::ewma(&account, train), train, minutes);
        }
    }
    reports[0].print_kinds();
    reports.truncate(if args.only_ours { 1 } else { 4 });
    Report::print_beside(&reports);
    false_alarms(&reports[0], args.accounts);
}
