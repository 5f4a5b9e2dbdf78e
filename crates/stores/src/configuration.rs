use serde::{Deserialize, Serialize};

/// `MaxEventSize`: the largest event that a store keeps whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaxEventSize {
    /// 256 KB.
    #[default]
    Standard,
    /// 1 MB.
    Large,
}

impl MaxEventSize {
    /// In bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Standard => 256 << 10,
            Self::Large => 1 << 20,
        }
    }

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Large => "Large",
        }
    }
}

/// What kind of keys a [`ContextKeySelector`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextKeyType {
    /// Tags of resources and principals.
    TagContext,
    /// Global condition keys of IAM.
    RequestContext,
}

impl ContextKeyType {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TagContext => "TagContext",
            Self::RequestContext => "RequestContext",
        }
    }
}

/// Keys whose values a store adds to its events as `eventContext`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContextKeySelector {
    /// Of what.
    #[serde(rename = "Type")]
    pub kind: ContextKeyType,
    /// The keys.
    pub equals: Vec<String>,
}

/// What PutEventConfiguration sets on a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventConfiguration {
    /// Default [`MaxEventSize::Standard`].
    pub max_event_size: MaxEventSize,
    /// At most one of each type; none unless events may be large.
    pub context_key_selectors: Vec<ContextKeySelector>,
}

impl EventConfiguration {
    /// The keys of one type.
    pub fn keys(&self, kind: ContextKeyType) -> &[String] {
        let found = self.context_key_selectors.iter().find(|selector| selector.kind == kind);
        found.map(|selector| &*selector.equals).unwrap_or_default()
    }
}
