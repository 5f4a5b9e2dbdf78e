//! The wire types of the operations of `iam` that are built, the names of the others, its errors; and for the recorder
//! the types of all of IAM's members, since a form says everything as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};

use super::HEADER;
use super::cloudtrail::{DIRECTORY, Side, envelopes, operations, tables, types, validates};
use super::names::{literal, slice, snake};
use super::shapes;
use crate::botocore::Botocore;
use crate::model::{Kind, Model};
use crate::output::Output;

/// The operations that the server answers.
const BUILT: &[&str] = &[
    "AddUserToGroup",
    "AttachGroupPolicy",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "ChangePassword",
    "CreateAccessKey",
    "CreateAccountAlias",
    "CreateGroup",
    "CreateLoginProfile",
    "CreatePolicy",
    "CreatePolicyVersion",
    "CreateRole",
    "CreateUser",
    "DeleteAccessKey",
    "DeleteAccountAlias",
    "DeleteGroup",
    "DeleteGroupPolicy",
    "DeleteLoginProfile",
    "DeletePolicy",
    "DeletePolicyVersion",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DeleteUser",
    "DeleteUserPermissionsBoundary",
    "DeleteUserPolicy",
    "DetachGroupPolicy",
    "DetachRolePolicy",
    "DetachUserPolicy",
    "GetAccessKeyLastUsed",
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "GetGroup",
    "GetGroupPolicy",
    "GetLoginProfile",
    "GetPolicy",
    "GetPolicyVersion",
    "GetRole",
    "GetRolePolicy",
    "GetUser",
    "GetUserPolicy",
    "ListAccessKeys",
    "ListAccountAliases",
    "ListAttachedGroupPolicies",
    "ListAttachedRolePolicies",
    "ListAttachedUserPolicies",
    "ListEntitiesForPolicy",
    "ListGroupPolicies",
    "ListGroups",
    "ListGroupsForUser",
    "ListInstanceProfilesForRole",
    "ListMFADevices",
    "ListPolicies",
    "ListPolicyTags",
    "ListPolicyVersions",
    "ListRolePolicies",
    "ListRoleTags",
    "ListRoles",
    "ListSSHPublicKeys",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
    "ListUserPolicies",
    "ListUserTags",
    "ListUsers",
    "PutGroupPolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "PutUserPermissionsBoundary",
    "PutUserPolicy",
    "RemoveUserFromGroup",
    "SetDefaultPolicyVersion",
    "TagPolicy",
    "TagRole",
    "TagUser",
    "UntagPolicy",
    "UntagRole",
    "UntagUser",
    "UpdateAccessKey",
    "UpdateAssumeRolePolicy",
    "UpdateGroup",
    "UpdateLoginProfile",
    "UpdateRole",
    "UpdateRoleDescription",
    "UpdateUser",
];

/// Writes the files of the wire and of the recorder.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    let mut model = botocore.load("iam")?;
    output.rust("crates/recorder/src/generated/iam.rs", &members(&model)?)?;

    let others: Vec<String> = model.operations.keys().filter(|name| !BUILT.contains(&name.as_str())).cloned().collect();
    let missing = BUILT.iter().find(|name| !model.operations.contains_key(**name));
    missing.map_or(Ok(()), |name| Err(anyhow::anyhow!("IAM has no operation {name}")))?;
    let errors = errors(&model, "iam", BUILT)?;
    model.operations.retain(|name, _| BUILT.contains(&name.as_str()));
    output.rust(
        &format!("{DIRECTORY}/iam.rs"),
        &format!(
            "{HEADER}\n//! The operations of `iam` that are built, API version {}, and their shapes.\n\n\
             #[path = \"iam_errors.rs\"]\npub mod errors;\n\
             #[path = \"iam_inputs.rs\"]\nmod inputs;\n\
             #[path = \"iam_outputs.rs\"]\nmod outputs;\n\
             #[path = \"iam_shapes.rs\"]\nmod shapes;\n\
             #[path = \"iam_structures.rs\"]\nmod structures;\n\n\
             pub use inputs::*;\npub use outputs::*;\npub use structures::*;\n\n\
             use crate::shape::{{Shape, Validate}};\n\n{}\n{}\n\
             /// The operations of the service that are not built.\npub const NOT_BUILT: &[&str] = {};\n",
            model.metadata.api_version,
            operations(&model)?,
            validates(&model)?,
            slice(others.iter().map(String::as_str)),
        ),
    )?;
    output.rust(&format!("{DIRECTORY}/iam_inputs.rs"), &types(&envelopes(&model, Side::Input)?, true))?;
    output.rust(&format!("{DIRECTORY}/iam_outputs.rs"), &types(&envelopes(&model, Side::Output)?, true))?;
    output.rust(&format!("{DIRECTORY}/iam_structures.rs"), &types(&shapes::structures(&model)?, false))?;
    output.rust(&format!("{DIRECTORY}/iam_shapes.rs"), &tables(&model)?)?;
    output.rust(&format!("{DIRECTORY}/iam_errors.rs"), &errors)
}

/// A constructor for each error that an operation which is built declares.
pub(super) fn errors(model: &Model, service: &str, built: &[&str]) -> Result<String> {
    let mut code = format!(
        "{HEADER}\n//! The errors of `{service}`, with the codes and statuses that they have on the wire.\n\n\
         use http::StatusCode;\n\nuse crate::sigv4::QueryError;\n\n"
    );
    for name in declared(model, |operation| built.contains(&operation)) {
        let trait_ = model.shape(name)?.error.as_ref().with_context(|| format!("{name} has no code"))?;
        writeln!(
            code,
            "/// `{}`, status {}.\npub fn {}(message: impl Into<String>) -> QueryError {{\n    \
             QueryError::new({}, message, StatusCode::from_u16({}).expect(\"the model's statuses are valid\"))\n}}\n",
            trait_.code,
            trait_.http_status_code,
            snake(name.strip_suffix("Exception").unwrap_or(name)),
            literal(&trait_.code),
            trait_.http_status_code,
        )?;
    }
    Ok(code)
}

fn declared(model: &Model, wanted: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let operations = model.operations.iter().filter(|(name, _)| wanted(name));
    operations.flat_map(|(_, operation)| &operation.errors).map(|error| error.shape.as_str()).collect()
}

/// What the recorder must know: members by name that are not text, those that are secret, and errors by code.
fn members(model: &Model) -> Result<String> {
    let mut kinds: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
    let mut secret = BTreeSet::new();
    for shape in model.shapes.values().filter(|shape| shape.kind == Kind::Structure) {
        for (name, reference) in &shape.members {
            let target = model.shape(&reference.shape)?;
            if target.sensitive {
                secret.insert(name.as_str());
            }
            kinds.entry(name).or_default().insert(match target.kind {
                Kind::Boolean => "BOOLEANS",
                Kind::Integer | Kind::Long => "WHOLES",
                Kind::Timestamp => "TIMES",
                _ => "other",
            });
        }
    }
    let mut code =
        format!("{HEADER}\n//! IAM's members by name: those that are not text, and those that are secret.\n\n");
    for (table, what) in [
        ("BOOLEANS", "Members that are `true` or `false`"),
        ("WHOLES", "Members that are whole numbers"),
        ("TIMES", "Members that are times"),
    ] {
        let of_kind = kinds.iter().filter(|(_, of)| of.len() == 1 && of.contains(table)).map(|(name, _)| *name);
        writeln!(code, "/// {what}, sorted.\npub(crate) static {table}: &[&str] = {};\n", slice(of_kind))?;
    }
    let secret = slice(secret);
    writeln!(code, "/// Members that are secret, sorted.\npub(crate) static SECRET: &[&str] = {secret};\n")?;
    writeln!(code, "/// Errors: the code on the wire, and the name in the model; sorted.")?;
    writeln!(code, "pub(crate) static ERRORS: &[(&str, &str)] = &[")?;
    let mut errors = BTreeMap::new();
    for name in declared(model, |_| true) {
        if let Some(trait_) = &model.shape(name)?.error {
            errors.insert(trait_.code.as_str(), name);
        }
    }
    for (wire, name) in errors {
        writeln!(code, "    ({}, {}),", literal(wire), literal(name))?;
    }
    code.push_str("];\n");
    Ok(code)
}
