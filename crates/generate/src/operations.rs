//! What operations there are, by name and by service.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Names of events that are no operations of a service's API.
const EVENTS: &[(&str, &str)] = &[
    ("ConsoleLogin", "signin"),
    ("SwitchRole", "signin"),
    ("ExitRole", "signin"),
    ("RenewRole", "signin"),
    ("CheckMfa", "signin"),
    ("PasswordRecoveryRequested", "signin"),
    ("PasswordRecoveryCompleted", "signin"),
    ("PutAuditEvents", "cloudtrail-data"),
    ("RotateKey", "kms"),
    ("DeleteKey", "kms"),
    ("RotationSucceeded", "secretsmanager"),
    ("RotationFailed", "secretsmanager"),
    ("SecretVersionDeletion", "secretsmanager"),
    // S3 records some operations under other names than its API has. (S3 User Guide, "Amazon S3 CloudTrail events".)
    ("GetBucketPublicAccessBlock", "s3"),
    ("PutBucketPublicAccessBlock", "s3"),
    ("DeleteBucketPublicAccessBlock", "s3"),
    ("GetAccountPublicAccessBlock", "s3"),
    ("PutAccountPublicAccessBlock", "s3"),
    ("DeleteAccountPublicAccessBlock", "s3"),
    ("GetBucketLifecycle", "s3"),
    ("PutBucketLifecycle", "s3"),
    ("GetBucketNotification", "s3"),
    ("PutBucketNotification", "s3"),
    ("GetBucketReplication", "s3"),
    ("PutBucketReplication", "s3"),
];

/// An operation: the name of its events, and the services that have one of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) sources: Vec<&'static str>,
}

struct Operations {
    by_lower: HashMap<String, Vec<Operation>>,
    sources: Vec<&'static str>,
}

static OPERATIONS: LazyLock<Operations> = LazyLock::new(|| {
    let mut by_lower: HashMap<String, Vec<Operation>> = HashMap::new();
    let mut sources = Vec::new();
    let mut add = |name: &'static str, source: &'static str| {
        let same = by_lower.entry(name.to_lowercase()).or_default();
        match same.iter_mut().find(|operation| operation.name == name) {
            Some(operation) if operation.sources.contains(&source) => {}
            Some(operation) => operation.sources.push(source),
            None => same.push(Operation { name, sources: vec![source] }),
        }
    };
    let mut source = "";
    for line in include_str!("generated/operations.txt").lines() {
        match line.strip_prefix('@') {
            Some(name) => {
                source = name;
                sources.push(name);
            }
            None if line.starts_with('#') => {}
            None => line.split(' ').for_each(|name| add(name, source)),
        }
    }
    for (name, source) in EVENTS {
        add(name, source);
    }
    sources.push("signin");
    Operations { by_lower, sources }
});

/// The operations whose name is `name` but for capitals: those of `source` alone if it is given and has one.
pub(crate) fn named(name: &str, source: Option<&str>) -> Vec<Operation> {
    let all = OPERATIONS.by_lower.get(&name.to_lowercase()).cloned().unwrap_or_default();
    match source {
        None => all,
        Some(source) => {
            let of_source = all.iter().filter(|operation| operation.sources.contains(&source));
            of_source.map(|operation| Operation { name: operation.name, sources: operations_source(source) }).collect()
        }
    }
}

fn operations_source(source: &str) -> Vec<&'static str> {
    OPERATIONS.sources.iter().copied().filter(|one| *one == source).collect()
}

/// The operation that is spelled `name`, with its capitals.
pub(crate) fn spelled(name: &str) -> Option<Operation> {
    named(name, None).into_iter().find(|operation| operation.name == name)
}

/// The source as the list has it.
pub(crate) fn source(name: &str) -> Option<&'static str> {
    OPERATIONS.sources.iter().copied().find(|source| *source == name)
}

impl Operation {
    /// Services that put a version behind the names of their events, as `DeleteFunction20150331`. (Lambda Developer
    /// Guide, "Logging Lambda API calls"; CloudFront Developer Guide, likewise.)
    pub(crate) fn is_versioned(&self) -> bool {
        self.sources.iter().any(|source| matches!(*source, "lambda" | "cloudfront"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_name_and_service() {
        assert_eq!(named("deletebucket", Some("s3"))[0].sources, ["s3"]);
        assert!(named("createcluster", None)[0].sources.len() > 2);
        assert_eq!(named("CreateCluster", Some("eks")).len(), 1);
        assert!(named("deletebucket", Some("ec2")).is_empty());
        assert!(spelled("DeleteBucket").is_some() && spelled("Deletebucket").is_none());
        assert!(spelled("DeleteFunction").unwrap().is_versioned());
    }
}
