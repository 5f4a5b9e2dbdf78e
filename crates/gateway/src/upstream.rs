//! The endpoint behind the gateway: HTTP/2 or HTTP/1.1 over TLS, as it chooses by ALPN, HTTP/1.1 without TLS.
//!
//! In HTTP/1.1 the signed `Host` travels as that header, in HTTP/2 as `:authority`, which is what the upstream then
//! checks the signature against. A request whose signed headers HTTP/2 has no place for goes by HTTP/1.1.

mod dial;
mod streams;

use std::io;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, TE, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri, Version};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentrail_recorder::tap::Tapped;

use crate::config::GatewayConfig;
use crate::headers::{KEEP_ALIVE, PROXY_CONNECTION};
use crate::inbound::Inbound;
use crate::stall::{BoxError, Prompt};
use crate::vpc_endpoint::Reread;
use dial::{Dial, Stash};
use streams::{Offer, Streams};

pub(crate) use streams::Slot;

/// A request's body on its way; the second kind is one that has nothing in it.
pub(crate) type RequestBody = Either<Reread<Tapped<Prompt<Inbound>>>, Empty<Bytes>>;

/// How often a request that surely did not arrive is sent again.
const REPEATS: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The upstream does not take connections.
    #[error("cannot connect")]
    Connect(#[source] BoxError),
    /// It broke off, or the request's body did.
    #[error("the call broke off")]
    Broken(#[source] BoxError),
}

/// The endpoint behind the gateway, with its connections.
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    /// HTTP/1.1.
    pooled: Client<Dial, RequestBody>,
    /// HTTP/2, where there is TLS to agree on it.
    streams: Option<Streams>,
}

impl Upstream {
    /// The upstream of a configuration.
    ///
    /// # Errors
    /// When its URL is not what [`GatewayConfig::upstream`] says.
    pub(crate) fn new(config: &GatewayConfig) -> io::Result<Self> {
        let wrong =
            |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("upstream {}: {what}", config.upstream));
        let parts = config.upstream.clone().into_parts();
        let scheme = parts.scheme.filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let scheme = scheme.ok_or_else(|| wrong("must begin with http:// or https://"))?;
        let authority = parts.authority.ok_or_else(|| wrong("must name a host"))?;
        if parts.path_and_query.is_some_and(|path| path.as_str() != "/") {
            return Err(wrong("must have no path, since paths are signed"));
        }

        let stash = Stash::default();
        let streams = (scheme == Scheme::HTTPS).then(|| Streams::new(config, stash.clone()));
        let pooled = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.keep_alive)
            .set_host(false)
            .build(Dial::http1(config, stash));
        Ok(Self { scheme, authority, pooled, streams })
    }

    /// Sends a request, signed for its `Host`, and waits for the head of its answer. The slot, if any, is to be held
    /// until the answer's body has ended.
    ///
    /// # Errors
    /// When no answer came.
    pub(crate) async fn send(
        &self,
        head: Parts,
        body: RequestBody,
    ) -> Result<(Response<Incoming>, Option<Slot>), SendError> {
        let (streams, authority) = match (&self.streams, stream_authority(&head)) {
            (Some(streams), Some(authority)) => (streams, authority),
            _ => return self.send_http1(head, body).await,
        };
        let (mut head, mut body) = (head, body);
        for repeat in 0.. {
            let slot = match streams.offer().await? {
                Offer::Http1 => break,
                Offer::Http2(slot) => slot,
            };
            // A body that has begun to stream cannot be sent again, an absent one can.
            let spare = (repeat < REPEATS && body.is_end_stream()).then(|| head.clone());
            let request = self.stream_request(head, authority.clone(), body).map_err(broken)?;
            let mut failed = match slot.sender().try_send_request(request).await {
                Ok(response) => return Ok((response, Some(slot))),
                Err(failed) => failed,
            };
            slot.retire();
            (head, body) = match (failed.take_message(), spare) {
                (Some(unsent), _) if repeat < REPEATS => {
                    let (head, body) = unsent.into_parts();
                    (from_stream(head), body)
                }
                (None, Some(spare)) if streams::was_refused(failed.error()) => (spare, Either::Right(Empty::new())),
                _ => return Err(broken(failed.into_error())),
            };
        }
        self.send_http1(head, body).await
    }

    async fn send_http1(
        &self,
        mut head: Parts,
        body: RequestBody,
    ) -> Result<(Response<Incoming>, Option<Slot>), SendError> {
        head.uri = self.target(&self.authority, &head.uri).map_err(broken)?;
        head.version = Version::HTTP_11;
        match self.pooled.request(Request::from_parts(head, body)).await {
            Ok(response) => Ok((response, None)),
            Err(error) if error.is_connect() => {
                if let Some(streams) = &self.streams {
                    streams.forget_protocol();
                }
                Err(SendError::Connect(error.into()))
            }
            Err(error) => Err(broken(error)),
        }
    }

    fn stream_request(
        &self,
        mut head: Parts,
        authority: Authority,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, http::Error> {
        head.uri = self.target(&authority, &head.uri)?;
        head.version = Version::HTTP_2;
        head.headers.remove(HOST);
        Ok(Request::from_parts(head, body))
    }

    /// The request's target as the client sent it, for `authority`.
    fn target(&self, authority: &Authority, uri: &Uri) -> Result<Uri, http::Error> {
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder().scheme(self.scheme.clone()).authority(authority.clone()).path_and_query(path).build()
    }
}

/// What stands in `:authority` for a request that HTTP/2 can carry as it was signed; `None` for another. Headers of one
/// connection are here only because they are signed.
fn stream_authority(head: &Parts) -> Option<Authority> {
    const FOREIGN: [HeaderName; 4] = [CONNECTION, PROXY_CONNECTION, KEEP_ALIVE, UPGRADE];
    let foreign = FOREIGN.iter().any(|name| head.headers.contains_key(name))
        || head.headers.get(TE).is_some_and(|te| te != "trailers")
        || head.headers.get_all(HOST).iter().count() != 1;
    if foreign || head.method == Method::CONNECT {
        return None;
    }
    let host = head.headers.get(HOST)?.as_bytes();
    Authority::try_from(host).ok()
}

/// A head that [`Upstream::stream_request`] made, as it was before.
fn from_stream(mut head: Parts) -> Parts {
    if let Some(host) = head.uri.authority().and_then(|authority| authority.as_str().parse().ok()) {
        head.headers.insert(HOST, host);
    }
    head
}

fn broken(error: impl Into<BoxError>) -> SendError {
    SendError::Broken(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut builder = Request::builder().uri("/k");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        stream_authority(&builder.body(()).unwrap().into_parts().0).map(|authority| authority.to_string())
    }

    #[test]
    fn what_http2_cannot_carry_as_signed_goes_by_http1() {
        assert_eq!(authority(&[("host", "B.s3.example.org:8443")]).as_deref(), Some("B.s3.example.org:8443"));
        assert!(authority(&[("host", "h"), ("te", "trailers")]).is_some());
        for headers in [
            &[("x", "no host")][..],
            &[("host", "not a host")],
            &[("host", "a"), ("host", "b")],
            &[("host", "h"), ("connection", "close")],
            &[("host", "h"), ("keep-alive", "1")],
            &[("host", "h"), ("te", "gzip")],
        ] {
            assert_eq!(authority(headers), None, "{headers:?}");
        }
    }
}
