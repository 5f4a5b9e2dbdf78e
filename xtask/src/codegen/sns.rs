//! The wire types of `sns`.

use anyhow::{Result, ensure};

use super::HEADER;
use super::cloudtrail::{DIRECTORY, Side, envelopes, operations, tables, types, validates};
use super::names::slice;
use super::{iam, shapes};
use crate::botocore::Botocore;
use crate::output::Output;

/// The operations that the server answers.
const BUILT: &[&str] = &[
    "AddPermission",
    "ConfirmSubscription",
    "CreateTopic",
    "DeleteTopic",
    "GetSubscriptionAttributes",
    "GetTopicAttributes",
    "ListSubscriptions",
    "ListSubscriptionsByTopic",
    "ListTagsForResource",
    "ListTopics",
    "Publish",
    "PublishBatch",
    "RemovePermission",
    "SetSubscriptionAttributes",
    "SetTopicAttributes",
    "Subscribe",
    "TagResource",
    "Unsubscribe",
    "UntagResource",
];

/// Writes the files.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    let mut model = botocore.load("sns")?;
    let others: Vec<String> = model.operations.keys().filter(|name| !BUILT.contains(&name.as_str())).cloned().collect();
    let errors = iam::errors(&model, "sns", BUILT)?;
    model.operations.retain(|name, _| BUILT.contains(&name.as_str()));
    ensure!(model.operations.len() == BUILT.len(), "the model of sns lacks an operation");

    let mut structures = envelopes(&model, Side::Input)?;
    structures.push_str(&envelopes(&model, Side::Output)?);
    structures.push_str(&shapes::structures(&model)?);
    output.rust(
        &format!("{DIRECTORY}/sns.rs"),
        &format!(
            "{HEADER}\n//! The operations of `sns`, API version {}, that OpenTrail has, and their shapes.\n\n\
             #[path = \"sns_errors.rs\"]\npub mod errors;\n#[path = \"sns_shapes.rs\"]\nmod shapes;\n\
             #[path = \"sns_structures.rs\"]\nmod structures;\n\npub use structures::*;\n\n\
             use crate::shape::{{Shape, Validate}};\n\n{}\n{}\n\
             /// The names of the service's other operations.\npub const OTHERS: &[&str] = {};\n",
            model.metadata.api_version,
            operations(&model)?,
            validates(&model)?,
            slice(others.iter().map(String::as_str)),
        ),
    )?;
    output.rust(&format!("{DIRECTORY}/sns_structures.rs"), &types(&structures, false))?;
    output.rust(&format!("{DIRECTORY}/sns_shapes.rs"), &tables(&model)?)?;
    output.rust(&format!("{DIRECTORY}/sns_errors.rs"), &errors)
}
