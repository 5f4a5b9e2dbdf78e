//! How the resources of CloudTrail Lake are named: an account, a Region and an id.

use opentrail_model::{AccountId, Arn, Region};
use uuid::Uuid;

/// The ARN of the resource of this `kind`.
pub(crate) fn arn(kind: &str, account: AccountId, region: &Region, id: Uuid) -> Arn {
    let text = format!("arn:{}:cloudtrail:{region}:{account}:{kind}/{id}", region.partition());
    text.parse().expect("a partition, a Region and an account make an ARN")
}

/// Reads the ARN of a resource of this `kind` in `partition`.
pub(crate) fn from_arn(kind: &str, text: &str, partition: &str) -> Option<(AccountId, Region, Uuid)> {
    let arn: Arn = text.parse().ok()?;
    let id = arn.resource().strip_prefix(kind)?.strip_prefix('/')?;
    let named = (arn.account().parse().ok()?, arn.region().parse().ok()?, parse_id(id)?);
    (arn.service() == "cloudtrail" && arn.partition() == partition).then_some(named)
}

/// Reads `account/region/id`, as documents are keyed.
pub(crate) fn from_text(text: &str) -> Option<(AccountId, Region, Uuid)> {
    let mut parts = text.split('/');
    let named = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parse_id(parts.next()?)?);
    parts.next().is_none().then_some(named)
}

/// Reads an id as it is written in ARNs: 36 characters, of which letters are small.
fn parse_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}
