//! The wire types of `logs`.

use anyhow::Result;

use super::part::{Part, generate_part};
use crate::botocore::Botocore;
use crate::output::Output;

/// The operations whose shapes are written.
const OPERATIONS: &[&str] = &[
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DeleteMetricFilter",
    "DeleteResourcePolicy",
    "DeleteRetentionPolicy",
    "DescribeLogGroups",
    "DescribeLogStreams",
    "DescribeMetricFilters",
    "DescribeQueries",
    "DescribeResourcePolicies",
    "FilterLogEvents",
    "GetLogEvents",
    "GetLogGroupFields",
    "GetLogRecord",
    "GetQueryResults",
    "ListLogGroups",
    "ListTagsForResource",
    "ListTagsLogGroup",
    "PutLogEvents",
    "PutLogGroupDeletionProtection",
    "PutMetricFilter",
    "PutResourcePolicy",
    "PutRetentionPolicy",
    "StartLiveTail",
    "StartQuery",
    "StopQuery",
    "TagLogGroup",
    "TagResource",
    "TestMetricFilter",
    "UntagLogGroup",
    "UntagResource",
];

/// Errors that CloudWatch Logs answers with a status other than 400. (API Reference, the errors of each operation.)
const STATUSES: &[(&str, u16)] = &[("ServiceUnavailableException", 500)];

/// Writes the files.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    generate_part(botocore, output, &Part { service: "logs", operations: OPERATIONS, statuses: STATUSES })
}
