//! The recording reverse proxy: stands before one AWS-compatible endpoint and records each call that crosses it.
//!
//! A request leaves as it was signed: method, target, `Host` and every signed header stay, bodies stream both ways
//! without being held up, and nothing is added. While they pass, [`opentrail_recorder::tap`] keeps what a record needs.
//! Once the response has ended, or the client has gone away, exactly one record goes to the [`RecordSink`]. While the
//! sink takes no more, no new call is let through.
//!
//! A gateway may be a VPC endpoint ([`VpcEndpoint`]): then its policy is asked first, and each call is a network activity
//! event as well.
//!
//! Life of a call: [`gateway`] accepts, [`connection`] speaks TLS and HTTP with the client, [`vpc_endpoint`] lets it
//! pass, [`forward`] carries it over and back by the [`upstream`]'s connections, [`call`] makes its records.

mod answer;
mod call;
mod config;
mod connection;
mod forward;
mod gateway;
mod headers;
mod inbound;
mod patience;
mod stall;
mod upstream;
mod vpc_endpoint;

pub use config::GatewayConfig;
pub use connection::{ClientLimits, Connection, Peer};
pub use gateway::{CallerLookup, Gateway, GatewayError, RecordSink};
pub use inbound::Inbound;
pub use vpc_endpoint::{EndpointCall, EndpointPolicy, VpcEndpoint};
