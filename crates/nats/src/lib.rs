//! Messages to NATS, each confirmed: by a JetStream stream that has stored it, or by the server that has taken it.
//!
//! It speaks what that needs of the client protocol and nothing else: `CONNECT`, `SUB` of an inbox, `HPUB`, `PING`. A
//! connection carries one message at a time and is kept for the next, so that there are no tasks of its own and an answer
//! is always that of the last question. (NATS documentation, "Client Protocol"; "JetStream wire API Reference".)

mod connection;
mod credentials;
mod error;
mod protocol;
mod publisher;
mod subject;

pub use credentials::{Credentials, InvalidCredentials};
pub use error::NatsError;
pub use publisher::{Confirmation, Message, NatsOptions, Publisher, Server};
pub use subject::{Subject, SubjectPattern};
