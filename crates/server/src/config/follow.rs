use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use opentrail_follow::{Source, Start};
use opentrail_model::Timestamp;
use opentrail_outbound::aws::AwsEndpoint;

use super::aws_endpoint;
use super::reader::Reader;

const HOUR: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// `[[follow]]`: a bucket to which a trail elsewhere delivers.
#[derive(Clone, Debug)]
pub(crate) struct FollowSection {
    /// What is followed, and how.
    pub(crate) source: Source,
    /// `[follow.queue]`: what tells of new files, if anything does.
    pub(crate) queue: Option<QueueSection>,
}

/// A queue of SQS.
#[derive(Clone, Debug)]
pub(crate) struct QueueSection {
    /// `url`: the queue's URL.
    pub(crate) url: String,
    /// `endpoint`: where SQS is asked; default: the beginning of the URL. And the key to sign with.
    pub(crate) at: AwsEndpoint,
    /// `wait`: how long a request waits for messages, in whole seconds. Default 20 s, the most that SQS knows.
    pub(crate) wait: Duration,
}

impl QueueSection {
    fn read(section: &mut Reader<'_>) -> Option<Self> {
        let url = section.required::<Uri>("url", "a URL such as https://sqs.us-east-1.amazonaws.com/111122223333/logs");
        let of_url = url.as_ref().and_then(|url| {
            let (scheme, authority) = (url.scheme_str()?, url.authority()?);
            format!("{scheme}://{authority}").parse::<Uri>().ok()
        });
        if url.is_some() && of_url.is_none() {
            section.complain("url", "must begin with http:// or https:// and name a host");
        }
        let endpoint = aws_endpoint::endpoint(section, "endpoint").or(of_url);
        let at = aws_endpoint::read_at(section, endpoint);
        let wait = section.duration("wait", LONGEST_WAIT, Duration::ZERO);
        if wait > LONGEST_WAIT || wait.subsec_nanos() > 0 {
            section.complain("wait", "must be whole seconds, 20 at most");
        }
        Some(Self { url: url?.to_string(), at: at?, wait })
    }
}

impl FollowSection {
    pub(crate) fn read(section: &mut Reader<'_>) -> Option<Self> {
        let name = section.required_text("name");
        if name.as_deref().is_some_and(|name| !is_name(name)) {
            section.complain("name", "must be 1 to 64 lower-case letters, digits and hyphens");
        }
        let bucket = section.required_text("bucket");
        let prefix = section.text("prefix").unwrap_or_default().trim_matches('/').to_owned();
        if prefix.split('/').any(|part| part == "AWSLogs") {
            section.complain("prefix", "must be what comes before AWSLogs/ in the keys");
        }
        let organization = section.parsed("organization", "an organization's id such as o-a1b2c3d4e5");
        let accounts = set(section, "accounts", "an account of twelve digits");
        let regions = set(section, "regions", "a Region such as us-east-1");
        let account = section.required("account", "twelve digits");
        let start = section.parsed("start", "a time such as \"24h\" (before now) or 2026-01-02T03:04:05Z");
        let poll = section.duration("poll", Duration::from_secs(60), Duration::from_millis(100));
        let is_notified = section.has("queue");
        let queue = is_notified.then(|| {
            let mut queue = section.section("queue");
            let read = QueueSection::read(&mut queue);
            queue.finish();
            read
        });
        let sweep = section.duration("sweep", if is_notified { HOUR } else { HOUR / 4 }, Duration::from_millis(100));
        let look_back = section.duration("look_back", 24 * HOUR, SECOND);
        let source = Source {
            name: name?,
            bucket: bucket?,
            prefix,
            organization,
            accounts,
            regions,
            account: account?,
            start: start.map_or(Start::Back(HOUR), |Begin(start)| start),
            poll,
            sweep: sweep.max(poll),
            look_back,
        };
        let queue = match queue {
            Some(queue) => Some(queue?),
            None => None,
        };
        Some(Self { source, queue })
    }
}

/// A list of values that texts can spell.
fn set<T: FromStr + Ord>(section: &mut Reader<'_>, name: &str, expected: &str) -> BTreeSet<T> {
    let mut values = BTreeSet::new();
    for text in section.texts(name) {
        match text.parse() {
            Ok(value) => {
                values.insert(value);
            }
            Err(_) => section.complain(name, format!("{text:?} is not {expected}")),
        }
    }
    values
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

/// `follow.start`.
struct Begin(Start);

impl FromStr for Begin {
    type Err = fmt::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(Start::At(time)));
        }
        humantime::parse_duration(text).map(|back| Self(Start::Back(back))).map_err(|_| fmt::Error)
    }
}
