//! What messages go to: an endpoint's protocol and address.

use std::fmt;

use opentrail_model::AccountId;
use serde::{Deserialize, Serialize};

use crate::arn::QueueArn;
use crate::error::SnsError;

/// The most characters of an address; a choice of ours.
const MOST_ADDRESS: usize = 2048;

/// How an endpoint is reached. (API Reference, Subscribe, `Protocol`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    Http,
    Https,
    Email,
    EmailJson,
    Sqs,
}

/// Where a subscription's messages go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) protocol: Protocol,
    /// A URL, an address of email or a queue's ARN, as it was given.
    pub(crate) address: String,
}

/// Protocols of SNS that are not built.
const NOT_BUILT: &[&str] = &["application", "firehose", "lambda", "sms"];

impl Protocol {
    pub(crate) const ALL: [Self; 5] = [Self::Http, Self::Https, Self::Email, Self::EmailJson, Self::Sqs];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Email => "email",
            Self::EmailJson => "email-json",
            Self::Sqs => "sqs",
        }
    }

    /// The protocol that a caller names.
    pub(crate) fn parse(text: &str) -> Result<Self, SnsError> {
        if let Some(protocol) = Self::ALL.into_iter().find(|protocol| protocol.as_str() == text) {
            return Ok(protocol);
        }
        if NOT_BUILT.contains(&text) {
            let why = format!("{text} is not available here; use http, https, email, email-json or sqs");
            return Err(SnsError::parameter("Protocol", why));
        }
        let shown: String = text.chars().take(100).collect();
        Err(SnsError::InvalidParameter(format!("Does not support this protocol string: {shown}")))
    }
}

impl Endpoint {
    /// An endpoint whose address has the form that its protocol asks for. Whether requests may go there, the courier's
    /// client decides.
    pub(crate) fn parse(protocol: Protocol, address: &str) -> Result<Self, SnsError> {
        let wrong = |why: &str| Err(SnsError::parameter("Endpoint", why));
        if address.len() > MOST_ADDRESS || address.chars().any(char::is_control) {
            return wrong("an endpoint has at most 2048 bytes and no control characters");
        }
        match protocol {
            Protocol::Http if !has_scheme(address, "http://") => {
                return wrong("please check that the endpoint begins with http://");
            }
            Protocol::Https if !has_scheme(address, "https://") => {
                return wrong("please check that the endpoint begins with https://");
            }
            Protocol::Email | Protocol::EmailJson if address.parse::<lettre::Address>().is_err() => {
                return wrong("please use an address such as name@example.com");
            }
            Protocol::Sqs if address.parse::<QueueArn>().is_err() => {
                return wrong("please use the ARN of a standard queue, arn:aws:sqs:region:account:name");
            }
            _ => {}
        }
        Ok(Self { protocol, address: address.to_owned() })
    }

    /// The account that a queue belongs to; of other endpoints nobody knows.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self.protocol {
            Protocol::Sqs => self.address.parse().ok().map(|queue: QueueArn| queue.account),
            _ => None,
        }
    }

    /// What bounds on strangers are counted by: the host of a URL, the domain of an address of email, a queue.
    pub(crate) fn site(&self) -> String {
        match self.protocol {
            // As the client reads it that sends the requests.
            Protocol::Http | Protocol::Https => {
                let url = url::Url::parse(&self.address).ok();
                url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
            }
            Protocol::Email | Protocol::EmailJson => {
                self.address.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase()
            }
            Protocol::Sqs => self.address.clone(),
        }
    }

    /// The address as it is shown: without the password of a URL. (Developer Guide, "HTTP/HTTPS endpoint": credentials
    /// in the URL.)
    pub(crate) fn shown(&self) -> String {
        let Some((scheme, rest)) = self.address.split_once("://") else { return self.address.clone() };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match authority.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((user, _)), host)) => format!("{scheme}://{user}:****@{host}{path}"),
            _ => self.address.clone(),
        }
    }
}

fn has_scheme(address: &str, scheme: &str) -> bool {
    address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

impl fmt::Display for Endpoint {
    /// What the endpoint's lane is called.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol.as_str(), self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_their_protocols_form() {
        let parse = |protocol, address: &str| Endpoint::parse(Protocol::parse(protocol).unwrap(), address);
        for (protocol, address) in [
            ("http", "http://example.com/a?b=c"),
            ("https", "HTTPS://example.com"),
            ("email", "a@example.com"),
            ("email-json", "a+b@example.com"),
            ("sqs", "arn:aws:sqs:us-east-1:111122223333:queue"),
        ] {
            assert_eq!(parse(protocol, address).unwrap().to_string(), format!("{protocol}:{address}"));
        }
        for (protocol, address) in [
            ("http", "https://example.com"),
            ("https", "http://example.com"),
            ("https", "https://example.com/\r\nX: y"),
            ("email", "a@example.com\nBcc: b@example.com"),
            ("email", "nobody"),
            ("sqs", "queue"),
            ("sqs", "arn:aws:sqs:us-east-1:111122223333:queue.fifo"),
        ] {
            assert!(parse(protocol, address).is_err(), "{address}");
        }
        let told = |protocol| Protocol::parse(protocol).unwrap_err().to_string();
        assert!(told("lambda").contains("lambda is not available here"));
        assert_eq!(told("carrier"), "Invalid parameter: Does not support this protocol string: carrier");
    }

    #[test]
    fn passwords_are_not_shown() {
        let endpoint = Endpoint { protocol: Protocol::Https, address: "https://u:p:q@example.com/x@y".to_owned() };
        assert_eq!(endpoint.shown(), "https://u:****@example.com/x@y");
        assert_eq!(endpoint.site(), "example.com");
    }
}
