//! What appends are measured at. One writer has one connection and one batch in flight.

pub mod journal;
pub mod nats;
pub mod postgres;

use async_trait::async_trait;
use bytes::Bytes;

/// Something that keeps records.
#[async_trait]
pub trait Engine: Send {
    /// Returns once every record of the batch is acknowledged as durable.
    async fn append(&mut self, batch: &[Bytes]) -> anyhow::Result<()>;
}
