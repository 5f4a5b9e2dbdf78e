use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::{Clock, Random};
use parking_lot::Mutex;
use rustls::ClientConfig;

use crate::connection::Connection;
use crate::credentials::Credentials;
use crate::error::NatsError;
use crate::subject::Subject;

/// Connections that are kept for the next messages.
const MOST_KEPT: usize = 16;
/// A connection that was not used for longer is not used again: the server pings after two minutes, and nobody answers.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it must speak TLS. It may want that in any case.
    pub tls: bool,
}

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Where it is.
    pub server: Server,
    /// Who publishes.
    pub credentials: Credentials,
    /// Whom TLS trusts.
    pub tls: Arc<ClientConfig>,
    /// How long a message may take, connecting included.
    pub timeout: Duration,
}

/// When a message has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirmation {
    /// When a JetStream stream has stored it.
    #[default]
    Stored,
    /// When the server has taken it: who is not subscribed then does not get it.
    Taken,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where to.
    pub subject: &'a Subject,
    /// By which a stream knows it again when it comes twice (`Nats-Msg-Id`): visible ASCII.
    pub id: &'a str,
    /// What it says.
    pub payload: &'a [u8],
}

/// Publishes messages.
pub struct Publisher {
    options: NatsOptions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    kept: Mutex<Vec<(Timestamp, Connection)>>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("server", &self.options.server).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Connects when there is something to publish.
    pub fn new(options: NatsOptions, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { options, clock, random, kept: Mutex::default() }
    }

    /// Publishes a message and waits for its confirmation.
    ///
    /// # Errors
    /// Why it is not confirmed. It may have arrived all the same; a stream knows it again.
    ///
    /// # Cancellation
    /// It may have arrived.
    pub async fn publish(&self, message: &Message<'_>, confirmation: Confirmation) -> Result<(), NatsError> {
        let sent = self.send(message, confirmation);
        tokio::time::timeout(self.options.timeout, sent).await.unwrap_or(Err(NatsError::TimedOut))
    }

    async fn send(&self, message: &Message<'_>, confirmation: Confirmation) -> Result<(), NatsError> {
        // The server may have hung up on a connection that was kept: then there is a new one.
        if let Some(mut kept) = self.take() {
            match ask(&mut kept, message, confirmation).await {
                Err(NatsError::Connection { .. }) => {}
                done => return self.keep(kept, done),
            }
        }
        let NatsOptions { server, credentials, tls, .. } = &self.options;
        let inbox = self.random.uuid().simple().to_string();
        let mut connection = Connection::open(server, tls, credentials, &inbox).await?;
        let done = ask(&mut connection, message, confirmation).await;
        self.keep(connection, done)
    }

    fn take(&self) -> Option<Connection> {
        let now = self.clock.now();
        let mut kept = self.kept.lock();
        kept.retain(|(used, _)| now.since(*used) < KEPT_FOR);
        kept.pop().map(|(_, connection)| connection)
    }

    /// Keeps a connection on which every question has its answer.
    fn keep(&self, connection: Connection, done: Result<(), NatsError>) -> Result<(), NatsError> {
        if matches!(done, Ok(()) | Err(NatsError::NoStream | NatsError::NotStored { .. })) {
            let mut kept = self.kept.lock();
            if kept.len() < MOST_KEPT {
                kept.push((self.clock.now(), connection));
            }
        }
        done
    }
}

async fn ask(connection: &mut Connection, message: &Message<'_>, how: Confirmation) -> Result<(), NatsError> {
    match how {
        Confirmation::Stored => connection.store(message).await,
        Confirmation::Taken => connection.flush(message).await,
    }
}
