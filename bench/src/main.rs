//! Measures OpenTrail from outside, and beside what people use today. `README.md` tells how to run each;
//! `docs/performance.md` has the results.

mod append;
mod client;
mod engines;
mod lookup;
mod proxy;
mod put;
mod records;
mod stats;
mod upstream;
mod visible;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "opentrail-bench", about = "Measures OpenTrail from outside")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Acknowledged appends to a journal, to NATS JetStream, to PostgreSQL.
    Append(append::Args),
    /// `POST /v1/records` to a running server.
    Put(put::Args),
    /// LookupEvents by each attribute at a running server that `put` has filled.
    Lookup(lookup::Args),
    /// The time from an acknowledgement until LookupEvents finds the event.
    Visible(visible::Args),
    /// An upstream for `proxy`: answers like an object store and keeps nothing.
    Upstream(upstream::Args),
    /// The same requests to several addresses in turn.
    Proxy(proxy::Args),
    /// Prints generated records, one per line.
    Records(records::Args),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Append(args) => append::run(args).await,
            Command::Put(args) => put::run(args).await,
            Command::Lookup(args) => lookup::run(args).await,
            Command::Visible(args) => visible::run(args).await,
            Command::Upstream(args) => upstream::run(args).await,
            Command::Proxy(args) => proxy::run(args).await,
            Command::Records(args) => records::run(&args),
        }
    })
}
