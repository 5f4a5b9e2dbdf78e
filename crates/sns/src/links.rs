//! The links of messages: to confirm, to unsubscribe, to the certificate.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::arn::{SubscriptionArn, TopicArn};

/// Where the names of certificates begin.
pub(crate) const CERTIFICATE_PREFIX: &str = "/SimpleNotificationService-";

/// Where they end.
pub(crate) const CERTIFICATE_SUFFIX: &str = ".pem";

/// Links to the endpoint at which the world reaches this server.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Without a slash at its end.
    base: String,
}

impl Links {
    /// Links below `endpoint`, e.g. `https://trail.example.com`.
    pub(crate) fn new(endpoint: &str) -> Self {
        Self { base: endpoint.trim_end_matches('/').to_owned() }
    }

    /// `SubscribeURL`.
    pub(crate) fn confirm(&self, topic: &TopicArn, token: &str) -> String {
        format!("{}/?Action=ConfirmSubscription&TopicArn={topic}&Token={}", self.base, encoded(token))
    }

    /// `UnsubscribeURL`.
    pub(crate) fn unsubscribe(&self, subscription: &SubscriptionArn) -> String {
        format!("{}/?Action=Unsubscribe&SubscriptionArn={subscription}", self.base)
    }

    /// `SigningCertURL`.
    pub(crate) fn certificate(&self, id: &str) -> String {
        format!("{}{CERTIFICATE_PREFIX}{id}{CERTIFICATE_SUFFIX}", self.base)
    }

    /// The host that certificates are made out to.
    pub(crate) fn host(&self) -> String {
        let url = url::Url::parse(&self.base).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".to_owned())
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
