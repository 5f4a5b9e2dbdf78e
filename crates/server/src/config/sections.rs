use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use opentrail_identity::{
    AccountSpec, Directory, IdentityError, Policy, PolicyUse, Secret, accounts_from_toml, policy_from_toml,
};
use opentrail_model::{AccountId, Region};
use opentrail_outbound::aws::AwsEndpoint;

use super::aws_endpoint;
use super::reader::Reader;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate chain and its private key, both PEM files.
#[derive(Clone, Debug)]
pub(crate) struct TlsSection {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl TlsSection {
    /// `tls_certificate` and `tls_private_key`, which go together.
    fn read(section: &mut Reader<'_>) -> Option<Self> {
        match (section.path("tls_certificate"), section.path("tls_private_key")) {
            (Some(certificate), Some(private_key)) => Some(Self { certificate, private_key }),
            (None, None) => None,
            (Some(_), None) => {
                section.complain("tls_private_key", "is required with tls_certificate");
                None
            }
            (None, Some(_)) => {
                section.complain("tls_certificate", "is required with tls_private_key");
                None
            }
        }
    }
}

/// `[server]`: TLS of the main port, and the domains under which S3 buckets are host names.
pub(crate) fn server(root: &mut Reader<'_>) -> (Option<TlsSection>, Vec<String>) {
    let mut section = root.section("server");
    let read = (TlsSection::read(&mut section), section.texts("s3_domains"));
    section.finish();
    read
}

/// `[delivery]`, `[digest]` and `[aggregation]`.
#[derive(Clone, Debug)]
pub(crate) struct DeliverySection {
    /// `delivery.max_age`: a log file is closed when its oldest event came in this long ago. Default 60 s.
    pub(crate) max_age: Duration,
    /// `delivery.max_bytes`: … or at this compressed size. Default 5 MB.
    pub(crate) max_bytes: u64,
    /// `delivery.put_timeout`: how long one attempt to write an object may take. Default 60 s.
    pub(crate) put_timeout: Duration,
    /// `digest.interval`: the length of a digest's window. Default 1 h; shorter only for tests.
    pub(crate) digest_interval: Duration,
    /// `aggregation.window`: the length of an aggregated event's window. Default 5 min; another only for tests.
    pub(crate) aggregation_window: Duration,
    /// `aggregation.grace`: how long after a window's end its events are waited for. Default 30 s.
    pub(crate) aggregation_grace: Duration,
}

impl DeliverySection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("delivery");
        let max_age = section.duration("max_age", Duration::from_secs(60), Duration::from_millis(100));
        let max_bytes = section.size("max_bytes", 5_000_000, 1_000, 50_000_000);
        let put_timeout = section.duration("put_timeout", Duration::from_secs(60), Duration::from_millis(100));
        section.finish();
        let mut section = root.section("digest");
        let digest_interval = section.duration("interval", Duration::from_secs(3600), Duration::from_secs(1));
        section.finish();
        let mut section = root.section("aggregation");
        let aggregation_window = section.duration("window", Duration::from_secs(300), Duration::from_millis(100));
        let aggregation_grace = section.duration("grace", Duration::from_secs(30), Duration::ZERO);
        section.finish();
        Self { max_age, max_bytes, put_timeout, digest_interval, aggregation_window, aggregation_grace }
    }
}

/// `[journal]`.
#[derive(Clone, Debug)]
pub(crate) struct JournalSection {
    /// `journal.segment_bytes`: the size of one file. Default 64 MiB.
    pub(crate) segment_bytes: u64,
    /// `journal.hold_back`: how long entries stay after every projection has passed them. Default 1 h.
    pub(crate) hold_back: Duration,
}

impl JournalSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("journal");
        let segment_bytes = section.size("segment_bytes", 64 << 20, 4 << 20, 1 << 30);
        let hold_back = section.duration("hold_back", Duration::from_secs(3600), Duration::ZERO);
        section.finish();
        Self { segment_bytes, hold_back }
    }
}

/// `[history]`.
#[derive(Clone, Debug)]
pub(crate) struct HistorySection {
    /// `history.retention`: how far back Event history reaches. Default 90 days, as AWS's.
    pub(crate) retention: Duration,
    /// `history.flush_age`: events are written to the table at the latest after this time. Default 60 s.
    pub(crate) flush_age: Duration,
    /// `history.maintenance_interval`: how often small files are merged and old ones let go. Default 10 s.
    pub(crate) maintenance_interval: Duration,
    /// `history.vacuum_age`: how old a file that left the table is when it is deleted. Default 1 h; shorter only for tests.
    pub(crate) vacuum_age: Duration,
}

impl HistorySection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("history");
        let retention = section.duration("retention", 90 * DAY, Duration::from_secs(1));
        let flush_age = section.duration("flush_age", Duration::from_secs(60), Duration::from_millis(100));
        let maintenance_interval =
            section.duration("maintenance_interval", Duration::from_secs(10), Duration::from_millis(100));
        let vacuum_age = section.duration("vacuum_age", Duration::from_secs(3600), Duration::from_secs(1));
        section.finish();
        Self { retention, flush_age, maintenance_interval, vacuum_age }
    }
}

/// `[stores]`: event data stores.
#[derive(Clone, Debug)]
pub(crate) struct StoresSection {
    /// `stores.flush_age`: events are written to their stores' tables at the latest after this time. Default 60 s.
    pub(crate) flush_age: Duration,
    /// `stores.memory_bytes`: what the events not yet written may take in memory, of all stores together. Default 128 MiB.
    pub(crate) memory_bytes: u64,
    /// `stores.maintenance_interval`: how often small files are merged and old ones let go. Default 10 s.
    pub(crate) maintenance_interval: Duration,
    /// `stores.vacuum_age`: how old a file that left a table is when it is deleted. Default 1 h; shorter only for tests.
    pub(crate) vacuum_age: Duration,
    /// `stores.pending_deletion`: how long a deleted store can be restored. Default 7 days; shorter only for tests.
    pub(crate) pending_deletion: Duration,
    /// `stores.data_key_age`: how long a data key of a store with a KMS key stays opened in memory. Default 60 s.
    pub(crate) data_key_age: Duration,
}

impl StoresSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("stores");
        let flush_age = section.duration("flush_age", Duration::from_secs(60), Duration::from_millis(100));
        let memory_bytes = section.size("memory_bytes", 128 << 20, 16 << 20, 64 << 30);
        let maintenance_interval =
            section.duration("maintenance_interval", Duration::from_secs(10), Duration::from_millis(100));
        let vacuum_age = section.duration("vacuum_age", Duration::from_secs(3600), Duration::from_secs(1));
        let pending_deletion = section.duration("pending_deletion", 7 * DAY, Duration::from_secs(1));
        let data_key_age = section.duration("data_key_age", Duration::from_secs(60), Duration::ZERO);
        section.finish();
        Self { flush_age, memory_bytes, maintenance_interval, vacuum_age, pending_deletion, data_key_age }
    }
}

/// `[ingest]`.
#[derive(Clone, Debug)]
pub(crate) struct IngestSection {
    /// `ingest.dedup_window`: how many of the newest records a repeated `eventID` is recognised in. Default 1,000,000.
    pub(crate) dedup_window: u64,
    /// `ingest.max_decoded_bytes`: the most that one request may decompress to. Default 1 GiB.
    pub(crate) max_decoded_bytes: u64,
}

impl IngestSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("ingest");
        let dedup_window = section.number("dedup_window", 1_000_000, 0);
        let max_decoded_bytes = section.size("max_decoded_bytes", 1 << 30, 1 << 20, u64::MAX);
        section.finish();
        Self { dedup_window, max_decoded_bytes }
    }
}

/// `[[gateway]]`: a recording reverse proxy.
#[derive(Clone, Debug)]
pub(crate) struct GatewaySection {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// The AWS-compatible endpoint behind it, `http` or `https`.
    pub(crate) upstream: Uri,
    /// The account that its calls belong to.
    pub(crate) account: AccountId,
    /// The Region that its calls belong to when the request does not say.
    pub(crate) region: Region,
    /// The VPC endpoint that it is, if it is one.
    pub(crate) vpc_endpoint: Option<VpcEndpointSection>,
    /// The service to assume when the request does not say; default `s3`.
    pub(crate) service: Option<String>,
    /// Domains under which buckets are host names, e.g. `s3.example.org`.
    pub(crate) s3_domains: Vec<String>,
    /// TLS towards clients.
    pub(crate) tls: Option<TlsSection>,
    /// PEM file with the certificate authorities trusted for an `https` upstream, instead of the system's.
    pub(crate) upstream_ca: Option<PathBuf>,
}

/// The VPC endpoint that a gateway is.
#[derive(Clone, Debug)]
pub(crate) struct VpcEndpointSection {
    /// `vpc_endpoint_id`: `vpce-…`.
    pub(crate) id: String,
    /// `vpc_endpoint_account`: whose endpoint it is. Default: the gateway's account.
    pub(crate) owner: AccountId,
    /// `endpoint_policy`: an IAM policy. Default: everything may pass.
    pub(crate) policy: Option<Policy>,
}

impl VpcEndpointSection {
    /// The three keys; the others mean nothing without an id. Relative policy files are looked up in `directory`.
    fn read(section: &mut Reader<'_>, account: Option<AccountId>, directory: &Path) -> Option<Self> {
        let id = section.text("vpc_endpoint_id");
        let owner = section.parsed::<AccountId>("vpc_endpoint_account", "twelve digits");
        let policy = section.raw("endpoint_policy");
        let Some(id) = id else {
            for (name, given) in [("vpc_endpoint_account", owner.is_some()), ("endpoint_policy", policy.is_some())] {
                if given {
                    section.complain(name, "needs vpc_endpoint_id");
                }
            }
            return None;
        };
        if !is_endpoint_id(&id) {
            section.complain("vpc_endpoint_id", format!("{id:?} is not an id such as vpce-0a1b2c3d4e5f67890"));
        }
        let policy = policy.and_then(|policy| {
            let key = section.key("endpoint_policy");
            let parsed = policy_from_toml(&key, &policy, directory, PolicyUse::Resource);
            let complain = |errors: Vec<IdentityError>| {
                errors.into_iter().for_each(|error| section.complain_of(error.key, error.problem.to_string()));
            };
            parsed.map_err(complain).ok()
        });
        Some(Self { id, owner: owner.or(account)?, policy })
    }
}

/// AWS's have 8 or 17 hexadecimal digits; any letters and digits will do, as in its own examples.
fn is_endpoint_id(id: &str) -> bool {
    id.strip_prefix("vpce-")
        .is_some_and(|rest| (8..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

impl GatewaySection {
    pub(crate) fn read(section: &mut Reader<'_>, directory: &Path) -> Option<Self> {
        let listen = section.required_address("listen");
        let upstream = section.required::<Uri>("upstream", "a URL such as http://127.0.0.1:9000").filter(|upstream| {
            let good = matches!(upstream.scheme_str(), Some("http" | "https")) && upstream.authority().is_some();
            if !good {
                section.complain("upstream", "must begin with http:// or https:// and name a host");
            }
            good
        });
        let account = section.required("account", "twelve digits");
        let region = section.required("region", "a Region such as us-east-1");
        let vpc_endpoint = VpcEndpointSection::read(section, account, directory);
        let service = section.text("service");
        let s3_domains = section.texts("s3_domains");
        let tls = TlsSection::read(section);
        let upstream_ca = section.path("upstream_ca");
        Some(Self {
            listen: listen?,
            upstream: upstream?,
            account: account?,
            region: region?,
            vpc_endpoint,
            service,
            s3_domains,
            tls,
            upstream_ca,
        })
    }
}

/// `[[destination]]`: buckets that live at an S3-compatible endpoint instead of in the embedded store.
#[derive(Clone, Debug)]
pub(crate) struct DestinationSection {
    /// The buckets, by name.
    pub(crate) buckets: Vec<String>,
    /// The endpoint, `http` or `https`.
    pub(crate) endpoint: Uri,
    /// Its Region, for signing.
    pub(crate) region: Region,
    /// The access key to sign with.
    pub(crate) access_key_id: String,
    /// Its secret.
    pub(crate) secret_access_key: Secret,
}

impl DestinationSection {
    pub(crate) fn read(section: &mut Reader<'_>) -> Option<Self> {
        let buckets = section.texts("buckets");
        if buckets.is_empty() {
            section.complain("buckets", "must name at least one bucket");
        }
        let endpoint = section.required::<Uri>("endpoint", "a URL such as https://s3.example.org");
        let region = section.parsed("region", "a Region such as us-east-1").unwrap_or_else(Region::us_east_1);
        let access_key_id = section.required_text("access_key_id");
        let secret_access_key = section.required_text("secret_access_key").map(Secret::new);
        Some(Self {
            buckets,
            endpoint: endpoint?,
            region,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
        })
    }
}

/// `[kms]`: a KMS elsewhere, whose keys are used instead of the catalog's.
#[derive(Clone, Debug)]
pub(crate) struct KmsSection {
    /// `kms.endpoint` and the key to sign with.
    pub(crate) at: AwsEndpoint,
    /// `kms.timeout`: how long one attempt of a call may take; there are three. Default 5 s.
    pub(crate) timeout: Duration,
}

impl KmsSection {
    /// `None` without the section.
    pub(crate) fn read(root: &mut Reader<'_>) -> Option<Self> {
        if !root.has("kms") {
            return None;
        }
        let mut section = root.section("kms");
        let at = aws_endpoint::read(&mut section);
        let timeout = section.duration("timeout", Duration::from_secs(5), Duration::from_millis(100));
        section.finish();
        Some(Self { at: at?, timeout })
    }
}

/// `[[account]]`: accounts, users and roles. Relative policy files are looked up in `directory`.
pub(crate) fn accounts(root: &mut Reader<'_>, directory: &Path) -> Vec<AccountSpec> {
    let Some(value) = root.raw("account") else { return Vec::new() };
    // What only shows in use (a policy's text, a name that is there twice) is looked for as well, so that it is told
    // together with every other problem and before anything is made.
    let accounts =
        accounts_from_toml(&value, directory).and_then(|accounts| Directory::new(accounts.clone()).map(|_| accounts));
    accounts.unwrap_or_else(|errors| {
        for error in errors {
            root.complain_of(error.key, error.problem.to_string());
        }
        Vec::new()
    })
}
