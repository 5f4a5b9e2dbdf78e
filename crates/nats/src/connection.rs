//! A connection to a server, one question at a time.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::credentials::Credentials;
use crate::error::NatsError;
use crate::protocol::{Said, take};
use crate::publisher::{Message, Server};

/// What a stream of bytes to a server is, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// See the module.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    inbox: String,
    asked: u64,
    most_bytes: usize,
}

impl Connection {
    /// Connects, and waits until the server has taken the credentials. `inbox` is a word that nobody guesses.
    pub(crate) async fn open(
        server: &Server,
        tls: &Arc<ClientConfig>,
        credentials: &Credentials,
        inbox: &str,
    ) -> Result<Self, NatsError> {
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = Box::new(stream);
        let inbox = format!("_INBOX.{inbox}");
        let mut connection = Self { stream, buffer: BytesMut::new(), inbox, asked: 0, most_bytes: 1 << 20 };
        let Said::Info(info) = connection.next().await? else {
            return Err(NatsError::Connection { reason: "the server does not say who it is".to_owned() });
        };
        let is_secure = server.tls || info["tls_required"] == true;
        if is_secure {
            // What came before TLS is nobody's word.
            connection.buffer.clear();
            connection.stream = Box::new(secured(connection.stream, server, tls).await?);
        }
        if let Some(most) = info["max_payload"].as_u64() {
            connection.most_bytes = usize::try_from(most).unwrap_or(usize::MAX);
        }
        connection.introduce(&info, credentials, is_secure).await?;
        Ok(connection)
    }

    async fn introduce(&mut self, info: &Value, credentials: &Credentials, is_secure: bool) -> Result<(), NatsError> {
        if info["headers"] != true {
            return Err(NatsError::Refused { reason: "it has no headers: NATS 2.2 is the first that does".to_owned() });
        }
        let mut connect = json!({
            "verbose": false, "pedantic": false, "tls_required": is_secure, "name": "opentrail", "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "headers": true, "no_responders": true,
        });
        let theirs = credentials.connect(info["nonce"].as_str().unwrap_or_default());
        let theirs = theirs.map_err(|error| NatsError::Refused { reason: error.to_string() })?;
        for (name, value) in theirs.as_object().into_iter().flatten() {
            connect[name.as_str()] = value.clone();
        }
        let hello = format!("CONNECT {connect}\r\nSUB {}.* 1\r\nPING\r\n", self.inbox);
        self.stream.write_all(hello.as_bytes()).await?;
        self.stream.flush().await?;
        self.pong().await
    }

    /// Publishes, and waits until a stream has stored it.
    pub(crate) async fn store(&mut self, message: &Message<'_>) -> Result<(), NatsError> {
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        self.publish(message, Some(&reply)).await?;
        loop {
            match self.next().await? {
                Said::Message { subject, status: Some(503), .. } if subject == reply => {
                    return Err(NatsError::NoStream);
                }
                Said::Message { subject, payload, .. } if subject == reply => return stored(&payload),
                Said::Error(reason) => return Err(NatsError::Refused { reason }),
                _ => {}
            }
        }
    }

    /// Publishes, and waits until the server has taken it.
    pub(crate) async fn flush(&mut self, message: &Message<'_>) -> Result<(), NatsError> {
        self.publish(message, None).await?;
        self.stream.write_all(b"PING\r\n").await?;
        self.stream.flush().await?;
        self.pong().await
    }

    async fn publish(&mut self, message: &Message<'_>, reply: Option<&str>) -> Result<(), NatsError> {
        let head = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", message.id);
        let size = head.len() + message.payload.len();
        if size > self.most_bytes {
            return Err(NatsError::TooLarge { size, most: self.most_bytes });
        }
        let reply = reply.map(|reply| format!("{reply} ")).unwrap_or_default();
        let line = format!("HPUB {} {reply}{} {size}\r\n{head}", message.subject, head.len());
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.write_all(message.payload).await?;
        self.stream.write_all(b"\r\n").await?;
        Ok(self.stream.flush().await?)
    }

    async fn pong(&mut self) -> Result<(), NatsError> {
        loop {
            match self.next().await? {
                Said::Pong => return Ok(()),
                Said::Error(reason) => return Err(NatsError::Refused { reason }),
                _ => {}
            }
        }
    }

    /// What the server says next; its pings are answered.
    async fn next(&mut self) -> Result<Said, NatsError> {
        loop {
            match take(&mut self.buffer)? {
                Some(Said::Ping) => {
                    self.stream.write_all(b"PONG\r\n").await?;
                    self.stream.flush().await?;
                }
                Some(said) => return Ok(said),
                None if self.stream.read_buf(&mut self.buffer).await? == 0 => {
                    return Err(NatsError::Connection { reason: "the server hung up".to_owned() });
                }
                None => {}
            }
        }
    }
}

async fn secured(
    stream: Box<dyn Stream>,
    server: &Server,
    tls: &Arc<ClientConfig>,
) -> Result<impl Stream + use<>, NatsError> {
    let name = ServerName::try_from(server.host.clone())
        .map_err(|error| NatsError::Connection { reason: error.to_string() })?;
    Ok(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?)
}

/// The answer of a stream: `{"stream":"S","seq":1}`, or an error.
fn stored(payload: &Bytes) -> Result<(), NatsError> {
    let said: Value = serde_json::from_slice(payload).unwrap_or_default();
    if said["stream"].is_string() && said["error"].is_null() {
        return Ok(());
    }
    let reason = said["error"]["description"].as_str().unwrap_or("the answer is not that of a stream");
    Err(NatsError::NotStored { reason: reason.to_owned() })
}
