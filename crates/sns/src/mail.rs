//! Deliveries by email through a mail server. (Developer Guide, "Email notifications"; the words are ours.)

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message as Email, Tokio1Executor};
use opentrail_identity::Secret;

use crate::document::text_of;
use crate::endpoint::Protocol;
use crate::links::Links;
use crate::message::{Kind, Message};
use crate::outcome::Outcome;
use crate::subscription::Subscription;
use crate::topic::Topic;

/// The longest that a command to the mail server may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How mail leaves this server.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// The mail server's name or address.
    pub host: String,
    /// Its port; by default 465 with TLS, 587 with STARTTLS, 25 without.
    pub port: Option<u16>,
    /// Whether the connection is encrypted.
    pub encryption: MailEncryption,
    /// A user's name and password.
    pub credentials: Option<(String, Secret)>,
    /// Whom mail is from, e.g. `trail@example.com`.
    pub from: String,
}

/// Whether a connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailEncryption {
    /// From its start.
    Tls,
    /// From a command on, without which nothing is sent.
    StartTls,
    /// Not at all, for a server on this machine.
    None,
}

/// Settings that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailError {
    /// The sender is no address.
    #[error("{from:?} is no address of email: {reason}")]
    From {
        /// What was given.
        from: String,
        /// The parser's word.
        reason: String,
    },
    /// The connection cannot be set up.
    #[error("the mail server {host} cannot be used: {reason}")]
    Server {
        /// What was given.
        host: String,
        /// The library's word.
        reason: String,
    },
}

/// A way to the mail server.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    from: Address,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mail {
    pub(crate) fn new(options: MailOptions) -> Result<Self, MailError> {
        let MailOptions { host, port, encryption, credentials, from } = options;
        let from = from.parse().map_err(|error: lettre::address::AddressError| MailError::From {
            from: from.clone(),
            reason: error.to_string(),
        })?;
        let builder = match encryption {
            MailEncryption::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&host),
            MailEncryption::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host),
            MailEncryption::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.clone())),
        };
        let mut builder = builder.map_err(|error| MailError::Server { host, reason: error.to_string() })?;
        if let Some(port) = port {
            builder = builder.port(port);
        }
        if let Some((user, password)) = credentials {
            builder = builder.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self { from, transport: builder.timeout(Some(PATIENCE)).build() })
    }

    /// Sends a message to a subscription's address; `document` is what `email-json` gets.
    pub(crate) async fn send(
        &self,
        subscription: &Subscription,
        topic: &Topic,
        message: &Message,
        links: &Links,
        document: String,
    ) -> Outcome {
        let email = match self.email(subscription, topic, message, links, document) {
            Ok(email) => email,
            Err(reason) => return Outcome::Refused(reason),
        };
        match self.transport.send(email).await {
            Ok(_) => Outcome::Delivered,
            Err(error) if error.is_permanent() => Outcome::Refused(error.to_string()),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn email(
        &self,
        subscription: &Subscription,
        topic: &Topic,
        message: &Message,
        links: &Links,
        document: String,
    ) -> Result<Email, String> {
        let to: Address = subscription.endpoint.address.parse().map_err(|_| "the address is none".to_owned())?;
        let name = if topic.display_name.is_empty() { "AWS Notifications" } else { &topic.display_name };
        // The library encodes names and subjects, so that none of them begins a header of its own.
        let subject = match (&message.kind, &message.subject) {
            (Kind::Notification, Some(subject)) => subject.as_str(),
            (Kind::Notification, None) => "AWS Notification Message",
            (Kind::SubscriptionConfirmation { .. }, _) => "AWS Notification - Subscription Confirmation",
            (Kind::UnsubscribeConfirmation { .. }, _) => "AWS Notification - Unsubscribe Confirmation",
        };
        let body = match subscription.endpoint.protocol {
            Protocol::EmailJson => document,
            _ => text(subscription, message, links),
        };
        Email::builder()
            .from(Mailbox::new(Some(name.to_owned()), self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|error| error.to_string())
    }
}

fn text(subscription: &Subscription, message: &Message, links: &Links) -> String {
    let topic = &message.topic;
    match &message.kind {
        Kind::Notification => {
            let end = links.unsubscribe(&subscription.arn);
            let text = text_of(message, Protocol::Email);
            format!("{text}\n\n--\nTo receive no more notifications of this topic, open:\n{end}\n")
        }
        Kind::SubscriptionConfirmation { token } => format!(
            "Somebody has subscribed this address to the topic {topic}.\n\nTo confirm, open:\n{}\n\nIf you did not ask \
             for this, do nothing.\n",
            links.confirm(topic, token)
        ),
        Kind::UnsubscribeConfirmation { token } => format!(
            "This address receives no more notifications of the topic {topic}.\n\nIf that was not meant, open:\n{}\n",
            links.confirm(topic, token)
        ),
    }
}
