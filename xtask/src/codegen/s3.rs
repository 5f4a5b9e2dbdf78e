//! The table by which the recorder recognises S3 operations.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::HEADER;
use super::names::{literal, slice};
use crate::botocore::Botocore;
use crate::model::{Model, Operation, Reference, Shape};
use crate::output::Output;

const TYPES: &str = "\
/// What the path of an operation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Nothing: `/`, or a path of the service's own.
    Service,
    /// A bucket.
    Bucket,
    /// An object in a bucket.
    Object,
}

/// Where the parts of one S3 operation are found in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct S3Operation {
    /// The operation's name.
    pub(crate) name: &'static str,
    /// The HTTP method.
    pub(crate) method: &'static str,
    /// What the path names.
    pub(crate) level: Level,
    /// Query keys that are always there, with their value where it is fixed.
    pub(crate) query: &'static [(&'static str, Option<&'static str>)],
    /// Members in the query: member, query key.
    pub(crate) query_members: &'static [(&'static str, &'static str)],
    /// Members in headers: member, header name in lower case; one that ends with `-` is a prefix.
    pub(crate) header_members: &'static [(&'static str, &'static str)],
    /// Query keys of required members.
    pub(crate) required_query: &'static [&'static str],
    /// Header names of required members.
    pub(crate) required_headers: &'static [&'static str],
    /// The member that is the request body, if one is.
    pub(crate) payload: Option<&'static str>,
    /// The root element of an XML request body.
    pub(crate) body_root: Option<&'static str>,
    /// Members in response headers: member, header name in lower case; one that ends with `-` is a prefix.
    pub(crate) output_header_members: &'static [(&'static str, &'static str)],
    /// Whether the response body is data or a stream of events rather than a document.
    pub(crate) streaming_output: bool,
}
";

/// Writes the table into the recorder.
pub(crate) fn generate(botocore: &Botocore, output: &mut Output) -> Result<()> {
    let model = botocore.load("s3")?;
    let mut code = format!("{HEADER}\n{TYPES}\n/// Every S3 operation, sorted by name.\n");
    code.push_str("pub(crate) static S3_OPERATIONS: &[S3Operation] = &[\n");
    for (name, operation) in &model.operations {
        row(&model, name, operation, &mut code).with_context(|| format!("operation {name}"))?;
    }
    code.push_str("];\n");
    output.rust("crates/recorder/src/generated/s3_operations.rs", &code)
}

fn row(model: &Model, name: &str, operation: &Operation, code: &mut String) -> Result<()> {
    let empty = Shape::structure();
    let input = operation.input.as_ref().map_or(Ok(&empty), |i| model.shape(&i.shape))?;
    let output = operation.output.as_ref().map_or(Ok(&empty), |o| model.shape(&o.shape))?;
    let (path, query) = operation.http.request_uri.split_once('?').unwrap_or((&operation.http.request_uri, ""));
    let level = match path {
        "/{Bucket}" => "Bucket",
        "/{Bucket}/{Key+}" => "Object",
        _ if path.contains('{') => bail!("the path {path} has a form that the recorder does not know"),
        _ => "Service",
    };
    let query: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => format!("({}, Some({}))", literal(key), literal(value)),
            None => format!("({}, None)", literal(pair)),
        })
        .collect();
    writeln!(
        code,
        "S3Operation {{ name: {}, method: {}, level: Level::{level}, query: &[{}], query_members: {}, \
         header_members: {}, required_query: {}, required_headers: {}, payload: {}, body_root: {}, \
         output_header_members: {}, streaming_output: {} }},",
        literal(name),
        literal(&operation.http.method),
        query.join(", "),
        pairs(bound(input, &["querystring"])),
        pairs(bound(input, &["header", "headers"])),
        required(input, "querystring"),
        required(input, "header"),
        option(input.payload.as_deref()),
        option(body_root(operation.input.as_ref(), input)),
        pairs(bound(output, &["header", "headers"])),
        streams(model, output)?,
    )?;
    Ok(())
}

/// The members of `shape` at one of `locations`, with the names that they have there.
fn bound<'a>(shape: &'a Shape, locations: &[&str]) -> Vec<(&'a str, String)> {
    let here = |r: &Reference| r.location.as_deref().is_some_and(|l| locations.contains(&l));
    shape.members.iter().filter(|(_, r)| here(r)).map(|(name, r)| (name.as_str(), wire_name(name, r))).collect()
}

/// The name in the query or, in lower case, among the headers.
fn wire_name(member: &str, reference: &Reference) -> String {
    let name = reference.location_name.as_deref().unwrap_or(member);
    match reference.location.as_deref() {
        Some("header" | "headers") => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}

fn required(shape: &Shape, location: &str) -> String {
    let names: Vec<String> = bound(shape, &[location])
        .into_iter()
        .filter(|(member, _)| shape.required.iter().any(|r| r == member))
        .map(|(_, name)| name)
        .collect();
    slice(names.iter().map(String::as_str))
}

fn pairs(members: Vec<(&str, String)>) -> String {
    let pairs: Vec<String> = members.iter().map(|(m, n)| format!("({}, {})", literal(m), literal(n))).collect();
    format!("&[{}]", pairs.join(", "))
}

fn option(text: Option<&str>) -> String {
    text.map_or("None".to_owned(), |text| format!("Some({})", literal(text)))
}

/// The root element: that of the payload member, or of the input as a whole.
fn body_root<'a>(input: Option<&'a Reference>, shape: &'a Shape) -> Option<&'a str> {
    match &shape.payload {
        Some(payload) => shape.members.get(payload)?.location_name.as_deref(),
        None => input?.location_name.as_deref(),
    }
}

fn streams(model: &Model, output: &Shape) -> Result<bool> {
    let Some(member) = output.payload.as_ref().and_then(|payload| output.members.get(payload)) else {
        return Ok(false);
    };
    let shape = model.shape(&member.shape)?;
    Ok(member.streaming || shape.streaming || shape.eventstream)
}
