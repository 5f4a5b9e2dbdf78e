//! The configuration: a TOML file, each key also settable as `OPENTRAIL_SECTION__KEY`.
//!
//! [`Config::resolve`] makes checked values of what the operator typed and reports every problem at once, by key.
//! Everything has a default: without a file the server runs. The reference is `docs/configuration.md`.

mod aws_endpoint;
mod environment;
mod follow;
mod generate;
mod imports;
mod insights;
mod metrics;
mod nats;
mod queries;
mod reader;
mod sections;
mod watch;

use std::fmt;
use std::path::Path;

use opentrail_identity::{AccountSpec, IdentityError};
use toml::Table;

pub(crate) use follow::{FollowSection, QueueSection};
pub(crate) use generate::{GenerateSection, Protocol};
pub(crate) use imports::ImportsSection;
pub(crate) use insights::InsightsSection;
pub(crate) use metrics::MetricsSection;
pub(crate) use nats::NatsSection;
pub(crate) use queries::QueriesSection;
use reader::{Problem, Reader};
pub(crate) use sections::{
    DeliverySection, DestinationSection, GatewaySection, HistorySection, IngestSection, JournalSection, KmsSection,
    StoresSection, TlsSection, VpcEndpointSection,
};
pub(crate) use watch::WatchSection;

/// The checked configuration.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) tls: Option<TlsSection>,
    pub(crate) s3_domains: Vec<String>,
    pub(crate) delivery: DeliverySection,
    pub(crate) journal: JournalSection,
    pub(crate) history: HistorySection,
    pub(crate) stores: StoresSection,
    pub(crate) imports: ImportsSection,
    pub(crate) insights: InsightsSection,
    pub(crate) queries: QueriesSection,
    pub(crate) generate: Option<GenerateSection>,
    pub(crate) ingest: IngestSection,
    pub(crate) gateways: Vec<GatewaySection>,
    pub(crate) destinations: Vec<DestinationSection>,
    pub(crate) follow: Vec<FollowSection>,
    pub(crate) kms: Option<KmsSection>,
    pub(crate) watch: WatchSection,
    pub(crate) metrics: MetricsSection,
    pub(crate) accounts: Vec<AccountSpec>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem(s):", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// One thing that is wrong.
    pub(crate) fn of(key: String, problem: String) -> Self {
        Self { problems: vec![Problem { key, problem }] }
    }

    /// What is wrong with the accounts taken together, e.g. a name that is there twice.
    pub(crate) fn of_accounts(errors: Vec<IdentityError>) -> Self {
        let problem = |error: IdentityError| Problem { key: error.key, problem: error.problem.to_string() };
        Self { problems: errors.into_iter().map(problem).collect() }
    }
}

impl Config {
    /// Reads `file`, lays `OPENTRAIL_…` variables over it, and checks everything.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let one = |problem: String| {
            let key = file.map_or_else(String::new, |file| file.display().to_string());
            ConfigError { problems: vec![Problem { key, problem }] }
        };
        let mut table = match file {
            None => Table::new(),
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| one(format!("cannot be read: {error}")))?;
                text.parse().map_err(|error: toml::de::Error| one(format!("is not TOML: {error}")))?
            }
        };
        environment::overlay(&mut table, environment);
        Self::resolve(table, file.and_then(Path::parent).unwrap_or(Path::new(".")))
    }

    fn resolve(table: Table, directory: &Path) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut root = Reader::new(table, &mut problems);
        let (tls, s3_domains) = sections::server(&mut root);
        let config = Self {
            tls,
            s3_domains,
            delivery: DeliverySection::read(&mut root),
            journal: JournalSection::read(&mut root),
            history: HistorySection::read(&mut root),
            stores: StoresSection::read(&mut root),
            imports: ImportsSection::read(&mut root),
            insights: InsightsSection::read(&mut root),
            queries: QueriesSection::read(&mut root),
            generate: GenerateSection::read(&mut root),
            ingest: IngestSection::read(&mut root),
            gateways: root.sections("gateway", |section| GatewaySection::read(section, directory)),
            destinations: root.sections("destination", DestinationSection::read),
            follow: root.sections("follow", FollowSection::read),
            kms: KmsSection::read(&mut root),
            watch: WatchSection::read(&mut root),
            metrics: MetricsSection::read(&mut root),
            accounts: sections::accounts(&mut root, directory),
        };
        let mut names = std::collections::HashSet::new();
        for (index, section) in config.follow.iter().enumerate() {
            if !names.insert(section.source.name.as_str()) {
                let problem = format!("{:?} is the name of another [[follow]], too", section.source.name);
                root.complain_of(format!("follow[{index}].name"), problem);
            }
        }
        root.finish();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentrail_follow::Start;

    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut table = text.parse().unwrap();
        environment::overlay(&mut table, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        Config::resolve(table, Path::new("."))
    }

    #[test]
    fn nothing_configured_is_a_configuration() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.delivery.max_age, Duration::from_secs(60));
        assert_eq!(config.delivery.max_bytes, 5_000_000);
        assert_eq!(config.delivery.digest_interval, Duration::from_secs(3600));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let text = "[delivery]\nmax_age = \"10s\"\n";
        let config = load(text, &[("OPENTRAIL_DELIVERY__MAX_AGE", "3s"), ("OPENTRAIL_LOG", "x")]).unwrap();
        assert_eq!(config.delivery.max_age, Duration::from_secs(3));
    }

    #[test]
    fn every_problem_is_told_at_once_by_key() {
        let text = "
            nonsense = 1
            [delivery]
            max_age = \"soon\"
            max_bytes = \"5 parsecs\"
            [[gateway]]
            listen = \"here\"
            upstream = \"http://127.0.0.1:9000\"
            region = \"us east\"
            colour = \"red\"
        ";
        let error = load(text, &[("OPENTRAIL_DIGEST__INTERVAL", "0s")]).unwrap_err();
        let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "delivery.max_age",
                "delivery.max_bytes",
                "digest.interval",
                "gateway[0].listen",
                "gateway[0].account",
                "gateway[0].region",
                "gateway[0].colour",
                "nonsense",
            ]
        );
    }

    #[test]
    fn a_gateway_can_be_a_vpc_endpoint() {
        let gateway = "[[gateway]]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://127.0.0.1:9000\"\n\
                       account = \"100000000001\"\nregion = \"us-east-1\"\n";
        let policy = r#"endpoint_policy = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}'"#;
        let read = |more: &str| load(&format!("{gateway}{more}"), &[]);
        let endpoint = |more: &str| read(more).unwrap().gateways.remove(0).vpc_endpoint.unwrap();
        let plain = endpoint("vpc_endpoint_id = \"vpce-0a1b2c3d\"");
        assert_eq!((plain.owner.to_string().as_str(), plain.policy), ("100000000001", None));
        let whole = format!("vpc_endpoint_id = \"vpce-0a1b2c3d\"\nvpc_endpoint_account = \"100000000002\"\n{policy}");
        let whole = endpoint(&whole);
        assert_eq!((whole.owner.to_string().as_str(), whole.policy.is_some()), ("100000000002", true));

        for (more, key) in [
            ("vpc_endpoint_id = \"endpoint\"", "gateway[0].vpc_endpoint_id"),
            ("vpc_endpoint_account = \"100000000002\"", "gateway[0].vpc_endpoint_account"),
            (policy, "gateway[0].endpoint_policy"),
            ("vpc_endpoint_id = \"vpce-0a1b2c3d\"\nendpoint_policy = '{}'", "gateway[0].endpoint_policy"),
            ("vpc_endpoint_id = \"vpce-0a1b2c3d\"\nendpoint_policy.file = '/none'", "gateway[0].endpoint_policy"),
        ] {
            let error = read(more).unwrap_err();
            let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
            assert_eq!(keys, [key], "{more}");
        }
    }

    #[test]
    fn a_gateway_can_be_set_in_the_environment() {
        let set = [
            ("OPENTRAIL_GATEWAY__0__LISTEN", "127.0.0.1:0"),
            ("OPENTRAIL_GATEWAY__0__UPSTREAM", "http://127.0.0.1:9000"),
            ("OPENTRAIL_GATEWAY__0__ACCOUNT", "100000000001"),
            ("OPENTRAIL_GATEWAY__0__REGION", "garage"),
        ];
        let config = load("", &set).unwrap();
        assert_eq!(config.gateways[0].region.as_str(), "garage");
    }

    #[test]
    fn a_followed_bucket_has_a_name_an_account_and_where_it_begins() {
        let keys = |text: &str| -> Vec<String> {
            let error = load(text, &[]).unwrap_err();
            error.problems.iter().map(|problem| problem.key.clone()).collect()
        };
        assert_eq!(keys("[[follow]]"), ["follow[0].name", "follow[0].bucket", "follow[0].account"]);
        let least = "[[follow]]\nname = \"aws\"\nbucket = \"logs\"\naccount = \"100000000001\"\n";
        let odd = "prefix = \"a/AWSLogs\"\norganization = \"x\"\naccounts = [\"1\"]\nregions = [\"us east\"]\n\
                   start = \"soon\"\nlook_back = \"1ms\"\ncolour = 1\n";
        let wrong = ["prefix", "organization", "accounts", "regions", "start", "look_back", "colour"];
        assert_eq!(keys(&format!("{least}{odd}")), wrong.map(|key| format!("follow[0].{key}")));
        assert_eq!(keys(&format!("{least}{least}")), ["follow[1].name"]);
        assert_eq!(keys(&least.replace("aws", "A/b")), ["follow[0].name"]);

        let source = |more: &str| load(&format!("{least}{more}"), &[]).unwrap().follow.remove(0).source;
        let plain = source("");
        assert_eq!((plain.prefix.as_str(), plain.start), ("", Start::Back(Duration::from_secs(3600))));
        assert_eq!((plain.poll, plain.look_back), (Duration::from_secs(60), Duration::from_secs(86_400)));
        let given = source(
            "prefix = \"/p/q/\"\naccounts = [\"111122223333\"]\nregions = \"us-east-1,eu-west-1\"\nstart = \"2026-01-02T03:04:05Z\"",
        );
        assert_eq!((given.prefix.as_str(), given.accounts.len(), given.regions.len()), ("p/q", 1, 2));
        assert_eq!(given.start, Start::At("2026-01-02T03:04:05Z".parse().unwrap()));
    }

    #[test]
    fn a_queue_has_a_url_and_a_key_to_sign_with() {
        let follow = "[[follow]]\nname = \"aws\"\nbucket = \"logs\"\naccount = \"100000000001\"\n[follow.queue]\n";
        let error = load(&format!("{follow}url = \"logs\"\nwait = \"21s\"\ncolour = 1"), &[]).unwrap_err();
        let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
        let wrong = ["url", "access_key_id", "secret_access_key", "wait", "colour"];
        assert_eq!(keys, wrong.map(|key| format!("follow[0].queue.{key}")));
        let url = "url = \"https://sqs.eu-west-1.amazonaws.com/111122223333/logs\"";
        let text = format!("{follow}{url}\naccess_key_id = \"k\"\nsecret_access_key = \"s3cret\"");
        let section = load(&text, &[]).unwrap().follow.remove(0);
        let queue = section.queue.unwrap();
        assert_eq!(queue.at.endpoint.to_string(), "https://sqs.eu-west-1.amazonaws.com/");
        assert_eq!((queue.wait, section.source.sweep), (Duration::from_secs(20), Duration::from_secs(3600)));
        assert!(!format!("{queue:?}").contains("s3cret"));
    }

    #[test]
    fn a_language_model_has_a_protocol_and_what_it_shows() {
        let keys = |text: &str| -> Vec<String> {
            let error = load(text, &[]).unwrap_err();
            error.problems.iter().map(|problem| problem.key.clone()).collect()
        };
        assert!(load("", &[]).unwrap().generate.is_none());
        assert_eq!(keys("[generate]"), ["generate.endpoint", "generate.model", "generate.protocol"]);
        let local = "[generate]\nendpoint = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\n";
        assert_eq!(keys(&format!("{local}protocol = \"morse\"")), ["generate.protocol"]);
        let bedrock = keys(&format!("{local}protocol = \"bedrock\"\napi_key = \"k\""));
        assert_eq!(bedrock, ["generate.access_key_id", "generate.secret_access_key", "generate.api_key"]);
        let file = format!("{local}protocol = \"openai\"\napi_key_file = \"/none\"");
        assert_eq!(keys(&file), ["generate.api_key_file"]);
        let set = [("OPENTRAIL_GENERATE__API_KEY", "from-the-environment")];
        let generate = load(&format!("{local}protocol = \"openai\""), &set).unwrap().generate.unwrap();
        let Protocol::OpenAi { api_key: Some(key) } = &generate.protocol else { panic!("{generate:?}") };
        assert_eq!((key.expose(), generate.timeout), ("from-the-environment", Duration::from_secs(30)));
        assert!(!format!("{generate:?}").contains("from-the-environment"));
    }

    #[test]
    fn a_kms_elsewhere_needs_an_endpoint_and_a_key_to_sign_with() {
        assert!(load("", &[]).unwrap().kms.is_none());
        let error = load("[kms]\nendpoint = \"kms.example.org:443\"\ncolour = 1", &[]).unwrap_err();
        let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["kms.endpoint", "kms.access_key_id", "kms.secret_access_key", "kms.colour"]);
        let set = [
            ("OPENTRAIL_KMS__ENDPOINT", "https://kms.example.org"),
            ("OPENTRAIL_KMS__ACCESS_KEY_ID", "k"),
            ("OPENTRAIL_KMS__SECRET_ACCESS_KEY", "s"),
        ];
        let kms = load("", &set).unwrap().kms.unwrap();
        assert_eq!((kms.at.region.as_str(), kms.timeout), ("us-east-1", Duration::from_secs(5)));
    }
    #[test]
    fn topics_and_log_groups_can_be_elsewhere() {
        assert!(load("", &[]).unwrap().watch.log_groups_elsewhere.is_none());
        let keys = |text: &str| -> Vec<String> {
            let error = load(text, &[]).unwrap_err();
            error.problems.iter().map(|problem| problem.key.clone()).collect()
        };
        let required = ["endpoint", "access_key_id", "secret_access_key"];
        assert_eq!(keys("[logs.elsewhere]"), required.map(|key| format!("logs.elsewhere.{key}")));
        assert_eq!(keys("[logs]\ncolour = 1"), ["logs.colour"]);
        let key = "endpoint = \"https://logs.example.org\"\naccess_key_id = \"k\"\nsecret_access_key = \"s3cret\"\n";
        assert_eq!(
            keys(&format!("[sns.elsewhere]\n{key}sts_endpoint = \"http://sts\"")),
            ["sns.elsewhere.sts_endpoint"]
        );
        let odd = format!("[logs.elsewhere]\n{key}arns = [\"trail\"]\nsts_endpoint = \"ftp://sts\"");
        assert_eq!(keys(&odd), ["logs.elsewhere.arns", "logs.elsewhere.sts_endpoint"]);
        let text = format!(
            "[sns]\npublic_endpoint = \"https://here.example.org\"\n[sns.elsewhere]\n{key}[logs.elsewhere]\n{key}\
             arns = [\"arn:aws:logs:*:111122223333:*\"]\nsts_endpoint = \"https://sts.example.org\""
        );
        let watch = load(&text, &[]).unwrap().watch;
        let (topics, groups) = (watch.topics_elsewhere.unwrap(), watch.log_groups_elsewhere.unwrap());
        assert!(topics.arns[0].matches("arn:aws:sns:us-east-1:444455556666:alerts"));
        let there =
            |account: &str| groups.arns[0].matches(&format!("arn:aws:logs:us-east-1:{account}:log-group:trail:*"));
        assert!(there("111122223333") && !there("444455556666"));
        assert_eq!(groups.sts.as_ref().unwrap().host(), Some("sts.example.org"));
        assert!(!format!("{topics:?}{groups:?}").contains("s3cret"));
    }
}
