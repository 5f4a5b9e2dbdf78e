//! The store as its users meet it: S3 clients, requests made by hand, and code in the same process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clients;
mod embedded;
mod requests;
mod signatures;
mod support;
