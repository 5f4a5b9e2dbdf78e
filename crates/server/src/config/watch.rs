use std::time::Duration;

use http::Uri;
use ipnet::IpNet;
use opentrail_elsewhere::{ArnPattern, ElsewhereOptions};
use opentrail_identity::Secret;
use opentrail_outbound::OutboundOptions;
use opentrail_outbound::aws::AwsEndpoint;
use opentrail_sns::{MailEncryption, MailOptions};

use super::aws_endpoint;
use super::nats::NatsSection;
use super::reader::Reader;

/// `[outbound]`, `[sns]`, `[logs]`, `[mail]`, `[sqs]`, `[lambda]`, `[nats]`, `[events]`: how notifications and trails' events leave this
/// server.
#[derive(Clone, Debug)]
pub(crate) struct WatchSection {
    /// `outbound.allow`: networks that webhooks may be in though they are not public, e.g. `["10.0.0.0/8"]`. Default
    /// none. `outbound.timeout`: how long a webhook may take to answer. Default 15 s.
    pub(crate) outbound: OutboundOptions,
    /// `sns.public_endpoint`: where subscribers reach this server, for the links in messages. Default: where it listens.
    pub(crate) public_endpoint: Option<String>,
    /// `[sns.elsewhere]`: the SNS that has topics of trails.
    pub(crate) topics_elsewhere: Option<ElsewhereOptions>,
    /// `[logs.elsewhere]`: the CloudWatch Logs that has log groups of trails.
    pub(crate) log_groups_elsewhere: Option<ElsewhereOptions>,
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
        let (public_endpoint, topics_elsewhere) = sns(root);
        Self {
            outbound: outbound(root),
            public_endpoint,
            topics_elsewhere,
            log_groups_elsewhere: logs(root),
            sqs: service(root, "sqs"),
            lambda: service(root, "lambda"),
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

fn sns(root: &mut Reader<'_>) -> (Option<String>, Option<ElsewhereOptions>) {
    let mut section = root.section("sns");
    let endpoint = section.parsed::<Uri>("public_endpoint", "a URL such as https://trail.example.com");
    let usable = endpoint
        .as_ref()
        .is_none_or(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some());
    if !usable {
        section.complain("public_endpoint", "must begin with http:// or https:// and name a host");
    }
    let topics = elsewhere(&mut section);
    section.finish();
    (endpoint.map(|uri| uri.to_string().trim_end_matches('/').to_owned()), topics)
}

/// `[logs]`, which has nothing but `[logs.elsewhere]`; there, `sts_endpoint` says where trails' roles are assumed.
fn logs(root: &mut Reader<'_>) -> Option<ElsewhereOptions> {
    let mut section = root.section("logs");
    let groups = elsewhere(&mut section);
    section.finish();
    groups
}

/// The section `elsewhere` of `service`: [`aws_endpoint`]'s keys, `arns` (default all), `timeout` (default 15 s), and
/// `sts_endpoint` where roles are assumed, which only log groups have.
fn elsewhere(service: &mut Reader<'_>) -> Option<ElsewhereOptions> {
    if !service.has("elsewhere") {
        return None;
    }
    let has_roles = service.key("elsewhere").starts_with("logs.");
    let mut section = service.section("elsewhere");
    let mut arns = Vec::new();
    for text in section.texts("arns") {
        match text.parse::<ArnPattern>() {
            Ok(pattern) => arns.push(pattern),
            Err(_) => section.complain("arns", format!("{text:?} is no ARN, which may hold * for any characters")),
        }
    }
    if arns.is_empty() {
        arns.push(ArnPattern::any());
    }
    let timeout = section.duration("timeout", OutboundOptions::default().timeout, Duration::from_millis(100));
    let sts = if has_roles { aws_endpoint::endpoint(&mut section, "sts_endpoint") } else { None };
    let at = aws_endpoint::read(&mut section);
    section.finish();
    Some(ElsewhereOptions { at: at?, arns, timeout, sts })
}

/// `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token` of the section `name`; `None` without it.
fn service(root: &mut Reader<'_>, name: &str) -> Option<AwsEndpoint> {
    if !root.has(name) {
        return None;
    }
    let mut section = root.section(name);
    let read = aws_endpoint::read(&mut section);
    section.finish();
    read
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
