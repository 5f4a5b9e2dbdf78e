//! The wire types of `cloudtrail` and `cloudtrail-data`: operations, inputs, outputs, structures, constraints,
//! errors.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Result;

use super::HEADER;
use super::names::{literal, screaming, slice, snake};
use super::shapes::{self, Outputs};
use crate::botocore::Botocore;
use crate::model::Model;
use crate::output::Output;

/// Where generated files of the wire go.
pub(crate) const DIRECTORY: &str = "crates/wire/src/generated";

/// Imports of the files that hold structures; which of them a file needs depends on the model.
const TYPE_IMPORTS: [(&str, &str); 4] = [
    ("BTreeMap", "use std::collections::BTreeMap;\n"),
    ("Timestamp", "use opentrail_model::Timestamp;\n"),
    ("Blob", "use crate::Blob;\n"),
    ("Serialize", "use serde::{Deserialize, Serialize};\n"),
];

/// Writes the files of both services.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    let control = botocore.load("cloudtrail")?;
    output.rust(
        &format!("{DIRECTORY}/cloudtrail.rs"),
        &format!(
            "{HEADER}\n//! The operations of `cloudtrail`, API version {}, and their shapes.\n\n\
             #[path = \"cloudtrail_inputs.rs\"]\nmod inputs;\n\
             #[path = \"cloudtrail_outputs.rs\"]\nmod outputs;\n\
             #[path = \"cloudtrail_shapes.rs\"]\nmod shapes;\n\
             #[path = \"cloudtrail_structures.rs\"]\nmod structures;\n\n\
             pub use inputs::*;\npub use outputs::*;\npub use structures::*;\n\n\
             use crate::shape::{{Shape, Validate}};\n\n{}\n{}",
            control.metadata.api_version,
            operations(&control)?,
            validates(&control)?
        ),
    )?;
    output.rust(&format!("{DIRECTORY}/cloudtrail_inputs.rs"), &types(&envelopes(&control, Side::Input)?, true))?;
    output.rust(&format!("{DIRECTORY}/cloudtrail_outputs.rs"), &types(&envelopes(&control, Side::Output)?, true))?;
    output.rust(&format!("{DIRECTORY}/cloudtrail_structures.rs"), &types(&shapes::structures(&control)?, false))?;
    output.rust(&format!("{DIRECTORY}/cloudtrail_shapes.rs"), &tables(&control)?)?;
    output.rust(&format!("{DIRECTORY}/exceptions.rs"), &exceptions(&control)?)?;

    let data = botocore.load("cloudtrail-data")?;
    let mut structures = envelopes(&data, Side::Input)?;
    structures.push_str(&envelopes(&data, Side::Output)?);
    structures.push_str(&shapes::structures(&data)?);
    output.rust(
        &format!("{DIRECTORY}/cloudtrail_data.rs"),
        &format!(
            "{HEADER}\n//! The operation of `cloudtrail-data`, API version {}, and its shapes.\n\n\
             #[path = \"cloudtrail_data_shapes.rs\"]\nmod shapes;\n\n{}\n\
             use crate::Exception;\nuse crate::shape::{{Shape, Validate}};\n\n{}\n{}\n{structures}\n{}",
            data.metadata.api_version,
            imports(&structures),
            operations(&data)?,
            validates(&data)?,
            data_exceptions(&data)?
        ),
    )?;
    output.rust(&format!("{DIRECTORY}/cloudtrail_data_shapes.rs"), &tables(&data)?)
}

/// Which way a structure goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    /// To the service.
    Input,
    /// From it.
    Output,
}

/// The structures of all operations' inputs or outputs.
pub(crate) fn envelopes(model: &Model, side: Side) -> Result<String> {
    let mut code = String::new();
    for (name, operation) in &model.operations {
        let (reference, rust, what) = match side {
            Side::Input => (&operation.input, format!("{name}Input"), format!("What `{name}` is given.")),
            Side::Output => (&operation.output, format!("{name}Output"), format!("What `{name}` answers.")),
        };
        code.push_str(&shapes::envelope(model, &rust, &what, reference.as_ref())?);
    }
    Ok(code)
}

/// A file of structures.
pub(crate) fn types(structures: &str, uses_structures: bool) -> String {
    let glob = if uses_structures { "use super::structures::*;\n" } else { "" };
    format!("{HEADER}\n{}\n{glob}\n{structures}", imports(structures))
}

pub(super) fn imports(code: &str) -> String {
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    TYPE_IMPORTS.iter().filter(|(word, _)| words.contains(word)).map(|(_, import)| *import).collect()
}

/// A file of constraint tables, of inputs.
pub(crate) fn tables(model: &Model) -> Result<String> {
    tables_of(model, Outputs::Plain)
}

/// A file of constraint tables, of inputs and perhaps of outputs.
pub(super) fn tables_of(model: &Model, outputs: Outputs) -> Result<String> {
    let tables = shapes::constraints(model, outputs)?;
    let used: Vec<&str> = ["List", "Map", "Member", "Shape", "Text", "Whole"]
        .into_iter()
        .filter(|name| tables.contains(&format!("{name}::")) || *name == "Shape")
        .collect();
    Ok(format!("{HEADER}\nuse crate::shape::{{{}}};\n\n{tables}", used.join(", ")))
}

/// The enum of the operations.
pub(crate) fn operations(model: &Model) -> Result<String> {
    let names: Vec<&str> = model.operations.keys().map(String::as_str).collect();
    let mut code = String::from(
        "/// An operation of the service.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum Operation {\n",
    );
    for name in &names {
        writeln!(code, "    /// `{name}`.\n    {name},")?;
    }
    writeln!(code, "}}\n\nimpl Operation {{\n    /// Every operation, in the order of the service model.")?;
    writeln!(code, "    pub const ALL: &'static [Self] = &[")?;
    for name in &names {
        writeln!(code, "        Self::{name},")?;
    }
    writeln!(
        code,
        "    ];\n\n    /// The name on the wire.\n    pub const fn name(self) -> &'static str {{\n        match self {{"
    )?;
    for name in &names {
        writeln!(code, "            Self::{name} => {},", literal(name))?;
    }
    writeln!(code, "        }}\n    }}\n\n    /// The operation of that name.")?;
    writeln!(code, "    pub fn from_name(name: &str) -> Option<Self> {{\n        Some(match name {{")?;
    for name in &names {
        writeln!(code, "            {} => Self::{name},", literal(name))?;
    }
    writeln!(code, "            _ => return None,\n        }})\n    }}\n")?;
    writeln!(code, "    /// The names of the errors that the operation declares, in order.")?;
    writeln!(code, "    pub const fn errors(self) -> &'static [&'static str] {{\n        match self {{")?;
    for (name, operation) in &model.operations {
        let errors: Result<BTreeSet<&str>> = operation.errors.iter().map(|e| model.error_name(&e.shape)).collect();
        writeln!(code, "            Self::{name} => {},", slice(errors?))?;
    }
    writeln!(code, "        }}\n    }}\n")?;
    writeln!(code, "    /// The constraints of the operation's input.")?;
    writeln!(code, "    pub fn input_shape(self) -> &'static Shape {{\n        match self {{")?;
    for name in &names {
        writeln!(code, "            Self::{name} => {name}Input::shape(),")?;
    }
    writeln!(code, "        }}\n    }}\n}}")?;
    Ok(code)
}

/// What ties each input to its table.
pub(crate) fn validates(model: &Model) -> Result<String> {
    let mut code = String::new();
    for (name, operation) in &model.operations {
        let table = match &operation.input {
            Some(input) => format!("&shapes::{}", screaming(&input.shape)),
            None => "&Shape::Structure(&[])".to_owned(),
        };
        writeln!(
            code,
            "impl Validate for {name}Input {{\n    fn shape() -> &'static Shape {{\n        {table}\n    }}\n}}\n"
        )?;
    }
    Ok(code)
}

/// The names that errors carry on the wire, without the two that the front layer uses with texts of its own.
fn exceptions(model: &Model) -> Result<String> {
    let names: BTreeSet<&str> = error_shapes(model).into_iter().filter(|name| !COMMON.contains(name)).collect();
    let mut code = format!(
        "{HEADER}\nuse crate::Exception;\n\n\
         /// Names of the errors that the service model defines, sorted; their text is in the member `Message`.\n\
         pub(crate) static MODELLED: &[&str] = {};\n\nimpl Exception {{\n",
        slice(names.iter().copied())
    );
    for name in names {
        writeln!(
            code,
            "    /// `{name}`, declared by {}.\n    pub fn {}(message: impl Into<String>) -> Self {{\n        \
             Self::modelled({}, message)\n    }}\n",
            declared_by(model, name),
            constructor(name),
            literal(name)
        )?;
    }
    code.push_str("}\n");
    Ok(code)
}

/// Errors that the service model defines and the front layer uses too; `Exception` has them by hand.
const COMMON: [&str; 2] = ["AccessDeniedException", "ThrottlingException"];

fn data_exceptions(model: &Model) -> Result<String> {
    let mut code = String::new();
    for name in error_shapes(model) {
        let wire = name;
        writeln!(
            code,
            "/// `{wire}` of the data plane.\npub fn {}(message: impl Into<String>) -> Exception {{\n    \
             Exception::modelled({}, message)\n}}\n",
            constructor(name),
            literal(wire)
        )?;
    }
    Ok(code)
}

pub(super) fn error_shapes(model: &Model) -> BTreeSet<&str> {
    model.operations.values().flat_map(|operation| &operation.errors).map(|error| error.shape.as_str()).collect()
}

/// `TrailNotFoundException` → `trail_not_found`.
pub(super) fn constructor(name: &str) -> String {
    snake(name.strip_suffix("Exception").unwrap_or(name))
}

fn declared_by(model: &Model, error: &str) -> String {
    let count = model.operations.values().filter(|o| o.errors.iter().any(|e| e.shape == error)).count();
    match count {
        1 => "1 operation".to_owned(),
        n => format!("{n} operations"),
    }
}
