//! The wire types of `events`, EventBridge.

use anyhow::Result;

use super::part::{Part, generate_part};
use crate::botocore::Botocore;
use crate::output::Output;

/// The operations whose shapes are written.
const OPERATIONS: &[&str] = &[
    "CancelReplay",
    "CreateApiDestination",
    "CreateArchive",
    "CreateConnection",
    "CreateEventBus",
    "DeauthorizeConnection",
    "DeleteApiDestination",
    "DeleteArchive",
    "DeleteConnection",
    "DeleteEventBus",
    "DeleteRule",
    "DescribeApiDestination",
    "DescribeArchive",
    "DescribeConnection",
    "DescribeEventBus",
    "DescribeReplay",
    "DescribeRule",
    "DisableRule",
    "EnableRule",
    "ListApiDestinations",
    "ListArchives",
    "ListConnections",
    "ListEventBuses",
    "ListReplays",
    "ListRuleNamesByTarget",
    "ListRules",
    "ListTagsForResource",
    "ListTargetsByRule",
    "PutEvents",
    "PutPermission",
    "PutRule",
    "PutTargets",
    "RemovePermission",
    "RemoveTargets",
    "StartReplay",
    "TagResource",
    "TestEventPattern",
    "UntagResource",
    "UpdateApiDestination",
    "UpdateArchive",
    "UpdateConnection",
    "UpdateEventBus",
];

/// Errors that EventBridge answers with a status other than 400. (API Reference, "Common Errors" and each operation's
/// errors.)
const STATUSES: &[(&str, u16)] = &[("InternalException", 500)];

/// Writes the files.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    generate_part(botocore, output, &Part { service: "events", operations: OPERATIONS, statuses: STATUSES })
}
