use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::State as Shared;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use opentrail_catalog::MemoryCatalog;
use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, Secret, UserSpec};
use opentrail_keys::KeyRing;
use opentrail_model::{Region, Timestamp};
use opentrail_outbound::aws::AwsEndpoint;
use opentrail_outbound::{Outbound, OutboundOptions};
use opentrail_runtime::{ManualClock, OnError, Shutdown, SystemRandom, TaskGroup};
use opentrail_wire::sigv4::Credentials;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::arn::{SubscriptionArn, TopicArn};
use crate::endpoint::{Endpoint, Protocol};
use crate::repository::put_new_subscription;
use crate::subscription::{Settings, State, Subscription};
use crate::{Outbox, Sns, SnsOptions, SnsParts, api};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const ACCOUNT: &str = "111122223333";

/// A service, and all that it works with.
pub(super) struct World {
    pub(super) sns: Sns,
    pub(super) clock: Arc<ManualClock>,
    directory: Arc<Directory>,
    catalog: Arc<MemoryCatalog>,
    ring: Arc<KeyRing>,
    options: SnsOptions,
    outbound: Outbound,
    files: TempDir,
    tasks: TaskGroup,
}

/// What an endpoint received.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Received {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A web server that answers as it is told, and tells what it received.
pub(super) struct Site {
    pub(super) base: String,
    pub(super) received: mpsc::UnboundedReceiver<Received>,
    answers: Arc<Mutex<HashMap<String, Vec<StatusCode>>>>,
}

impl Site {
    /// The next requests for `path` get these answers; after those, 200.
    pub(super) fn answer(&self, path: &str, statuses: &[u16]) {
        let statuses = statuses.iter().rev().map(|status| StatusCode::from_u16(*status).unwrap()).collect();
        self.answers.lock().insert(path.to_owned(), statuses);
    }

    pub(super) fn next(&mut self) -> Received {
        self.received.try_recv().expect("the endpoint received something")
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

/// A server for `router` that lives as long as `tasks`' runtime; its URL.
pub(super) async fn serve(tasks: &TaskGroup, router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("site", OnError::Log, async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn outbound(timeout: std::time::Duration) -> Outbound {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    Outbound::new(OutboundOptions { allow, timeout, ..OutboundOptions::default() }).unwrap()
}

async fn open(path: &Path) -> Outbox {
    Outbox::open(&path.join("sns.sqlite")).await.unwrap()
}

/// A service that can reach this machine.
pub(super) async fn world() -> World {
    world_with(SnsOptions::default(), std::time::Duration::from_secs(15)).await
}

/// As [`world`], with these options (the endpoint is set), and this patience with endpoints.
pub(super) async fn world_with(options: SnsOptions, patience: std::time::Duration) -> World {
    let options = SnsOptions { public_endpoint: "https://trail.example.com".to_owned(), ..options };
    let key = |id: &str| vec![AccessKeySpec::new(id, Secret::new("s".to_owned()))];
    let mut ours = AccountSpec::new(ACCOUNT.parse().unwrap());
    ours.root_access_keys = key("AKIAROOT");
    let mut alice = UserSpec::new("alice");
    alice.access_keys = key("AKIAALICE");
    ours.users = vec![alice];
    let mut theirs = AccountSpec::new("444455556666".parse().unwrap());
    theirs.root_access_keys = key("AKIAOTHER");
    let directory = Arc::new(Directory::new(vec![ours, theirs]).unwrap());
    let clock = Arc::new(ManualClock::new(NOW));
    let ring = Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)));
    let catalog = Arc::new(MemoryCatalog::default());
    let files = tempfile::tempdir().unwrap();
    let outbound = outbound(patience);
    let parts = SnsParts {
        catalog: catalog.clone(),
        ring: ring.clone(),
        directory: directory.clone(),
        clock: clock.clone(),
        random: Arc::new(SystemRandom),
        outbox: open(files.path()).await,
        outbound: outbound.clone(),
    };
    let sns = Sns::new(parts, options.clone()).unwrap();
    World { sns, clock, directory, catalog, ring, options, outbound, files, tasks: TaskGroup::new(Shutdown::new()) }
}

/// Queues at `base`.
pub(super) fn queues_at(base: &str) -> SnsOptions {
    let credentials = Credentials { access_key_id: "AKIASQS".to_owned(), secret: "s".to_owned(), session_token: None };
    let at = AwsEndpoint { endpoint: base.parse().unwrap(), region: Region::us_east_1(), credentials };
    SnsOptions { sqs: Some(at), ..SnsOptions::default() }
}

impl World {
    /// A second process on the same files, after the first was killed.
    pub(super) async fn restarted(self) -> Self {
        let ring = self.ring.clone();
        self.restarted_with(ring).await
    }

    /// As [`Self::restarted`], where the key ring is another.
    pub(super) async fn restarted_with_another_ring(self) -> Self {
        self.restarted_with(Arc::new(KeyRing::ephemeral(Arc::new(SystemRandom)))).await
    }

    async fn restarted_with(mut self, ring: Arc<KeyRing>) -> Self {
        let parts = SnsParts {
            catalog: self.catalog.clone(),
            ring,
            directory: self.directory.clone(),
            clock: self.clock.clone(),
            random: Arc::new(SystemRandom),
            outbox: open(self.files.path()).await,
            outbound: self.outbound.clone(),
        };
        self.sns = Sns::new(parts, self.options.clone()).unwrap();
        self
    }

    pub(super) async fn site(&self) -> Site {
        site(&self.tasks).await
    }

    pub(super) fn tasks(&self) -> &TaskGroup {
        &self.tasks
    }

    /// Delivers what is due now.
    pub(super) async fn deliver(&self) {
        self.sns.0.serve_what_is_due().await;
    }

    /// Status and body of a call.
    pub(super) async fn call_as(&self, key: &str, action: &str, params: &[(&str, &str)]) -> (u16, String) {
        let call = Call {
            principal: self.directory.find_key(key, None, NOW).unwrap().principal,
            region: Region::us_east_1(),
            request_id: "id".to_owned(),
            source_ip: "192.0.2.1".parse().unwrap(),
            secure_transport: true,
            user_agent: None,
        };
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut form = format!("Action={action}&Version=2010-03-31");
        for (name, value) in params {
            form.push_str(&format!("&{}={}", encoded(name), encoded(value)));
        }
        let (head, ()) = http::Request::builder().method("POST").uri("/").body(()).unwrap().into_parts();
        let reply = api(&self.sns, &call, &head, &Bytes::from(form)).await;
        (reply.response.status().as_u16(), String::from_utf8(reply.response.into_body().to_vec()).unwrap())
    }

    /// The root's call, which succeeds.
    pub(super) async fn call(&self, action: &str, params: &[(&str, &str)]) -> String {
        let (status, body) = self.call_as("AKIAROOT", action, params).await;
        assert_eq!(status, 200, "{action}: {body}");
        body
    }

    /// Code and text of the error of the root's call.
    pub(super) async fn refused(&self, action: &str, params: &[(&str, &str)]) -> (String, String) {
        let (status, body) = self.call_as("AKIAROOT", action, params).await;
        assert!(status >= 400, "{action} succeeded: {body}");
        (element(&body, "Code"), element(&body, "Message"))
    }

    /// A topic of that name; its ARN.
    pub(super) async fn topic(&self, name: &str) -> String {
        element(&self.call("CreateTopic", &[("Name", name)]).await, "TopicArn")
    }

    /// A subscription that is confirmed already.
    pub(super) async fn subscribed(
        &self,
        topic: &str,
        protocol: Protocol,
        address: &str,
        settings: Settings,
    ) -> String {
        let topic: TopicArn = topic.parse().unwrap();
        let subscription = Subscription {
            arn: SubscriptionArn { id: self.sns.0.random.uuid(), topic },
            owner: ACCOUNT.parse().unwrap(),
            endpoint: Endpoint::parse(protocol, address).unwrap(),
            created: NOW,
            state: State::Confirmed { authenticated: true, authenticate_on_unsubscribe: false, token: None },
            settings,
        };
        self.sns.0.repository.commit(put_new_subscription(&subscription).into()).await.unwrap();
        subscription.arn.to_string()
    }

    /// Follows a link of a message; the status and the body.
    pub(super) async fn follow(&self, link: &str) -> (u16, String) {
        let path = link.strip_prefix("https://trail.example.com").expect("links lead to this server");
        let response = self.sns.unsigned(path, "id").await.expect("it is one of the links");
        (response.status().as_u16(), String::from_utf8(response.into_body().to_vec()).unwrap())
    }
}

pub(super) async fn site(tasks: &TaskGroup) -> Site {
    type Told = (mpsc::UnboundedSender<Received>, Arc<Mutex<HashMap<String, Vec<StatusCode>>>>);
    async fn receive(Shared((tell, answers)): Shared<Told>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
        let status = answers.lock().get_mut(uri.path()).and_then(Vec::pop).unwrap_or(StatusCode::OK);
        let _ = tell.send(Received { uri, headers, body });
        status
    }
    let (tell, received) = mpsc::unbounded_channel();
    let answers = Arc::default();
    let router = Router::new().fallback(receive).with_state((tell, Arc::clone(&answers)));
    Site { base: serve(tasks, router).await, received, answers }
}

/// The text of the first element of that name.
pub(super) fn element(xml: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let text = xml.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).map(|(text, _)| text);
    let text = text.unwrap_or_else(|| panic!("no {name} in {xml}"));
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
