//! The `opentrail` binary: the command line, the configuration, and the wiring of the parts.
//!
//! Alone in naming concrete backends. [`serve`] puts the server together; `front` is its one port; the other
//! commands are small programs over the same crates.

mod boot;
mod cli;
mod config;
mod front;
mod logging;
mod serve;
mod wiring;

use std::process::ExitCode;

/// The system's allocator keeps what one thread frees and another asked for: under load it came to hold twice the memory
/// in use. `.cargo/config.toml` has its settings.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
