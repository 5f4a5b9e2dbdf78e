use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use opentrail_nats::{Confirmation, Credentials, Server, SubjectPattern};

use super::reader::Reader;

/// `[nats]`: the server whose subjects rules may send to.
#[derive(Clone, Debug)]
pub(crate) struct NatsSection {
    /// `url`: `nats://HOST:PORT`, or `tls://HOST:PORT`; the port is 4222 unless it says another.
    pub(crate) server: Server,
    /// `credentials`: a file with what `nsc` wrote, the seed of an NKEY, `user:password`, or a token. Default none.
    pub(crate) credentials: Credentials,
    /// `ca`: certificates of whom TLS trusts. Default those of the system.
    pub(crate) ca: Option<PathBuf>,
    /// `confirmation`: `stored`, by a JetStream stream (default), or `taken`, by the server.
    pub(crate) confirmation: Confirmation,
    /// `subjects`: those that rules may send to, e.g. `["audit.>"]`. Default all but the server's own.
    pub(crate) subjects: Vec<SubjectPattern>,
    /// `timeout`: how long a message may take to be confirmed. Default 5 s.
    pub(crate) timeout: Duration,
}

impl NatsSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Option<Self> {
        if !root.has("nats") {
            return None;
        }
        let mut section = root.section("nats");
        let server = server(&mut section);
        let credentials = credentials(&mut section);
        let confirmation = match section.text("confirmation").as_deref() {
            None | Some("stored") => Confirmation::Stored,
            Some("taken") => Confirmation::Taken,
            Some(_) => {
                section.complain("confirmation", "must be \"stored\" or \"taken\"");
                Confirmation::Stored
            }
        };
        let is_given = section.has("subjects");
        let mut subjects = Vec::new();
        for text in if is_given { section.texts("subjects") } else { vec![">".to_owned()] } {
            match text.parse() {
                Ok(pattern) => subjects.push(pattern),
                Err(problem) => section.complain("subjects", problem),
            }
        }
        let timeout = section.duration("timeout", Duration::from_secs(5), Duration::from_millis(100));
        let ca = section.path("ca");
        section.finish();
        Some(Self { server: server?, credentials, ca, confirmation, subjects, timeout })
    }
}

fn server(section: &mut Reader<'_>) -> Option<Server> {
    const EXPECTED: &str = "a URL such as nats://127.0.0.1:4222 or tls://nats.example.com";
    let url = section.required::<Uri>("url", EXPECTED)?;
    let tls = match url.scheme_str() {
        Some("nats") => Some(false),
        Some("tls") => Some(true),
        _ => None,
    };
    let (Some(tls), Some(host)) = (tls, url.host()) else {
        section.complain("url", format!("must be {EXPECTED}"));
        return None;
    };
    // An IPv6 address stands in brackets in a URL only.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Server { host, port: url.port_u16().unwrap_or(4222), tls })
}

fn credentials(section: &mut Reader<'_>) -> Credentials {
    let Some(file) = section.path("credentials") else { return Credentials::default() };
    let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
    match read.and_then(|text| Credentials::parse(&text).map_err(|error| error.to_string())) {
        Ok(credentials) => credentials,
        Err(problem) => {
            section.complain("credentials", format!("{}: {problem}", file.display()));
            Credentials::default()
        }
    }
}
