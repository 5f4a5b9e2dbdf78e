//! The wire types of `kms`.

use anyhow::Result;

use super::part::{Part, generate_part};
use crate::botocore::Botocore;
use crate::output::Output;

/// The operations whose shapes are written.
const OPERATIONS: &[&str] = &[
    "CancelKeyDeletion",
    "CreateAlias",
    "CreateKey",
    "Decrypt",
    "DeleteAlias",
    "DescribeKey",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateRandom",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "ListAliases",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListKeys",
    "ListResourceTags",
    "PutKeyPolicy",
    "ReEncrypt",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateKeyDescription",
];

/// Errors that KMS answers with a status other than 400. (API Reference, "Common Errors" and each operation's errors.)
const STATUSES: &[(&str, u16)] =
    &[("DependencyTimeoutException", 503), ("KMSInternalException", 500), ("KeyUnavailableException", 500)];

/// Writes the files.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    generate_part(botocore, output, &Part { service: "kms", operations: OPERATIONS, statuses: STATUSES })
}
