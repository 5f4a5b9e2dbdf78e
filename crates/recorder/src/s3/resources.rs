//! The resources of a call. (S3 User Guide, "Amazon S3 CloudTrail events" and "Example: log file entries".)

use opentrail_model::Region;
use serde_json::{Value, json};

use super::address::{AccessPointKind, Address};
use crate::draft::header;
use crate::exchange::{Endpoint, Exchange};
use crate::generated::s3_operations::Level;
use crate::query::decoded_path;

/// A data event names its object, or the set of them, and the bucket; a management event the bucket. A copy names its
/// source in the same way behind them, as far as it is known: whose that bucket is does not stand in the request.
pub(super) fn of(exchange: &Exchange, region: &Region, address: &Address, management: bool) -> Vec<Value> {
    let endpoint = Endpoint { region: region.clone(), ..exchange.endpoint.clone() };
    let owner = endpoint.account.to_string();
    let mut resources = named(address, &endpoint, Some(&owner), management);
    if let Some(source) = copy_source(exchange).filter(|_| address.level() == Level::Object) {
        resources.extend(named(&source, &endpoint, None, management));
    }
    resources
}

/// What `x-amz-copy-source` names: `bucket/key`, `/bucket/key`, or an access point's ARN with `/object/key`, encoded,
/// with or without a version.
pub(super) fn copy_source(exchange: &Exchange) -> Option<Address> {
    let source = header(&exchange.request_headers, "x-amz-copy-source")?;
    let source = source.split_once("?versionId=").map_or(&*source, |(source, _)| source);
    // The slash between bucket and key may be encoded, too.
    let source = decoded_path(source.strip_prefix('/').unwrap_or(source));
    let through = source.starts_with("arn:").then(|| source.split_once("/object/")).flatten();
    let plain = Endpoint { s3_hosts: Vec::new(), ..exchange.endpoint.clone() };
    let mut address = match through {
        Some((arn, _)) => Address::of(&encoded(arn), None, &plain),
        None => Address::of(&encoded(&source), None, &plain),
    };
    if let Some((_, key)) = through {
        address.key = Some(key.to_owned());
    }
    (address.level() == Level::Object).then_some(address)
}

/// What is decoded already is decoded only once.
fn encoded(text: &str) -> String {
    text.replace('%', "%25")
}

/// The ARN of the bucket, or of the access point to it.
pub(super) fn container(address: &Address, endpoint: &Endpoint) -> Option<String> {
    match (&address.access_point, &address.bucket) {
        (Some(access_point), _) => Some(access_point.arn.clone()),
        (None, Some(bucket)) if is_directory(bucket) => {
            let Endpoint { region, account, .. } = endpoint;
            Some(format!("arn:{}:s3express:{region}:{account}:bucket/{bucket}", region.partition()))
        }
        (None, Some(bucket)) => Some(format!("arn:{}:s3:::{bucket}", endpoint.region.partition())),
        (None, None) => None,
    }
}

/// The ARN of the object, or of all of them when there is no key.
pub(super) fn object(container: &str, address: &Address) -> String {
    let key = address.key.as_deref().unwrap_or_default();
    match &address.access_point {
        Some(_) => format!("{container}/object/{key}"),
        None => format!("{container}/{key}"),
    }
}

/// A directory bucket of S3 Express.
fn is_directory(bucket: &str) -> bool {
    bucket.ends_with("--x-s3")
}

fn named(address: &Address, endpoint: &Endpoint, owner: Option<&str>, management: bool) -> Vec<Value> {
    let Some(container) = container(address, endpoint) else { return Vec::new() };
    let directory = address.access_point.is_none() && address.bucket.as_deref().is_some_and(is_directory);
    let mut resources = Vec::with_capacity(2);
    if !management {
        let kind = if directory { "AWS::S3Express::Object" } else { "AWS::S3::Object" };
        let name = if address.key.is_some() { "ARN" } else { "ARNPrefix" };
        resources.push(json!({ "type": kind, name: object(&container, address) }));
    }
    let kind = match &address.access_point {
        Some(point) if point.kind == AccessPointKind::ObjectLambda => "AWS::S3ObjectLambda::AccessPoint",
        Some(_) => "AWS::S3::AccessPoint",
        None if directory => "AWS::S3Express::DirectoryBucket",
        None => "AWS::S3::Bucket",
    };
    let account = address.access_point.as_ref().map(|point| point.account.as_str()).or(owner);
    resources.push(match account {
        Some(account) => json!({ "accountId": account, "type": kind, "ARN": container }),
        None => json!({ "type": kind, "ARN": container }),
    });
    resources
}
