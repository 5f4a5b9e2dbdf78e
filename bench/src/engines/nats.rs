//! The part of NATS' text protocol that publishing to JetStream takes; what one would write for speed.

use std::io::Write;

use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Engine;

/// How a batch is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Every record by itself, all in flight at once, each acknowledged.
    Pipelined,
    /// As one atomic batch: acknowledged with its last record.
    Atomic,
}

/// One connection.
#[derive(Debug)]
pub struct Writer {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    inbox: String,
    publish: Publish,
    batches: u64,
}

impl Writer {
    /// Connects, and makes the stream if it is missing.
    pub async fn connect(address: &str, number: usize, publish: Publish) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("no NATS at {address}"))?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let inbox = format!("_INBOX.bench{}x{number}", std::process::id());
        let mut writer = Self { read: BufReader::with_capacity(1 << 18, read), write, inbox, publish, batches: 0 };
        let greeting = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"protocol\":1,\"name\":\"bench\",\
             \"lang\":\"rust\",\"version\":\"1\"}}\r\nSUB {}.* 1\r\n",
            writer.inbox
        );
        writer.write.write_all(greeting.as_bytes()).await?;
        let config = br#"{"name":"BENCH","subjects":["bench.>"],"storage":"file","retention":"limits","num_replicas":1,"allow_atomic":true}"#;
        let mut call = format!("PUB $JS.API.STREAM.CREATE.BENCH {}.c {}\r\n", writer.inbox, config.len()).into_bytes();
        call.extend_from_slice(config);
        call.extend_from_slice(b"\r\n");
        writer.write.write_all(&call).await?;
        writer.answer().await?;
        Ok(writer)
    }

    /// The next message to the inbox; one that tells of an error is one.
    async fn answer(&mut self) -> anyhow::Result<()> {
        loop {
            let mut line = String::new();
            ensure!(self.read.read_line(&mut line).await? > 0, "NATS closed the connection");
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("MSG") => {
                    let length: usize = words.last().context("a message without a length")?.parse()?;
                    let mut payload = vec![0; length + 2];
                    self.read.read_exact(&mut payload).await?;
                    let payload = String::from_utf8_lossy(&payload);
                    ensure!(!payload.contains("\"error\""), "NATS answered {payload}");
                    return Ok(());
                }
                Some("PING") => self.write.write_all(b"PONG\r\n").await?,
                Some("INFO" | "PONG" | "+OK") => {}
                _ => bail!("NATS said {line:?}"),
            }
        }
    }
}

#[async_trait]
impl Engine for Writer {
    async fn append(&mut self, batch: &[Bytes]) -> anyhow::Result<()> {
        self.batches += 1;
        let mut out = Vec::with_capacity(batch.iter().map(|record| record.len() + 160).sum());
        for (index, record) in batch.iter().enumerate() {
            match self.publish {
                Publish::Pipelined => write!(out, "PUB bench.records {}.a {}\r\n", self.inbox, record.len())?,
                Publish::Atomic => {
                    let last = index + 1 == batch.len();
                    let commit = if last { "Nats-Batch-Commit: 1\r\n" } else { "" };
                    let headers = format!(
                        "NATS/1.0\r\nNats-Batch-Id: {}-{}\r\nNats-Batch-Sequence: {}\r\n{commit}\r\n",
                        &self.inbox[7..],
                        self.batches,
                        index + 1
                    );
                    // The first and the last record ask for an answer: the first's says that the batch is taken.
                    let reply = if last || index == 0 { format!(" {}.a", self.inbox) } else { String::new() };
                    let total = headers.len() + record.len();
                    write!(out, "HPUB bench.records{reply} {} {total}\r\n{headers}", headers.len())?;
                }
            }
            out.extend_from_slice(record);
            out.extend_from_slice(b"\r\n");
        }
        let answers = match self.publish {
            Publish::Pipelined => batch.len(),
            Publish::Atomic => batch.len().min(2),
        };
        self.write.write_all(&out).await?;
        for _ in 0..answers {
            self.answer().await?;
        }
        Ok(())
    }
}
