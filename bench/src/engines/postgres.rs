use anyhow::Context;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use tokio_postgres::{Client, NoTls, Statement};

use super::Engine;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS records (
    position bigserial PRIMARY KEY, account text NOT NULL DEFAULT '100000000001',
    received timestamptz NOT NULL DEFAULT now(), body text NOT NULL)";

/// One connection.
pub struct Writer {
    client: Client,
    insert: Statement,
}

impl Writer {
    /// Connects, and makes the table if it is missing.
    pub async fn connect(dsn: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.context("no PostgreSQL")?;
        tokio::spawn(connection);
        client.batch_execute("SET client_min_messages = warning; SET synchronous_commit = on").await?;
        client.batch_execute(TABLE).await?;
        let insert = client.prepare("INSERT INTO records (body) VALUES ($1)").await?;
        Ok(Self { client, insert })
    }
}

#[async_trait]
impl Engine for Writer {
    async fn append(&mut self, batch: &[Bytes]) -> anyhow::Result<()> {
        if let [record] = batch {
            self.client.execute(&self.insert, &[&std::str::from_utf8(record)?]).await?;
            return Ok(());
        }
        let mut rows = BytesMut::with_capacity(batch.iter().map(|record| record.len() + 1).sum());
        for record in batch {
            // Records hold nothing that COPY's text format would have to escape.
            rows.extend_from_slice(record);
            rows.extend_from_slice(b"\n");
        }
        let sink = self.client.copy_in::<_, Bytes>("COPY records (body) FROM STDIN").await?;
        futures::pin_mut!(sink);
        sink.send(rows.freeze()).await?;
        sink.finish().await?;
        Ok(())
    }
}
