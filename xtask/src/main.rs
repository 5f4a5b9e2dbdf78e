//! The chores of the repository: code made from the AWS service models, and the compatibility page.
//!
//! Run as `cargo xtask <command>` from anywhere in the workspace.

mod botocore;
mod codegen;
mod compatibility;
mod model;
mod output;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// OpenTrail's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the wire types and the fact tables from the service models of a pinned botocore.
    Codegen(codegen::Args),
    /// Write docs/compatibility.md from the results of the conformance tests.
    Compatibility(compatibility::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Codegen(args) => codegen::run(&args),
        Command::Compatibility(args) => compatibility::run(&args),
    }
}
