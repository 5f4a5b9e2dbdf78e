use crate::exchange::Endpoint;
use crate::generated::s3_operations::Level;
use crate::query::decoded_path;

/// The bucket, or the access point to one, and the key that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The bucket's name, or the access point's ARN.
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
    /// Present when `bucket` is an access point.
    pub(super) access_point: Option<AccessPoint>,
}

/// An access point: which bucket is behind it is not in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessPoint {
    pub(super) arn: String,
    pub(super) account: String,
    pub(super) kind: AccessPointKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessPointKind {
    Plain,
    /// One that answers with what a function makes of the objects.
    ObjectLambda,
    /// One before buckets in several Regions.
    MultiRegion,
}

impl Address {
    /// Virtual-host style when the host is a bucket below one of the endpoint's domains or of AWS's own, or one of
    /// AWS's access points; else path style, where the bucket may be an access point's ARN.
    pub(super) fn of(path: &str, host: Option<&str>, endpoint: &Endpoint) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let host = host.map(without_port).unwrap_or_default();
        if let Some(found) = AccessPoint::of_host(host, endpoint) {
            return Self::through(found, named(path));
        }
        if let Some(bucket) = virtual_host(host, &endpoint.s3_hosts) {
            return Self { bucket: Some(bucket.to_owned()), key: named(path), access_point: None };
        }
        if let Some((found, key)) = AccessPoint::of_path(path) {
            return Self::through(found, key);
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self { bucket: named(bucket), key: named(key), access_point: None }
    }

    fn through(access_point: AccessPoint, key: Option<String>) -> Self {
        Self { bucket: Some(access_point.arn.clone()), key, access_point: Some(access_point) }
    }

    pub(super) fn level(&self) -> Level {
        match self {
            Self { bucket: None, .. } => Level::Service,
            Self { key: None, .. } => Level::Bucket,
            Self { .. } => Level::Object,
        }
    }
}

impl AccessPoint {
    /// `name-111122223333.s3-accesspoint.us-east-1.amazonaws.com`, the same with `s3-object-lambda`, and
    /// `alias.mrap.accesspoint.s3-global.amazonaws.com`. (S3 User Guide, "Using your access points".)
    fn of_host(host: &str, endpoint: &Endpoint) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let partition = if host.ends_with(".cn") { "aws-cn" } else { endpoint.region.partition() };
        let host = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
        if let Some(alias) = host.strip_suffix(".accesspoint.s3-global") {
            let account = endpoint.account.to_string();
            let arn = format!("arn:{partition}:s3::{account}:accesspoint/{alias}");
            return alias.ends_with(".mrap").then_some(Self { arn, account, kind: AccessPointKind::MultiRegion });
        }
        let (label, rest) = host.split_once('.')?;
        let region = rest.rsplit('.').next()?;
        let (service, kind) = match rest.split('.').next()? {
            "s3-accesspoint" | "s3-accesspoint-fips" => ("s3", AccessPointKind::Plain),
            "s3-object-lambda" | "s3-object-lambda-fips" => ("s3-object-lambda", AccessPointKind::ObjectLambda),
            _ => return None,
        };
        let (name, account) = label.rsplit_once('-')?;
        let arn = format!("arn:{partition}:{service}:{region}:{account}:accesspoint/{name}");
        is_account(account).then(|| Self { arn, account: account.to_owned(), kind })
    }

    /// `arn:aws:s3:us-east-1:111122223333:accesspoint/name/key`, the slash or colon before the name encoded or not.
    fn of_path(path: &str) -> Option<(Self, Option<String>)> {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let first = decoded_path(first);
        let parts: Vec<&str> = first.splitn(6, ':').collect();
        let ["arn", _, service, region, account, resource] = parts[..] else { return None };
        let kind = match (service, region) {
            ("s3", "") => AccessPointKind::MultiRegion,
            ("s3", _) => AccessPointKind::Plain,
            ("s3-object-lambda", _) => AccessPointKind::ObjectLambda,
            _ => return None,
        };
        let (name, key) = match resource.strip_prefix("accesspoint")? {
            "" => rest.split_once('/').unwrap_or((rest, "")),
            named => (named.strip_prefix(['/', ':'])?, rest),
        };
        let (name, prefix) = (decoded_path(name), first.strip_suffix(resource)?);
        let good = is_account(account) && !name.is_empty();
        let arn = format!("{prefix}accesspoint/{name}");
        good.then(|| (Self { arn, account: account.to_owned(), kind }, named(key)))
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn named(part: &str) -> Option<String> {
    (!part.is_empty()).then(|| decoded_path(part))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn virtual_host<'a>(host: &'a str, domains: &[String]) -> Option<&'a str> {
    let below = |domain: &str| {
        let at = host.len().checked_sub(domain.len())?;
        let (head, tail) = (host.get(..at)?, host.get(at..)?);
        if tail.eq_ignore_ascii_case(domain) {
            head.strip_suffix('.').filter(|bucket| !bucket.is_empty())
        } else {
            None
        }
    };
    domains.iter().find_map(|domain| below(domain)).or_else(|| aws_virtual_host(host))
}

/// `bucket.s3.amazonaws.com`, `bucket.s3.us-east-1.amazonaws.com`, `bucket.s3-us-west-2.amazonaws.com`, dual-stack
/// ones, and those of VPC endpoints, `bucket.bucket.vpce-1a2b3c4d.s3.us-east-1.vpce.amazonaws.com`.
fn aws_virtual_host(host: &str) -> Option<&str> {
    let service = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    if service.ends_with(".vpce") {
        return service.split_once(".bucket.vpce-").map(|(bucket, _)| bucket).filter(|bucket| !bucket.is_empty());
    }
    let at = service.rfind(".s3.").or_else(|| service.rfind(".s3-")).or_else(|| {
        let at = service.len().checked_sub(".s3".len())?;
        service.ends_with(".s3").then_some(at)
    })?;
    service.get(..at).filter(|bucket| !bucket.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            service: None,
            s3_hosts: vec!["s3.example.org".into()],
        }
    }

    fn address(path: &str, host: &str) -> (Option<String>, Option<String>) {
        let Address { bucket, key, .. } = Address::of(path, Some(host), &endpoint());
        (bucket, key)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn both_styles_name_bucket_and_key() {
        assert_eq!(address("/b/a/k%20x", "127.0.0.1:9000"), (some("b"), some("a/k x")));
        assert_eq!(address("/b/", "s3.example.org"), (some("b"), None));
        assert_eq!(address("/", "s3.example.org:443"), (None, None));
        assert_eq!(address("/a/k", "my.bucket.S3.example.org:443"), (some("my.bucket"), some("a/k")));
        assert_eq!(address("//k", "b.s3.amazonaws.com"), (some("b"), some("/k")));
        assert_eq!(address("/k", "b.s3.eu-west-1.amazonaws.com"), (some("b"), some("k")));
        assert_eq!(address("/k", "s3.eu-west-1.amazonaws.com"), (some("k"), None));
        assert_eq!(address("/", "b.s3-us-west-2.amazonaws.com"), (some("b"), None));
        assert_eq!(address("/k", "b.bucket.vpce-0a-1.s3.us-east-1.vpce.amazonaws.com"), (some("b"), some("k")));
        assert_eq!(address("/b/k", "bucket.vpce-0a-1.s3.us-east-1.vpce.amazonaws.com"), (some("b"), some("k")));
    }

    #[test]
    fn access_points_are_told_by_host_and_by_arn() {
        let plain = "arn:aws:s3:us-west-2:444455556666:accesspoint/my-point";
        let lambda = "arn:aws:s3-object-lambda:us-west-2:444455556666:accesspoint/my-point";
        let many = "arn:aws:s3::111122223333:accesspoint/m1.mrap";
        let host = "127.0.0.1";
        for (path, host, arn, key, kind) in [
            (
                "/a/k",
                "my-point-444455556666.s3-accesspoint.us-west-2.amazonaws.com",
                plain,
                "a/k",
                AccessPointKind::Plain,
            ),
            (
                "/a/k",
                "my-point-444455556666.s3-accesspoint.dualstack.us-west-2.amazonaws.com",
                plain,
                "a/k",
                AccessPointKind::Plain,
            ),
            (
                "/k",
                "my-point-444455556666.s3-object-lambda.us-west-2.amazonaws.com",
                lambda,
                "k",
                AccessPointKind::ObjectLambda,
            ),
            ("/k", "m1.mrap.accesspoint.s3-global.amazonaws.com", many, "k", AccessPointKind::MultiRegion),
            (
                "/arn%3Aaws%3As3%3Aus-west-2%3A444455556666%3Aaccesspoint%2Fmy-point/a/k",
                host,
                plain,
                "a/k",
                AccessPointKind::Plain,
            ),
            ("/arn:aws:s3:us-west-2:444455556666:accesspoint/my-point/a/k", host, plain, "a/k", AccessPointKind::Plain),
            ("/arn:aws:s3:us-west-2:444455556666:accesspoint:my-point/a/k", host, plain, "a/k", AccessPointKind::Plain),
            ("/arn:aws:s3::111122223333:accesspoint/m1.mrap/k", host, many, "k", AccessPointKind::MultiRegion),
        ] {
            let found = Address::of(path, Some(host), &endpoint());
            assert_eq!((found.bucket.as_deref(), found.key.as_deref()), (Some(arn), Some(key)), "{path} {host}");
            assert_eq!(found.access_point.unwrap().kind, kind, "{path} {host}");
        }
        // A bucket may be called so, and an ARN that is none is a bucket's name that S3 will refuse.
        assert_eq!(address("/accesspoint/k", host), (some("accesspoint"), some("k")));
        assert_eq!(address("/arn:aws:s3:::b/k", host), (some("arn:aws:s3:::b"), some("k")));
    }
}
