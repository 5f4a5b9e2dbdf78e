//! HTTP/2 connections to the upstream.
//!
//! One connection would make calls wait for one another: the upstream bounds its streams, its flow-control window is
//! shared, and one task encrypts all of it. So a connection takes [`CALLS`] at a time, or fewer where the upstream says
//! so, and there are as many connections as that needs. The window of a connection has room for each of its calls, so
//! that clients which read slowly hold up nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::Service;
use tracing::debug;

use super::dial::{Dial, Stash, Stream};
use super::{RequestBody, SendError};
use crate::config::GatewayConfig;
use crate::stall::BoxError;

/// Calls on one connection at a time.
const CALLS: usize = 16;
/// Bytes of one answer, and of a connection's answers, that may wait for clients to read them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * CALLS as u32;
/// How often a silent upstream with calls under way is asked whether it is still there, and how long it may take.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(20);

type Sender = http2::SendRequest<RequestBody>;

/// The HTTP/2 connections to one upstream.
pub(crate) struct Streams {
    shared: Arc<Shared>,
    /// Held while a connection is made: whoever comes meanwhile finds room on it.
    dialling: tokio::sync::Mutex<Dial>,
    /// Attempts to connect that failed.
    failures: AtomicUsize,
    target: Uri,
    stash: Stash,
}

struct Shared {
    state: Mutex<State>,
    keep_alive: Duration,
}

struct State {
    protocol: Protocol,
    connections: Vec<Arc<Connection>>,
}

/// What the upstream speaks, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    /// Or not yet known.
    Http2,
}

struct Connection {
    sender: Sender,
    /// The streams that the upstream allows.
    allowed: AtomicUsize,
    load: Mutex<Load>,
}

struct Load {
    calls: usize,
    /// When the last call ended.
    since: Instant,
}

/// How a request may be sent.
pub(super) enum Offer {
    /// The upstream has chosen HTTP/1.1.
    Http1,
    /// On this connection.
    Http2(Slot),
}

/// Room for one call on a connection, until it is dropped.
pub(crate) struct Slot {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
}

impl Streams {
    pub(super) fn new(config: &GatewayConfig, stash: Stash) -> Self {
        let state = State { protocol: Protocol::Http2, connections: Vec::new() };
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), keep_alive: config.keep_alive }),
            dialling: tokio::sync::Mutex::new(Dial::negotiated(config)),
            failures: AtomicUsize::new(0),
            target: config.upstream.clone(),
            stash,
        }
    }

    /// Room for a call; connects where there is none.
    ///
    /// # Errors
    /// When connecting fails.
    pub(super) async fn offer(&self) -> Result<Offer, SendError> {
        if let Some(offer) = self.shared.find() {
            return Ok(offer);
        }
        let failures = self.failures.load(Ordering::Acquire);
        let mut dial = self.dialling.lock().await;
        if let Some(offer) = self.shared.find() {
            return Ok(offer);
        }
        if self.failures.load(Ordering::Acquire) != failures {
            // The attempt that this call waited for failed; one after another they would wait for ever.
            return Err(SendError::Connect("the upstream did not take the connection before this one".into()));
        }
        self.connect(&mut dial).await.map_err(|error| {
            self.failures.fetch_add(1, Ordering::AcqRel);
            SendError::Connect(error)
        })
    }

    /// The upstream may have become another: the next call asks it anew what it speaks.
    pub(super) fn forget_protocol(&self) {
        self.shared.state.lock().protocol = Protocol::Http2;
    }

    async fn connect(&self, dial: &mut Dial) -> Result<Offer, BoxError> {
        std::future::poll_fn(|cx| dial.poll_ready(cx)).await?;
        let stream = dial.call(self.target.clone()).await?;
        if !stream.connected().is_negotiated_h2() {
            *self.stash.lock() = Some(stream);
            self.shared.state.lock().protocol = Protocol::Http1;
            return Ok(Offer::Http1);
        }
        let (sender, connection) = settings().handshake(stream).await?;
        let allowed = AtomicUsize::new(connection.current_max_send_streams());
        let load = Mutex::new(Load { calls: 1, since: Instant::now() });
        let made = Arc::new(Connection { sender, allowed, load });
        self.shared.state.lock().connections.push(Arc::clone(&made));
        metrics::gauge!("opentrail_gateway_upstream_connections", "protocol" => "h2").increment(1.0);
        TokioExecutor::new().execute(drive(connection, Arc::clone(&made), Arc::clone(&self.shared)));
        Ok(Offer::Http2(Slot { connection: made, shared: Arc::clone(&self.shared) }))
    }
}

fn settings() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// Runs a connection until the upstream closes it, or it is unused for long enough.
async fn drive(
    mut connection: http2::Connection<Stream, RequestBody, TokioExecutor>,
    made: Arc<Connection>,
    shared: Arc<Shared>,
) {
    let run = std::future::poll_fn(|cx| {
        let polled = std::pin::Pin::new(&mut connection).poll(cx);
        made.allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
        polled
    });
    let ended = tokio::select! {
        ended = run => Some(ended),
        () = shared.unused(&made) => None,
    };
    shared.remove(&made);
    // With the last sender gone an unused connection says good-bye and ends.
    drop(made);
    let ended = match ended {
        Some(ended) => ended,
        None => connection.await,
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the upstream ended");
    }
    metrics::gauge!("opentrail_gateway_upstream_connections", "protocol" => "h2").decrement(1.0);
}

impl Shared {
    /// Room on the connection with the fewest calls; `None` where none has any.
    fn find(self: &Arc<Self>) -> Option<Offer> {
        let state = self.state.lock();
        if state.protocol == Protocol::Http1 {
            return Some(Offer::Http1);
        }
        let usable = state.connections.iter().filter(|connection| !connection.sender.is_closed());
        let connection = usable.min_by_key(|connection| connection.load.lock().calls)?;
        let room = CALLS.min(connection.allowed.load(Ordering::Relaxed)).max(1);
        let mut load = connection.load.lock();
        if load.calls >= room {
            return None;
        }
        load.calls += 1;
        drop(load);
        Some(Offer::Http2(Slot { connection: Arc::clone(connection), shared: Arc::clone(self) }))
    }

    fn remove(&self, connection: &Arc<Connection>) {
        self.state.lock().connections.retain(|other| !Arc::ptr_eq(other, connection));
    }

    /// Returns once a connection has been without calls for long enough; nobody gets it any more.
    async fn unused(&self, connection: &Arc<Connection>) {
        loop {
            tokio::time::sleep(self.keep_alive).await;
            let mut state = self.state.lock();
            let load = connection.load.lock();
            if load.calls == 0 && load.since.elapsed() >= self.keep_alive {
                state.connections.retain(|other| !Arc::ptr_eq(other, connection));
                return;
            }
        }
    }
}

impl Slot {
    /// What sends on this connection.
    pub(super) fn sender(&self) -> Sender {
        self.connection.sender.clone()
    }

    /// Nobody else gets this connection: it has refused a call.
    pub(super) fn retire(&self) {
        self.shared.remove(&self.connection);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut load = self.connection.load.lock();
        load.calls -= 1;
        load.since = Instant::now();
    }
}

/// Whether the upstream says that it has not begun with a call: it refused the stream, or closed the connection to
/// streams as late as this one (RFC 9113, 8.7).
pub(super) fn was_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error.downcast_ref::<h2::Error>().is_some_and(|error| {
            let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            error.is_remote() && (gone || error.reason() == Some(h2::Reason::REFUSED_STREAM))
        })
    })
}
