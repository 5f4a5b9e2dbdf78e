//! Requests to addresses that users of the API name: webhooks of subscriptions, API destinations, token endpoints.
//!
//! [`Outbound::send`] reaches public addresses only, and those networks that the configuration allows: whoever may
//! subscribe must not be able to make this server ask its own host, its network, or a cloud's metadata service
//! ([`Reach`]). It follows no redirect, uses no proxy of the environment, and holds a bounded answer for a bounded time.
//! What the operator has configured may be anywhere: [`Outbound::send_to_configured`], and [`aws`] for services that
//! want signatures.

pub mod aws;
mod error;
mod reach;
mod resolver;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
use ipnet::IpNet;

pub use error::OutboundError;
pub use reach::Reach;

use crate::resolver::Guarded;

/// How requests go out.
#[derive(Clone, Debug)]
pub struct OutboundOptions {
    /// Networks that are reached though they are not public, e.g. `127.0.0.0/8`.
    pub allow: Vec<IpNet>,
    /// The longest that a request may take, its answer included.
    pub timeout: Duration,
    /// The longest that a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest answer that is read, in bytes; of a longer one this much is kept.
    pub most_answer_bytes: usize,
}

impl Default for OutboundOptions {
    /// Public addresses only, 15 seconds (as Amazon SNS waits for an endpoint), 5 seconds, 64 KiB.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            most_answer_bytes: 64 << 10,
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, cut at [`OutboundOptions::most_answer_bytes`].
    pub body: Bytes,
    /// Whether it was.
    pub is_cut: bool,
}

/// A client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Outbound {
    guarded: reqwest::Client,
    open: reqwest::Client,
    reach: Arc<Reach>,
    most_answer_bytes: usize,
}

impl Outbound {
    /// A client with these options.
    ///
    /// # Errors
    /// [`OutboundError::Client`] when TLS cannot be set up.
    pub fn new(options: OutboundOptions) -> Result<Self, OutboundError> {
        let reach = Arc::new(Reach::new(options.allow));
        let base = || {
            reqwest::Client::builder()
                .timeout(options.timeout)
                .connect_timeout(options.connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
        };
        let failed = |error: reqwest::Error| OutboundError::Client { reason: error.to_string() };
        let guarded = base().dns_resolver(Arc::new(Guarded(Arc::clone(&reach)))).build().map_err(failed)?;
        let open = base().build().map_err(failed)?;
        Ok(Self { guarded, open, reach, most_answer_bytes: options.most_answer_bytes })
    }

    /// Whether requests may go to `url` as far as its text tells: `http` or `https`, a host, and no address that is out
    /// of reach. What a name stands for is looked at when a request is sent, each time.
    ///
    /// # Errors
    /// [`OutboundError::InvalidUrl`], [`OutboundError::OutOfReach`].
    pub fn check_url(&self, url: &str) -> Result<Uri, OutboundError> {
        let invalid = |reason: &str| OutboundError::InvalidUrl { url: url.to_owned(), reason: reason.to_owned() };
        // The reader that sends the request: what it takes for the host is what is judged.
        let read = reqwest::Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(read.scheme(), "http" | "https") {
            return Err(invalid("it must begin with http:// or https://"));
        }
        self.reach.check_host(read.host_str().ok_or_else(|| invalid("it names no host"))?)?;
        read.as_str().parse().map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))
    }

    /// Sends a request to an address that a user named. The URI must be absolute.
    ///
    /// # Errors
    /// As [`OutboundError`] says; an answer of any status is no error.
    ///
    /// # Cancellation
    /// The request may have been sent.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, OutboundError> {
        self.check_url(&request.uri().to_string())?;
        self.exchange(&self.guarded, request).await
    }

    /// Sends a request to an address that the operator configured, which may be anywhere.
    ///
    /// # Errors
    /// As [`OutboundError`] says; an answer of any status is no error.
    pub async fn send_to_configured(&self, request: Request<Bytes>) -> Result<Answer, OutboundError> {
        self.exchange(&self.open, request).await
    }

    async fn exchange(&self, client: &reqwest::Client, request: Request<Bytes>) -> Result<Answer, OutboundError> {
        let (head, body) = request.into_parts();
        let sent = client.request(head.method, head.uri.to_string()).headers(head.headers).body(body).send().await;
        let mut response = sent.map_err(OutboundError::of)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let (mut body, mut is_cut) = (BytesMut::new(), false);
        while let Some(piece) = response.chunk().await.map_err(OutboundError::of)? {
            let room = self.most_answer_bytes - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            is_cut = piece.len() > room;
            if is_cut {
                break;
            }
        }
        Ok(Answer { status, headers, body: body.freeze(), is_cut })
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("reach", &self.reach).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
