//! The parts of an AWS service model (`service-2.json`) that code is made from; never its documentation.

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::Deserialize;

/// One service at one API version.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: IndexMap<String, Operation>,
    pub(crate) shapes: IndexMap<String, Shape>,
}

/// How the service is reached.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) api_version: String,
    pub(crate) endpoint_prefix: String,
    pub(crate) protocol: String,
    #[serde(default)]
    pub(crate) protocols: Vec<String>,
    pub(crate) signing_name: Option<String>,
    pub(crate) target_prefix: Option<String>,
}

/// One operation.
#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) http: Http,
    pub(crate) input: Option<Reference>,
    pub(crate) output: Option<Reference>,
    #[serde(default)]
    pub(crate) errors: Vec<Reference>,
}

/// Method and path, the latter with `{Member}` labels and static query keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) request_uri: String,
}

/// A use of a shape, with what the place of use adds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) shape: String,
    pub(crate) location: Option<String>,
    pub(crate) location_name: Option<String>,
    #[serde(default)]
    pub(crate) streaming: bool,
}

/// A shape of any type; which fields are meaningful depends on `kind`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) members: IndexMap<String, Reference>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    pub(crate) member: Option<Reference>,
    pub(crate) key: Option<Reference>,
    pub(crate) value: Option<Reference>,
    pub(crate) min: Option<serde_json::Number>,
    pub(crate) max: Option<serde_json::Number>,
    pub(crate) pattern: Option<String>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    #[serde(default)]
    pub(crate) sensitive: bool,
    #[serde(default)]
    pub(crate) streaming: bool,
    #[serde(default)]
    pub(crate) eventstream: bool,
    pub(crate) payload: Option<String>,
    pub(crate) error: Option<ErrorTrait>,
}

/// How an error looks on the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorTrait {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) http_status_code: u16,
}

/// The type of a shape.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Blob,
    Boolean,
    Double,
    Float,
    Integer,
    List,
    Long,
    Map,
    String,
    Structure,
    Timestamp,
}

impl Model {
    /// The shape of that name.
    pub(crate) fn shape(&self, name: &str) -> Result<&Shape> {
        self.shapes.get(name).with_context(|| format!("the model names shape {name:?} but does not define it"))
    }

    /// The name that requests are signed for, which is also the first label of CloudTrail's `eventSource`.
    pub(crate) fn signing_name(&self) -> &str {
        self.metadata.signing_name.as_deref().unwrap_or(&self.metadata.endpoint_prefix)
    }

    /// The name that an error has on the wire: in the Query protocol its code, else that of its shape.
    pub(crate) fn error_name<'a>(&'a self, shape: &'a str) -> Result<&'a str> {
        let code = self.shape(shape)?.error.as_ref().map(|error| error.code.as_str());
        Ok(code.filter(|code| self.metadata.protocol == "query" && !code.is_empty()).unwrap_or(shape))
    }

    /// Whether the service speaks `protocol`, perhaps beside others.
    pub(crate) fn speaks(&self, protocol: &str) -> bool {
        self.metadata.protocol == protocol || self.metadata.protocols.iter().any(|p| p == protocol)
    }
}

impl Shape {
    /// A structure without members: what an operation without input or output has.
    pub(crate) fn structure() -> Self {
        Self {
            kind: Kind::Structure,
            members: IndexMap::new(),
            required: Vec::new(),
            member: None,
            key: None,
            value: None,
            min: None,
            max: None,
            pattern: None,
            values: Vec::new(),
            sensitive: false,
            streaming: false,
            eventstream: false,
            payload: None,
            error: None,
        }
    }

    /// The shape of a list's elements.
    pub(crate) fn element(&self) -> Result<&str> {
        Ok(&self.member.as_ref().context("a list shape without member")?.shape)
    }

    /// All shapes that this one is made of.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.members.values().chain([&self.member, &self.key, &self.value].into_iter().flatten())
    }

    /// The shapes of a map's keys and values.
    pub(crate) fn entry(&self) -> Result<(&str, &str)> {
        let key = self.key.as_ref().context("a map shape without key")?;
        let value = self.value.as_ref().context("a map shape without value")?;
        Ok((&key.shape, &value.shape))
    }
}
