//! One service model as Rust: structures with serde, and the constraint tables that inputs are checked against.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::names::{literal, screaming, slice, snake};
use crate::model::{Kind, Model, Reference, Shape};

/// The structure of `operation`'s input or output under the name `rust`; an absent one is empty.
pub(crate) fn envelope(model: &Model, rust: &str, what: &str, shape: Option<&Reference>) -> Result<String> {
    let mut code = String::new();
    match shape {
        Some(reference) => structure(model, rust, what, model.shape(&reference.shape)?, &mut code)?,
        None => writeln!(code, "/// {what}\n{DERIVES}\npub struct {rust} {{}}\n")?,
    }
    Ok(code)
}

/// The structures reachable from operations' inputs and outputs, by their own names.
pub(crate) fn structures(model: &Model) -> Result<String> {
    let mut code = String::new();
    let mut envelopes = BTreeSet::new();
    let mut reached = BTreeSet::new();
    for operation in model.operations.values() {
        for reference in [&operation.input, &operation.output].into_iter().flatten() {
            envelopes.insert(reference.shape.clone());
            reach(model, &reference.shape, &mut reached)?;
        }
    }
    for name in reached.difference(&envelopes) {
        let shape = model.shape(name)?;
        if shape.kind == Kind::Structure {
            structure(model, name, &format!("The structure `{name}`."), shape, &mut code)?;
        }
    }
    Ok(code)
}

/// Whether outputs have tables too: a protocol that types its values needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outputs {
    /// They do.
    Tabled,
    /// They do not.
    Plain,
}

/// The constraint tables of everything reachable from inputs, and from outputs where `outputs` says so, one `static` per
/// shape.
pub(crate) fn constraints(model: &Model, outputs: Outputs) -> Result<String> {
    let mut reached = BTreeSet::new();
    for operation in model.operations.values() {
        let output = operation.output.as_ref().filter(|_| outputs == Outputs::Tabled);
        for reference in operation.input.iter().chain(output) {
            reach(model, &reference.shape, &mut reached)?;
        }
    }
    let mut code = String::new();
    for name in &reached {
        let rule = rule(model.shape(name)?).with_context(|| format!("shape {name}"))?;
        writeln!(code, "pub(crate) static {}: Shape = {rule};", screaming(name))?;
    }
    Ok(code)
}

const DERIVES: &str = "#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]";

fn structure(model: &Model, rust: &str, what: &str, shape: &Shape, code: &mut String) -> Result<()> {
    writeln!(code, "/// {what}\n{DERIVES}\npub struct {rust} {{")?;
    for (name, reference) in &shape.members {
        let required = shape.required.contains(name);
        let target = model.shape(&reference.shape)?;
        let mut rust_type = rust_type(model, &reference.shape)?;
        let mut serde = vec![format!("rename = {}", literal(reference.location_name.as_deref().unwrap_or(name)))];
        if !required {
            rust_type = format!("Option<{rust_type}>");
            serde.push("default".to_owned());
            serde.push("skip_serializing_if = \"Option::is_none\"".to_owned());
        }
        if let Some(module) = timestamp_module(model, target, required)? {
            serde.push(format!("with = {}", literal(module)));
        }
        writeln!(code, "    /// {}", member_doc(name, target, required))?;
        writeln!(code, "    #[serde({})]\n    pub {}: {rust_type},", serde.join(", "), snake(name))?;
    }
    writeln!(code, "}}\n")?;
    Ok(())
}

/// The member's name and constraints; never text of the model.
fn member_doc(name: &str, target: &Shape, required: bool) -> String {
    let mut parts = vec![format!("`{name}`")];
    if required {
        parts.push("required".to_owned());
    }
    let unit = match target.kind {
        Kind::String => " characters",
        Kind::List | Kind::Map => " entries",
        _ => "",
    };
    match (&target.min, &target.max) {
        (Some(min), Some(max)) => parts.push(format!("{min} to {max}{unit}")),
        (Some(min), None) => parts.push(format!("at least {min}{unit}")),
        (None, Some(max)) => parts.push(format!("at most {max}{unit}")),
        (None, None) => {}
    }
    if !target.values.is_empty() {
        let values: Vec<String> = target.values.iter().map(|v| format!("`{v}`")).collect();
        parts.push(format!("one of {}", values.join(", ")));
    }
    format!("{}.", parts.join(", "))
}

fn rust_type(model: &Model, name: &str) -> Result<String> {
    let shape = model.shape(name)?;
    Ok(match shape.kind {
        Kind::Blob => "Blob".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::Double | Kind::Float => "f64".to_owned(),
        Kind::Integer => "i32".to_owned(),
        Kind::Long => "i64".to_owned(),
        Kind::String => "String".to_owned(),
        Kind::Timestamp => "Timestamp".to_owned(),
        Kind::Structure => name.to_owned(),
        Kind::List => format!("Vec<{}>", rust_type(model, shape.element()?)?),
        Kind::Map => {
            let (key, value) = shape.entry()?;
            format!("BTreeMap<{}, {}>", rust_type(model, key)?, rust_type(model, value)?)
        }
    })
}

/// The serde module for members that hold times, in the form that the member has.
fn timestamp_module(model: &Model, target: &Shape, required: bool) -> Result<Option<&'static str>> {
    let in_list = target.kind == Kind::List && model.shape(target.element()?)?.kind == Kind::Timestamp;
    if model.metadata.protocol == "query" && target.kind == Kind::Timestamp {
        return Ok(Some(if required { "crate::timestamp::iso" } else { "crate::timestamp::iso_optional" }));
    }
    Ok(match (target.kind == Kind::Timestamp, in_list, required) {
        (false, false, _) => None,
        (true, _, false) => Some("crate::timestamp::optional"),
        (_, true, false) => Some("crate::timestamp::optional_list"),
        (true, _, true) => Some("crate::timestamp::required"),
        (_, true, true) => bail!("a required list of times has no serde module in crates/wire/src/timestamp.rs yet"),
    })
}

/// Adds `name` and every shape below it to `reached`.
fn reach(model: &Model, name: &str, reached: &mut BTreeSet<String>) -> Result<()> {
    if !reached.insert(name.to_owned()) {
        return Ok(());
    }
    for reference in model.shape(name)?.references() {
        reach(model, &reference.shape, reached)?;
    }
    Ok(())
}

fn rule(shape: &Shape) -> Result<String> {
    Ok(match shape.kind {
        Kind::Blob => "Shape::Blob".to_owned(),
        Kind::Boolean => "Shape::Boolean".to_owned(),
        Kind::Double | Kind::Float => "Shape::Real".to_owned(),
        Kind::Timestamp => "Shape::Timestamp".to_owned(),
        Kind::Integer => format!("Shape::Whole(Whole::of_bits(32){})", bounds(shape, "range")),
        Kind::Long => format!("Shape::Whole(Whole::of_bits(64){})", bounds(shape, "range")),
        Kind::String => {
            // A pattern that matches everything but for what Java calls a line end restrains nothing worth refusing.
            let mut text = match shape.pattern.as_deref().filter(|p| !matches!(*p, ".*" | "(?s).*" | r"[\s\S]*")) {
                Some(pattern) => format!("Text::matching({}, {})", literal(pattern), literal(&rust_pattern(pattern))),
                None => "Text::new()".to_owned(),
            };
            text.push_str(&bounds(shape, "length"));
            if !shape.values.is_empty() {
                write!(text, ".one_of({})", slice(shape.values.iter().map(String::as_str)))?;
            }
            format!("Shape::Text({text})")
        }
        Kind::List => {
            format!("Shape::List(List::of(&{}){})", screaming(shape.element()?), bounds(shape, "length"))
        }
        Kind::Map => {
            let (key, value) = shape.entry()?;
            let (key, value) = (screaming(key), screaming(value));
            let name = |reference: &Option<Reference>| reference.as_ref().and_then(|r| r.location_name.clone());
            let named = match (name(&shape.key), name(&shape.value)) {
                (Some(key), Some(value)) => format!(".named({}, {})", literal(&key), literal(&value)),
                _ => String::new(),
            };
            format!("Shape::Map(Map::of(&{key}, &{value}){}{named})", bounds(shape, "length"))
        }
        Kind::Structure => {
            let mut members = String::new();
            for (name, reference) in &shape.members {
                let wire = reference.location_name.as_deref().unwrap_or(name);
                let target = screaming(&reference.shape);
                let constructor = match (reference.location.as_deref(), shape.required.contains(name)) {
                    (None, true) => "required",
                    (None, false) => "optional",
                    (Some("querystring"), true) => "required_in_query",
                    (Some("querystring"), false) => "optional_in_query",
                    (Some(other), _) => bail!("member {name} is in the {other}, which is not supported"),
                };
                write!(members, "Member::{constructor}({}, &{target}),", literal(wire))?;
            }
            format!("Shape::Structure(&[{members}])")
        }
    })
}

/// `.length(min, max)` or `.range(min, max)`, or nothing when the shape has neither bound.
fn bounds(shape: &Shape, method: &str) -> String {
    let bound = |n: &Option<serde_json::Number>| match n {
        Some(n) => format!("Some({n})"),
        None => "None".to_owned(),
    };
    match (&shape.min, &shape.max) {
        (None, None) => String::new(),
        (min, max) => format!(".{method}({}, {})", bound(min), bound(max)),
    }
}

/// The pattern, written for Java, in the dialect of the `regex` crate: surrogate pairs become their characters and
/// `\w`, `\d`, `\s` mean ASCII only. The look-aheads of the models are written without: that of IAM's account alias says
/// "no two hyphens in a row" (how long an alias may be is a constraint of its own), that of EventBridge's path parameters
/// "not only white space".
fn rust_pattern(java: &str) -> String {
    let java = java.replace("([a-z0-9]|-(?!-)){1,61}[a-z0-9]", "(-?[a-z0-9])+");
    let java = java.replace(r"^(?!\s*$).+", r".*[^\s].*");
    let mut out = java.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}");
    while let Some(at) = out.find(r"\u") {
        let digits = out[at + 2..at + 6].to_owned();
        out.replace_range(at..at + 6, &format!(r"\x{{{digits}}}"));
    }
    out.replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]").replace(r"\s", r"[ \t\n\x0B\f\r]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_patterns_are_translated() {
        assert_eq!(
            rust_pattern(r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF\t]*"),
            r"[\x{0020}-\x{D7FF}\x{10000}-\x{10FFFF}\t]*"
        );
        assert_eq!(rust_pattern(r"[\w\d]+"), "[[0-9A-Za-z_][0-9]]+");
        assert_eq!(rust_pattern(r"^(?!\s*$).+"), r".*[^[ \t\n\x0B\f\r]].*");
    }
}
