//! The log: readable on a terminal, JSON for machines. It goes to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging for the process.
pub(crate) fn start(format: LogFormat, directives: &str) -> anyhow::Result<()> {
    // The table library tells every commit at level info, the S3 library every refused request at level error.
    let directives = format!("deltalake_core=warn,buoyant_kernel=warn,buoyant_kernel_engine=warn,s3s=off,{directives}");
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| anyhow::anyhow!("--log {directives:?} is not a level or directives: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
