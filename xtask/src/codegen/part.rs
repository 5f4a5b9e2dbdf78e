//! The wire types of a service of which OpenTrail has a part: those operations, the names of the others, the errors.

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

/// Which part.
pub(super) struct Part {
    /// The service's model.
    pub(super) service: &'static str,
    /// The operations whose shapes are written.
    pub(super) operations: &'static [&'static str],
    /// Errors that the service answers with a status other than 400.
    pub(super) statuses: &'static [(&'static str, u16)],
}

/// Writes the files.
pub(super) fn generate_part(botocore: &Botocore, output: &mut Output, part: &Part) -> Result<()> {
    let Part { service, operations: wanted, statuses } = *part;
    let mut model = botocore.load(service)?;
    let others: Vec<String> =
        model.operations.keys().filter(|name| !wanted.contains(&name.as_str())).cloned().collect();
    model.operations.retain(|name, _| wanted.contains(&name.as_str()));
    ensure!(model.operations.len() == wanted.len(), "the model of {service} lacks an operation");

    let mut structures = envelopes(&model, Side::Input)?;
    structures.push_str(&envelopes(&model, Side::Output)?);
    structures.push_str(&shapes::structures(&model)?);
    output.rust(
        &format!("{DIRECTORY}/{service}.rs"),
        &format!(
            "{HEADER}\n//! The operations of `{service}`, API version {}, that OpenTrail has, and their shapes.\n\n\
             #[path = \"{service}_errors.rs\"]\nmod errors;\n#[path = \"{service}_shapes.rs\"]\nmod shapes;\n\
             #[path = \"{service}_structures.rs\"]\nmod structures;\n\n\
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
        &format!("{DIRECTORY}/{service}_structures.rs"),
        &format!("{HEADER}\n{}\n{structures}", imports(&structures)),
    )?;
    output.rust(&format!("{DIRECTORY}/{service}_shapes.rs"), &tables(&model)?)?;

    let mut errors = format!("{HEADER}\nuse http::StatusCode;\n\nuse crate::Exception;\n\n");
    for name in error_shapes(&model) {
        let status = statuses.iter().find(|(known, _)| *known == name).map_or(400, |(_, status)| *status);
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
    output.rust(&format!("{DIRECTORY}/{service}_errors.rs"), &errors)
}
