use crate::exchange::Endpoint;
use crate::generated::s3_operations::Level;
use crate::query::decoded_path;

/// The bucket and the key that a request names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
}

impl Address {
    /// Virtual-host style when the host is a bucket below one of the endpoint's domains or of AWS's own; else path
    /// style.
    pub(super) fn of(path: &str, host: Option<&str>, endpoint: &Endpoint) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let host = host.map(without_port).unwrap_or_default();
        if let Some(bucket) = virtual_host(host, &endpoint.s3_hosts) {
            return Self { bucket: Some(bucket.to_owned()), key: named(path) };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self { bucket: named(bucket), key: named(key) }
    }

    pub(super) fn level(&self) -> Level {
        match self {
            Self { bucket: None, .. } => Level::Service,
            Self { key: None, .. } => Level::Bucket,
            Self { .. } => Level::Object,
        }
    }
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

/// `bucket.s3.amazonaws.com`, `bucket.s3.us-east-1.amazonaws.com`, `bucket.s3-us-west-2.amazonaws.com`, dual-stack ones.
fn aws_virtual_host(host: &str) -> Option<&str> {
    let service = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let at = service.rfind(".s3.").or_else(|| service.rfind(".s3-")).or_else(|| {
        let at = service.len().checked_sub(".s3".len())?;
        service.ends_with(".s3").then_some(at)
    })?;
    service.get(..at).filter(|bucket| !bucket.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(path: &str, host: &str) -> (Option<String>, Option<String>) {
        let endpoint = Endpoint {
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            service: None,
            s3_hosts: vec!["s3.example.org".into()],
        };
        let Address { bucket, key } = Address::of(path, Some(host), &endpoint);
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
    }
}
