//! Each operation from request to answer: a file per operation, in the folders of `src`.

#![expect(clippy::unwrap_used, reason = "what tests set up must be there")]

mod dispatch;
mod event;
mod event_configuration;
mod iam;
mod key;
mod organizations;
mod query;
mod selector;
mod store;
mod sts;
mod support;
mod tag;
mod trail;
