use opentrail_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::TopicArn;

/// A topic's document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) arn: TopicArn,
    pub(crate) created: Timestamp,
    /// The access policy, as it was set; without one, the default policy.
    pub(crate) policy: Option<String>,
    pub(crate) display_name: String,
    /// `DeliveryPolicy`, as it was set.
    pub(crate) delivery_policy: Option<String>,
    pub(crate) signature_version: SignatureVersion,
    /// `TracingConfig`, when it was set: `PassThrough`.
    pub(crate) tracing: Option<String>,
    /// In the order in which they were added.
    pub(crate) tags: Vec<Tag>,
    /// Subscriptions that were deleted.
    pub(crate) deleted: u64,
}

/// With which hash the topic's messages are signed. (Developer Guide, "Verifying the signatures of Amazon SNS messages".)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SignatureVersion {
    /// SHA-1, what a topic has unless another is set.
    #[default]
    V1,
    /// SHA-256.
    V2,
}

impl SignatureVersion {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }
}

/// A tag of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Topic {
    /// A topic without settings.
    pub(crate) fn new(arn: TopicArn, created: Timestamp) -> Self {
        Self {
            arn,
            created,
            policy: None,
            display_name: String::new(),
            delivery_policy: None,
            signature_version: SignatureVersion::default(),
            tracing: None,
            tags: Vec::new(),
            deleted: 0,
        }
    }
}
