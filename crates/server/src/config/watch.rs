use std::time::Duration;

use http::Uri;
use ipnet::IpNet;
use opentrail_identity::Secret;
use opentrail_model::Region;
use opentrail_outbound::OutboundOptions;
use opentrail_outbound::aws::AwsEndpoint;
use opentrail_sns::{MailEncryption, MailOptions};
use opentrail_wire::sigv4::Credentials;

use super::nats::NatsSection;
use super::reader::Reader;

/// `[outbound]`, `[sns]`, `[mail]`, `[sqs]`, `[lambda]`, `[nats]`, `[events]`: how notifications leave this server.
#[derive(Clone, Debug)]
pub(crate) struct WatchSection {
    /// `outbound.allow`: networks that webhooks may be in though they are not public, e.g. `["10.0.0.0/8"]`. Default
    /// none. `outbound.timeout`: how long a webhook may take to answer. Default 15 s.
    pub(crate) outbound: OutboundOptions,
    /// `sns.public_endpoint`: where subscribers reach this server, for the links in messages. Default: where it listens.
    pub(crate) public_endpoint: Option<String>,
    /// `[sqs]`: the SQS-compatible service that has the queues of subscriptions and rules.
    pub(crate) sqs: Option<AwsEndpoint>,
    /// `[lambda]`: the Lambda-compatible service that has the functions of rules.
    pub(crate) lambda: Option<AwsEndpoint>,
    /// `[nats]`: the server whose subjects rules may send to.
    pub(crate) nats: Option<NatsSection>,
    /// `events.most_waiting`: how many invocations of rules' targets may wait; from there on only targets that have less
    /// than their share of it get more. Default 1,000,000, about 2 GB.
    pub(crate) most_waiting: u64,
    /// `[mail]`: the server that mail goes out by.
    pub(crate) mail: Option<MailOptions>,
}

impl WatchSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        Self {
            outbound: outbound(root),
            public_endpoint: sns(root),
            sqs: aws_endpoint(root, "sqs"),
            lambda: aws_endpoint(root, "lambda"),
            nats: NatsSection::read(root),
            most_waiting: most_waiting(root),
            mail: mail(root),
        }
    }
}

fn outbound(root: &mut Reader<'_>) -> OutboundOptions {
    let mut section = root.section("outbound");
    let mut allow = Vec::new();
    for text in section.texts("allow") {
        match text.parse::<IpNet>() {
            Ok(net) => allow.push(net),
            Err(_) => section.complain("allow", format!("{text:?} is no network such as 10.0.0.0/8 or fd00::/8")),
        }
    }
    let defaults = OutboundOptions::default();
    let timeout = section.duration("timeout", defaults.timeout, Duration::from_millis(100));
    section.finish();
    OutboundOptions { allow, timeout, ..defaults }
}

fn sns(root: &mut Reader<'_>) -> Option<String> {
    let mut section = root.section("sns");
    let endpoint = section.parsed::<Uri>("public_endpoint", "a URL such as https://trail.example.com");
    let usable = endpoint
        .as_ref()
        .is_none_or(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some());
    if !usable {
        section.complain("public_endpoint", "must begin with http:// or https:// and name a host");
    }
    section.finish();
    endpoint.map(|uri| uri.to_string().trim_end_matches('/').to_owned())
}

/// `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token` of the section `name`; `None` without it.
fn aws_endpoint(root: &mut Reader<'_>, name: &str) -> Option<AwsEndpoint> {
    if !root.has(name) {
        return None;
    }
    let mut section = root.section(name);
    let endpoint = section.required::<Uri>("endpoint", "a URL such as http://127.0.0.1:9324");
    if endpoint.as_ref().is_some_and(|uri| !matches!(uri.scheme_str(), Some("http" | "https"))) {
        section.complain("endpoint", "must begin with http:// or https://");
    }
    let region = section.parsed("region", "a Region such as us-east-1").unwrap_or_else(Region::us_east_1);
    let access_key_id = section.required_text("access_key_id");
    let secret = section.required_text("secret_access_key");
    let session_token = section.text("session_token");
    section.finish();
    let credentials = Credentials { access_key_id: access_key_id?, secret: secret?, session_token };
    Some(AwsEndpoint { endpoint: endpoint?, region, credentials })
}

fn most_waiting(root: &mut Reader<'_>) -> u64 {
    let mut section = root.section("events");
    let most = section.number("most_waiting", 1_000_000, 1);
    section.finish();
    most
}

/// `[mail]`: `host`, `port`, `encryption` (`tls`, `starttls` or `none`; default `starttls`), `user` and `password`,
/// `from`.
fn mail(root: &mut Reader<'_>) -> Option<MailOptions> {
    if !root.has("mail") {
        return None;
    }
    let mut section = root.section("mail");
    let host = section.required_text("host");
    let port = section.parsed::<u16>("port", "a port");
    let encryption = match section.text("encryption").as_deref() {
        None | Some("starttls") => MailEncryption::StartTls,
        Some("tls") => MailEncryption::Tls,
        Some("none") => MailEncryption::None,
        Some(_) => {
            section.complain("encryption", "must be \"tls\", \"starttls\" or \"none\"");
            MailEncryption::StartTls
        }
    };
    let (user, password) = (section.text("user"), section.text("password"));
    if user.is_some() != password.is_some() {
        section.complain("user", "goes together with password");
    }
    let credentials = user.zip(password).map(|(user, password)| (user, Secret::new(password)));
    let from = section.required_text("from");
    section.finish();
    Some(MailOptions { host: host?, port, encryption, credentials, from: from? })
}
