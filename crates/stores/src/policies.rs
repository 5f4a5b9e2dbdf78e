use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect, Versioned};
use opentrail_model::Arn;
use serde::{Deserialize, Serialize};

const KIND: &str = "resource-policies";

/// A resource's own policy, as PutResourcePolicy was given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcePolicy {
    /// The policy's text: valid when it was stored.
    pub text: String,
}

/// The stored policies of resources, by the resources' ARNs.
#[derive(Clone, Debug)]
pub struct ResourcePolicies {
    catalog: Arc<dyn Catalog>,
}

impl ResourcePolicies {
    /// The policies stored in `catalog`.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        Self { catalog }
    }

    /// The resource's policy, with the revision to hand to [`Self::put`] or [`Self::delete`].
    pub async fn find(&self, resource: &Arn) -> Result<Option<Versioned<ResourcePolicy>>, CatalogError> {
        self.catalog.find(KIND, resource.as_str()).await
    }

    /// Stores a policy in the place of the one that was read at `revision`, or of none.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when somebody else was quicker.
    pub async fn put(&self, resource: &Arn, text: String, revision: Option<u64>) -> Result<(), CatalogError> {
        let expect = revision.map_or(Expect::Absent, Expect::Revision);
        let change = Change::put(KIND, resource.as_str(), expect, &ResourcePolicy { text });
        self.catalog.commit(vec![change]).await
    }

    /// Removes the policy that was read at `revision`.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when somebody else was quicker.
    pub async fn delete(&self, resource: &Arn, revision: u64) -> Result<(), CatalogError> {
        self.catalog.commit(vec![Change::delete(KIND, resource.as_str(), Expect::Revision(revision))]).await
    }

    /// The change that removes whatever policy a resource has, for the transaction in which the resource goes.
    pub fn forget(resource: &Arn) -> Change {
        Change::delete(KIND, resource.as_str(), Expect::Anything)
    }
}
