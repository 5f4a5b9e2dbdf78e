//! The gateway between real clients and a real upstream, both on this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

mod bodies;
mod certificate;
mod failures;
mod http2;
mod shutdown;
mod signed;
mod vpc_endpoint;
mod world;
