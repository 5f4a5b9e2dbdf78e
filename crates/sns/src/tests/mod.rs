//! The service as its callers and its endpoints see it.

mod calls;
mod delivering;
mod hanging;
mod mailing;
mod services;
mod world;
