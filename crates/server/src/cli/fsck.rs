use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use opentrail_runtime::{Clock, SystemClock};
use opentrail_verify::{FsckOptions, FsckReport, fsck};

use super::output::{bold, green, red, table, yellow};
use super::{FOUND_PROBLEMS, OK, OutputFormat};

/// Check a data directory's journal, catalog, tables and log files against each other.
///
/// Nothing is changed. The server must not be running on the directory; a copy can be checked at any time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  opentrail fsck
  opentrail fsck --data-dir /var/lib/opentrail --output json
  cp -a /var/lib/opentrail /backup/ && opentrail fsck --data-dir /backup/opentrail")]
pub(super) struct FsckArgs {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./opentrail-data", env = "OPENTRAIL_DATA_DIR")]
    data_dir: PathBuf,
    /// How far back Event history reaches: the server's history.retention.
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = humantime::parse_duration)]
    retention: Duration,
    /// How the verdict is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

pub(super) async fn run(args: FsckArgs) -> anyhow::Result<u8> {
    let progress = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {bytes} checked ({bytes_per_sec}), {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    progress.enable_steady_tick(Duration::from_millis(200));
    let options = FsckOptions { retention: args.retention, ..FsckOptions::at(SystemClock.now()) };
    let advance = {
        let progress = progress.clone();
        Arc::new(move |bytes| progress.inc(bytes))
    };
    let report = fsck(&args.data_dir, options, advance).await;
    progress.finish_and_clear();
    let report = report?;
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        OutputFormat::Table => print(&report),
    }
    Ok(if report.is_sound() { OK } else { FOUND_PROBLEMS })
}

fn print(report: &FsckReport) {
    let mut areas = table(&["AREA", "CHECKED", "DAMAGE", "NOTES"]);
    for area in &report.areas {
        let checked: Vec<String> = area.checked.iter().map(|(what, number)| format!("{number} {what}")).collect();
        let checked = if checked.is_empty() { "-".to_owned() } else { checked.join(", ") };
        areas.add_row([area.area.to_string(), checked, area.damage.to_string(), area.remarks.to_string()]);
    }
    anstream::println!("{areas}");
    match report.first_position {
        Some(first) => anstream::println!("The journal holds positions {first} to {}.\n", report.last_position),
        None => anstream::println!("The journal holds no entries; the last position was {}.\n", report.last_position),
    }
    for finding in &report.findings {
        let mark = if finding.is_damage { red("DAMAGE") } else { yellow("note  ") };
        let offset = finding.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
        anstream::println!("{mark}  {}{offset}: {}", finding.path, finding.problem);
    }
    if report.is_sound() {
        anstream::println!("{}", green("Everything fits together."));
    } else {
        let damaged: u64 = report.areas.iter().map(|area| area.damage).sum();
        anstream::println!("{}", bold(format!("{damaged} problem(s) found.")));
    }
}
