//! The wire types of `kms`: those operations that OpenTrail has, the names of the others, the errors.

use std::fmt::Write;

use anyhow::{Result, ensure};

use super::HEADER;
use super::cloudtrail::{
    DIRECTORY, Side, constructor, envelopes, error_shapes, imports, operations, tables, validates,
};
use super::names::{literal, slice};
use super::shapes;
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
    let mut model = botocore.load("kms")?;
    let others: Vec<String> =
        model.operations.keys().filter(|name| !OPERATIONS.contains(&name.as_str())).cloned().collect();
    model.operations.retain(|name, _| OPERATIONS.contains(&name.as_str()));
    ensure!(model.operations.len() == OPERATIONS.len(), "the model of kms lacks an operation");

    let mut structures = envelopes(&model, Side::Input)?;
    structures.push_str(&envelopes(&model, Side::Output)?);
    structures.push_str(&shapes::structures(&model)?);
    output.rust(
        &format!("{DIRECTORY}/kms.rs"),
        &format!(
            "{HEADER}\n//! The operations of `kms`, API version {}, that OpenTrail has, and their shapes.\n\n\
             #[path = \"kms_errors.rs\"]\nmod errors;\n#[path = \"kms_shapes.rs\"]\nmod shapes;\n\
             #[path = \"kms_structures.rs\"]\nmod structures;\n\n\
             pub use errors::*;\npub use structures::*;\n\n\
             use crate::shape::{{Shape, Validate}};\n\n{}\n\
             /// The names of the service's other operations.\npub const OTHERS: &[&str] = {};\n\n{}",
            model.metadata.api_version,
            operations(&model)?,
            slice(others.iter().map(String::as_str)),
            validates(&model)?
        ),
    )?;
    output.rust(
        &format!("{DIRECTORY}/kms_structures.rs"),
        &format!("{HEADER}\n{}\n{structures}", imports(&structures)),
    )?;
    output.rust(&format!("{DIRECTORY}/kms_shapes.rs"), &tables(&model)?)?;

    let mut errors = format!("{HEADER}\nuse http::StatusCode;\n\nuse crate::Exception;\n\n");
    for name in error_shapes(&model) {
        let status = STATUSES.iter().find(|(known, _)| *known == name).map_or(400, |(_, status)| *status);
        let status = match status {
            400 => "StatusCode::BAD_REQUEST",
            500 => "StatusCode::INTERNAL_SERVER_ERROR",
            _ => "StatusCode::SERVICE_UNAVAILABLE",
        };
        writeln!(
            errors,
            "/// `{name}`.\npub fn {}(message: impl Into<String>) -> Exception {{\n    Exception::new({}, message, {status})\n}}\n",
            constructor(name),
            literal(name)
        )?;
    }
    output.rust(&format!("{DIRECTORY}/kms_errors.rs"), &errors)
}
