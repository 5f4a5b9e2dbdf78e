use std::error::Error as _;
use std::net::IpAddr;

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The text is no URL that requests can go to.
    #[error("{url} is no usable URL: {reason}")]
    InvalidUrl {
        /// The text.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The address is private, reserved or the host's own, and not allowed by the configuration.
    #[error(
        "{host} is out of reach: {address} is no public address (outbound.allow of the configuration lists others)"
    )]
    OutOfReach {
        /// The host of the URL.
        host: String,
        /// What it stands for.
        address: IpAddr,
    },
    /// The name has no address.
    #[error("{host} has no address: {reason}")]
    Unresolved {
        /// The name.
        host: String,
        /// The resolver's word.
        reason: String,
    },
    /// No connection, none that TLS trusts, or one that broke.
    #[error("no answer: {reason}")]
    Broken {
        /// What happened.
        reason: String,
    },
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The client cannot be made.
    #[error("requests cannot be sent: {reason}")]
    Client {
        /// The library's word.
        reason: String,
    },
}

impl OutboundError {
    /// Whether the same request may succeed later. A name may stand for another address then.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::InvalidUrl { .. } | Self::Client { .. })
    }

    /// What the client says, without the URL, which may hold secrets.
    pub(crate) fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(own) = inner.downcast_ref::<Self>() {
                return own.clone();
            }
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        Self::Broken { reason }
    }
}
