//! The table by which the recorder recognises the operations of services that speak awsJson 1.0 or 1.1.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};

use super::HEADER;
use super::names::{literal, slice};
use crate::botocore::Botocore;
use crate::model::{Kind, Model};
use crate::output::Output;

const TYPES: &str = "\
/// One service behind an `X-Amz-Target` prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonService {
    /// What stands before the last dot of the target.
    pub(crate) target_prefix: &'static str,
    /// CloudTrail's `eventSource`.
    pub(crate) event_source: &'static str,
    /// CloudTrail's `apiVersion`, a date.
    pub(crate) api_version: &'static str,
    /// The service in the credential scope.
    pub(crate) signing_name: &'static str,
    /// The operations, sorted.
    pub(crate) operations: &'static [&'static str],
    /// Sensitive members of inputs as `Operation.Member.Member`, sorted. Lists and maps add nothing to the path:
    /// everything under such a member is sensitive.
    pub(crate) sensitive_input: &'static [&'static str],
    /// Sensitive members of outputs, in the same form.
    pub(crate) sensitive_output: &'static [&'static str],
}
";

/// Where CloudTrail's `eventSource` is not the signing name, by name of the service model. Sources: the example
/// records in the services' own guides ("Logging … API calls with AWS CloudTrail") and EventBridge's reference of
/// service events. That of `marketplace-entitlement` follows its siblings; no record of it was seen.
const EVENT_SOURCES: [(&str, &str); 6] = [
    ("application-autoscaling", "autoscaling"),
    ("autoscaling-plans", "autoscaling"),
    ("iotsecuredtunneling", "iotsecuredtunneling"),
    ("marketplace-agreement", "agreement-marketplace"),
    ("marketplace-entitlement", "entitlement-marketplace"),
    ("meteringmarketplace", "metering-marketplace"),
];

#[derive(Default)]
struct Row {
    event_source: String,
    api_version: String,
    signing_name: String,
    operations: BTreeSet<String>,
    input: BTreeSet<String>,
    output: BTreeSet<String>,
}

/// Writes the table into the recorder.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for service in botocore.services()? {
        let model = botocore.load(&service)?;
        if !model.speaks("json") {
            continue;
        }
        let prefix = model.metadata.target_prefix.clone().with_context(|| format!("{service} has no targetPrefix"))?;
        // Two models may share a prefix (Timestream's query and write halves): their operations are told apart.
        let row = rows.entry(prefix).or_default();
        row.event_source = format!("{}.amazonaws.com", event_source(&service, &model));
        row.api_version = model.metadata.api_version.clone();
        row.signing_name = model.signing_name().to_owned();
        for (name, operation) in &model.operations {
            row.operations.insert(name.clone());
            if let Some(input) = &operation.input {
                sensitive(&model, &input.shape, name, &mut Vec::new(), &mut row.input)?;
            }
            if let Some(output) = &operation.output {
                sensitive(&model, &output.shape, name, &mut Vec::new(), &mut row.output)?;
            }
        }
    }
    output.rust("crates/recorder/src/generated/json_services.rs", &table(&rows)?)
}

fn table(rows: &BTreeMap<String, Row>) -> Result<String> {
    let mut code = format!("{HEADER}\n{TYPES}\n/// Every such service, sorted by target prefix.\n");
    code.push_str("pub(crate) static JSON_SERVICES: &[JsonService] = &[\n");
    for (prefix, row) in rows {
        writeln!(
            code,
            "JsonService {{ target_prefix: {}, event_source: {}, api_version: {}, signing_name: {}, operations: {}, \
             sensitive_input: {}, sensitive_output: {} }},",
            literal(prefix),
            literal(&row.event_source),
            literal(&row.api_version),
            literal(&row.signing_name),
            slice(row.operations.iter().map(String::as_str)),
            slice(row.input.iter().map(String::as_str)),
            slice(row.output.iter().map(String::as_str)),
        )?;
    }
    code.push_str("];\n");
    Ok(code)
}

/// The `eventSource` of a service, without its domain.
pub(super) fn event_source<'a>(service: &str, model: &'a Model) -> &'a str {
    EVENT_SOURCES.iter().find(|(name, _)| *name == service).map_or_else(|| model.signing_name(), |(_, source)| source)
}

/// Collects the paths of sensitive members below the shape `name`, which lies within the shapes `above`.
///
/// A shape within itself has no end of paths: where something in it is sensitive, the inner one is so as a whole.
fn sensitive<'a>(
    model: &'a Model,
    name: &'a str,
    path: &str,
    above: &mut Vec<&'a str>,
    found: &mut BTreeSet<String>,
) -> Result<()> {
    let shape = model.shape(name)?;
    if shape.sensitive {
        found.insert(path.to_owned());
        return Ok(());
    }
    if above.contains(&name) {
        if reaches_sensitive(model, name, &mut BTreeSet::new())? {
            found.insert(path.to_owned());
        }
        return Ok(());
    }
    above.push(name);
    match shape.kind {
        Kind::Structure => {
            for (member, reference) in &shape.members {
                sensitive(model, &reference.shape, &format!("{path}.{member}"), above, found)?;
            }
        }
        Kind::List => sensitive(model, shape.element()?, path, above, found)?,
        Kind::Map => {
            let (key, value) = shape.entry()?;
            sensitive(model, key, path, above, found)?;
            sensitive(model, value, path, above, found)?;
        }
        _ => {}
    }
    above.pop();
    Ok(())
}

/// Whether the shape `name` or any below it is sensitive; `seen` are those looked at before.
fn reaches_sensitive<'a>(model: &'a Model, name: &'a str, seen: &mut BTreeSet<&'a str>) -> Result<bool> {
    let shape = model.shape(name)?;
    if shape.sensitive {
        return Ok(true);
    }
    if !seen.insert(name) {
        return Ok(false);
    }
    for reference in shape.references() {
        if reaches_sensitive(model, &reference.shape, seen)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_members_are_found_through_lists_maps_and_recursion() {
        let model: Model = serde_json::from_value(serde_json::json!({
            "metadata": { "apiVersion": "1", "endpointPrefix": "x", "protocol": "json" },
            "operations": {},
            "shapes": {
                "In": { "type": "structure", "members": { "Plain": { "shape": "Name" }, "Keys": { "shape": "Keys" }, "Tree": { "shape": "Tree" } } },
                "Keys": { "type": "map", "key": { "shape": "Name" }, "value": { "shape": "Secrets" } },
                "Secrets": { "type": "list", "member": { "shape": "Secret" } },
                "Tree": { "type": "structure", "members": { "Leaf": { "shape": "Secret" }, "Branches": { "shape": "Trees" } } },
                "Trees": { "type": "list", "member": { "shape": "Tree" } },
                "Name": { "type": "string" },
                "Secret": { "type": "string", "sensitive": true }
            }
        }))
        .unwrap();
        let mut found = BTreeSet::new();
        sensitive(&model, "In", "Op", &mut Vec::new(), &mut found).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["Op.Keys", "Op.Tree.Branches", "Op.Tree.Leaf"]);
    }
}
