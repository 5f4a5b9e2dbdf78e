//! The command line.

mod client;
mod federation;
mod follow;
mod fsck;
mod import;
mod import_into;
mod insights;
mod lake;
pub(crate) mod output;
mod pack;
mod sigma;
mod sql;
mod tail;
mod verify;
mod verify_query_results;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use opentrail_model::AccountId;
#[cfg(debug_assertions)]
use opentrail_runtime::{CRASH_AT, CrashAt, CrashPoint, QuickClock};
use opentrail_runtime::{OnError, Shutdown, TaskGroup};

use crate::config::ConfigError;
use crate::logging::{self, LogFormat};

/// Did what was asked.
pub(crate) const OK: u8 = 0;
/// Did it, and found something wrong: damaged evidence, refused records.
pub(crate) const FOUND_PROBLEMS: u8 = 1;
/// The command line or the configuration is wrong. (clap's own code for usage errors.)
pub(crate) const USAGE: u8 = 2;
/// Could not do it: a file, a port, a server, a bucket failed.
pub(crate) const FAILED: u8 = 3;

const EXIT_CODES: &str = "Exit codes:
  0  done, all is well
  1  done, and problems were found (damaged evidence, refused records)
  2  the command line or the configuration is wrong
  3  it could not be done (a file, a port, a server or a bucket failed)";

const EXAMPLES: &str = "Examples:
  opentrail serve
  AWS_SHARED_CREDENTIALS_FILE=opentrail-data/credentials \\
    aws --endpoint-url http://127.0.0.1:4590 cloudtrail lookup-events
  opentrail sql 'SELECT eventName, count(*) FROM my-store GROUP BY 1' --endpoint-url http://127.0.0.1:4590
  opentrail tail --errors --endpoint-url http://127.0.0.1:4590
  opentrail verify opentrail-data/objects/my-logs --endpoint-url http://127.0.0.1:4590
  opentrail import ./downloaded-trail --endpoint-url http://127.0.0.1:4590";

/// OpenTrail records every API call made against a cloud as a CloudTrail event, keeps the events durably and provably,
/// and answers who did what, to which resource, when, from where.
#[derive(Debug, Parser)]
#[command(name = "opentrail", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(ServeArgs),
    /// Put the events of log files into a running server's Event history, or into an event data store.
    Import(import::ImportArgs),
    /// Ask event data stores of a running server in SQL.
    Sql(sql::SqlArgs),
    /// Print events as they become durable.
    Tail(tail::TailArgs),
    /// Put up the metric filters and alarms of a benchmark for a trail.
    Pack(pack::PackArgs),
    /// Run published Sigma rules on what is recorded, or over what was.
    Sigma(sigma::SigmaArgs),
    /// Explain unusual activity that Insights has found, or look for it in the past.
    Insights(insights::InsightsArgs),
    /// Say where other engines read the tables of federated event data stores.
    Federation(federation::FederationArgs),
    /// Say how followed buckets are doing.
    Follow(follow::FollowArgs),
    /// Check delivered log files and digests: nothing altered, nothing missing.
    Verify(verify::VerifyArgs),
    /// Check the saved results of a query: that they are those that were signed.
    VerifyQueryResults(verify_query_results::VerifyQueryResultsArgs),
    /// Check a data directory's journal, catalog, tables and log files against each other.
    Fsck(fsck::FsckArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Examples:
  opentrail completions bash > ~/.local/share/bash-completion/completions/opentrail
  opentrail completions zsh > ~/.zfunc/_opentrail")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the steps at which OPENTRAIL_CRASH_AT can make the server die, and what they mean.
    #[cfg(debug_assertions)]
    #[command(hide = true)]
    CrashPoints,
}

/// What `opentrail serve` is told on the command line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  opentrail serve
  opentrail serve --data-dir /var/lib/opentrail --listen 0.0.0.0:4590 --config /etc/opentrail.toml
  OPENTRAIL_DELIVERY__MAX_AGE=5s opentrail serve --log-format json")]
pub(crate) struct ServeArgs {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR", default_value = "./opentrail-data", env = "OPENTRAIL_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where clients connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4590", env = "OPENTRAIL_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// The configuration, a TOML file; each key can also be set as OPENTRAIL_SECTION__KEY.
    #[arg(long, value_name = "FILE", env = "OPENTRAIL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The account made at the first start.
    #[arg(long, value_name = "ID", default_value = "100000000001", env = "OPENTRAIL_ACCOUNT_ID")]
    pub(crate) account_id: AccountId,
    /// Throttle requests as AWS does, for those who test clients.
    #[arg(long)]
    pub(crate) aws_quotas: bool,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "OPENTRAIL_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or directives such as `info,opentrail_delivery=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "OPENTRAIL_LOG")]
    pub(crate) log: String,
    /// The step at which to die, `STEP` or `STEP:N` for the N-th time there.
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "STEP", env = CRASH_AT, hide = true)]
    pub(crate) crash_at: Option<CrashAt>,
    /// A clock that runs quicker than the machine's, for tests of what takes hours.
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "RATE@SECONDS", hide = true)]
    pub(crate) quick_clock: Option<QuickClock>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Runs the command line and returns the exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => {
            logging::start(args.log_format, &args.log).and_then(|()| block_on(crate::serve::serve(args)))
        }
        Command::Import(args) => block_on(import::run(args)),
        Command::Sql(args) => block_on(sql::run(args)),
        Command::Tail(args) => block_on(tail::run(args)),
        Command::Pack(args) => block_on(pack::run(args)),
        Command::Sigma(args) => block_on(sigma::run(args)),
        Command::Insights(args) => block_on(insights::run(args)),
        Command::Federation(args) => block_on(federation::run(args)),
        Command::Follow(args) => block_on(follow::run(args)),
        Command::Verify(args) => block_on(verify::run(args)),
        Command::VerifyQueryResults(args) => block_on(verify_query_results::run(args)),
        Command::Fsck(args) => block_on(fsck::run(args)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "opentrail", &mut std::io::stdout());
            Ok(OK)
        }
        #[cfg(debug_assertions)]
        Command::CrashPoints => {
            for point in CrashPoint::ALL {
                println!("{point:<30} {}", point.meaning());
            }
            Ok(OK)
        }
    };
    match result {
        Ok(code) => code.into(),
        Err(error) => {
            anstream::eprintln!("{} {error:#}", output::red("error:"));
            let code = if error.downcast_ref::<ConfigError>().is_some() { USAGE } else { FAILED };
            code.into()
        }
    }
}

/// Begins at Ctrl-C, and whoever begins it first ends the watch for that.
fn stop_on_ctrl_c() -> (Shutdown, TaskGroup) {
    let stop = Shutdown::new();
    let tasks = TaskGroup::new(stop.clone());
    let begun = stop.clone();
    tasks.spawn("stop on Ctrl-C", OnError::Log, async move {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed?,
            () = begun.begun() => {}
        }
        begun.begin();
        Ok::<_, std::io::Error>(())
    });
    (stop, tasks)
}

fn block_on(command: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
