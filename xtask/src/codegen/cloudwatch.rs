//! The wire types of `cloudwatch`, which speaks three protocols: names of errors in each, and tables of outputs, since CBOR
//! types its values.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use super::HEADER;
use super::cloudtrail::{DIRECTORY, Side, envelopes, error_shapes, imports, operations, tables_of, validates};
use super::names::{literal, screaming, slice, snake};
use super::shapes::{self, Outputs};
use crate::botocore::Botocore;
use crate::model::Model;
use crate::output::Output;

/// The operations whose shapes are written.
const OPERATIONS: &[&str] = &[
    "DeleteAlarms",
    "DescribeAlarmHistory",
    "DescribeAlarms",
    "DescribeAlarmsForMetric",
    "DisableAlarmActions",
    "EnableAlarmActions",
    "GetMetricData",
    "GetMetricStatistics",
    "ListMetrics",
    "ListTagsForResource",
    "PutCompositeAlarm",
    "PutMetricAlarm",
    "PutMetricData",
    "SetAlarmState",
    "TagResource",
    "UntagResource",
];

/// Writes the files.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    let mut model = botocore.load("cloudwatch")?;
    let others: Vec<String> =
        model.operations.keys().filter(|name| !OPERATIONS.contains(&name.as_str())).cloned().collect();
    model.operations.retain(|name, _| OPERATIONS.contains(&name.as_str()));
    ensure!(model.operations.len() == OPERATIONS.len(), "the model of cloudwatch lacks an operation");

    let mut structures = envelopes(&model, Side::Input)?;
    structures.push_str(&envelopes(&model, Side::Output)?);
    structures.push_str(&shapes::structures(&model)?);
    output.rust(
        &format!("{DIRECTORY}/cloudwatch.rs"),
        &format!(
            "{HEADER}\n//! The operations of `cloudwatch`, API version {}, that OpenTrail has, and their shapes.\n\n\
             #[path = \"cloudwatch_errors.rs\"]\npub mod errors;\n#[path = \"cloudwatch_shapes.rs\"]\nmod shapes;\n\
             #[path = \"cloudwatch_structures.rs\"]\nmod structures;\n\n\
             pub use structures::*;\n\n\
             use crate::shape::{{Shape, Validate}};\n\n{}\n{}\n\
             /// The names of the service's other operations.\npub const OTHERS: &[&str] = {};\n\n{}",
            model.metadata.api_version,
            operations(&model)?,
            output_shapes(&model)?,
            slice(others.iter().map(String::as_str)),
            validates(&model)?
        ),
    )?;
    output.rust(
        &format!("{DIRECTORY}/cloudwatch_structures.rs"),
        &format!("{HEADER}\n{}\n{structures}", imports(&structures)),
    )?;
    output.rust(&format!("{DIRECTORY}/cloudwatch_shapes.rs"), &tables_of(&model, Outputs::Tabled)?)?;
    output.rust(&format!("{DIRECTORY}/cloudwatch_errors.rs"), &errors(&model)?)
}

/// The tables of outputs, by operation.
fn output_shapes(model: &Model) -> Result<String> {
    let mut code = String::from(
        "impl Operation {\n    /// The types of the operation's output; `None` where it has none.\n    \
         pub fn output_shape(self) -> Option<&'static Shape> {\n        match self {\n",
    );
    for (name, operation) in &model.operations {
        let table = match &operation.output {
            Some(output) => format!("Some(&shapes::{})", screaming(&output.shape)),
            None => "None".to_owned(),
        };
        writeln!(code, "            Self::{name} => {table},")?;
    }
    code.push_str("        }\n    }\n}\n");
    Ok(code)
}

/// A constructor for each error: its shape, its code in the Query protocol, its status.
fn errors(model: &Model) -> Result<String> {
    let mut code = format!(
        "{HEADER}\n//! The errors of `cloudwatch`, with the names that they have in each protocol.\n\n\
         use http::StatusCode;\n\nuse crate::CodedError;\n\n"
    );
    for name in error_shapes(model) {
        let trait_ = model.shape(name)?.error.as_ref().with_context(|| format!("{name} has no error trait"))?;
        let query = if trait_.code.is_empty() { name } else { &trait_.code };
        writeln!(
            code,
            "/// `{name}`, in the Query protocol `{query}`, status {status}.\n\
             pub fn {}(message: impl Into<String>) -> CodedError {{\n    \
             CodedError::new({}, {}, StatusCode::from_u16({status}).expect(\"the model's statuses are valid\"), message)\n}}\n",
            snake(name),
            literal(name),
            literal(query),
            status = trait_.http_status_code,
        )?;
    }
    Ok(code)
}
