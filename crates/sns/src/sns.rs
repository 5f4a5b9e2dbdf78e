use std::fmt;
use std::sync::Arc;

use opentrail_catalog::Catalog;
use opentrail_identity::Directory;
use opentrail_keys::KeyRing;
use opentrail_model::Timestamp;
use opentrail_outbound::Outbound;
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint};
use opentrail_runtime::{Clock, Random};
use tokio::sync::Mutex;

use crate::endpoint::{Endpoint, Protocol};
use crate::error::SnsError;
use crate::links::Links;
use crate::mail::{Mail, MailError, MailOptions};
use crate::outbox::Outbox;
use crate::queues::Queues;
use crate::repository::Repository;
use crate::signing::SigningKeys;

/// Topics, their subscriptions, and the way of messages to endpoints. Cheap to clone.
#[derive(Clone)]
pub struct Sns(pub(crate) Arc<Inner>);

/// What [`Sns`] works with.
#[derive(Debug)]
pub struct SnsParts {
    /// Has topics, subscriptions and signing keys.
    pub catalog: Arc<dyn Catalog>,
    /// Seals signing keys.
    pub ring: Arc<KeyRing>,
    /// Knows who may.
    pub directory: Arc<Directory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for ids and tokens: it must be fit for secrets.
    pub random: Arc<dyn Random>,
    /// Has messages until they are delivered.
    pub outbox: Outbox,
    /// Reaches endpoints.
    pub outbound: Outbound,
}

/// How [`Sns`] is set up.
#[derive(Clone, Debug, Default)]
pub struct SnsOptions {
    /// Where endpoints reach this server, e.g. `https://trail.example.com`: the links in messages begin with it.
    pub public_endpoint: String,
    /// The SQS-compatible service that has the queues; without it, none can be subscribed.
    pub sqs: Option<AwsEndpoint>,
    /// The mail server; without it, no address of email can be subscribed.
    pub mail: Option<MailOptions>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) repository: Repository,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) outbox: Outbox,
    pub(crate) outbound: Outbound,
    pub(crate) signing: SigningKeys,
    pub(crate) links: Links,
    pub(crate) queues: Option<Queues>,
    pub(crate) mail: Option<Mail>,
    /// Held while topics and subscriptions change: what is counted stays so until it is stored.
    pub(crate) changing: Mutex<()>,
}

impl Sns {
    /// The service.
    ///
    /// # Errors
    /// [`MailError`] when the mail server's settings cannot be used.
    pub fn new(parts: SnsParts, options: SnsOptions) -> Result<Self, MailError> {
        let links = Links::new(&options.public_endpoint);
        let SnsParts { catalog, ring, directory, clock, random, outbox, outbound } = parts;
        let signing =
            SigningKeys::new(Arc::clone(&catalog), ring, Arc::clone(&clock), Arc::clone(&random), links.host());
        let calls = AwsCalls::new(outbound.clone(), Arc::clone(&clock));
        Ok(Self(Arc::new(Inner {
            repository: Repository { catalog },
            directory,
            clock,
            random,
            outbox,
            outbound,
            signing,
            links,
            queues: options.sqs.map(|at| Queues { at, calls }),
            mail: options.mail.map(Mail::new).transpose()?,
            changing: Mutex::new(()),
        })))
    }

    /// How many deliveries wait, dead letters included.
    ///
    /// # Errors
    /// The outbox's.
    pub async fn waiting(&self) -> Result<u64, SnsError> {
        Ok(self.0.outbox.waiting().await?)
    }

    /// Closes the outbox; call when [`Self::run`] has ended and nobody publishes any more.
    pub async fn close(&self) {
        self.0.outbox.close().await;
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Refuses an endpoint that nothing can be sent to: a URL that is out of reach, a protocol that is not set up.
    pub(crate) fn require_reachable(&self, endpoint: &Endpoint) -> Result<(), SnsError> {
        let not_set_up =
            |what: &str| Err(SnsError::parameter("Protocol", format!("no {what} is configured on this server")));
        match endpoint.protocol {
            Protocol::Http | Protocol::Https => {
                let (url, _) = crate::webhook::without_credentials(&endpoint.address)
                    .ok_or_else(|| SnsError::parameter("Endpoint", "it is no usable URL"))?;
                match self.outbound.check_url(&url) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(SnsError::parameter("Endpoint", error)),
                }
            }
            Protocol::Email | Protocol::EmailJson if self.mail.is_none() => not_set_up("mail server"),
            Protocol::Sqs if self.queues.is_none() => not_set_up("SQS endpoint"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Sns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sns").finish_non_exhaustive()
    }
}
