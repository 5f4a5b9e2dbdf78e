use opentrail_identity::{AccessRequest, Context as Conditions, Decision, Policy};
use opentrail_model::AccountId;
use opentrail_trails::Tag;
use opentrail_wire::Exception;

use crate::context::{Context, Outcome};

/// What a caller wants to do, in the words of IAM. (Service Authorization Reference, "Actions, resources, and condition
/// keys for AWS CloudTrail".)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    /// Before the colon of the action.
    service: &'static str,
    operation: &'a str,
    resource: Option<&'a str>,
    resource_tags: &'a [Tag],
    request_tags: &'a [Tag],
    owner: Option<AccountId>,
    policy: Option<&'a Policy>,
    external_id: Option<&'a str>,
    passed_to: Option<&'a str>,
}

impl<'a> Access<'a> {
    /// To do `operation` to the resource of this ARN.
    pub(crate) fn on(operation: &'a str, arn: &'a str) -> Self {
        Self { resource: Some(arn), ..Self::anywhere(operation) }
    }

    /// To do `operation`, whose action has no form for single resources.
    pub(crate) fn anywhere(operation: &'a str) -> Self {
        Self {
            service: "cloudtrail",
            operation,
            resource: None,
            resource_tags: &[],
            request_tags: &[],
            owner: None,
            policy: None,
            external_id: None,
            passed_to: None,
        }
    }

    /// To do `operation` of the data plane.
    pub(crate) fn to_data(operation: &'a str, arn: &'a str) -> Self {
        Self { service: "cloudtrail-data", ..Self::on(operation, arn) }
    }

    /// To let CloudTrail act as the role of this ARN. (IAM User Guide, "Grant a user permissions to pass a role to an AWS
    /// service".)
    pub(crate) fn to_pass(role: &'a str) -> Self {
        Self { service: "iam", passed_to: Some("cloudtrail.amazonaws.com"), ..Self::on("PassRole", role) }
    }

    /// The request says this external ID: `cloudtrail:ExternalId`.
    pub(crate) fn saying(self, external_id: Option<&'a str>) -> Self {
        Self { external_id, ..self }
    }

    /// The resource has these tags: `aws:ResourceTag/…`.
    pub(crate) fn tagged(self, tags: &'a [Tag]) -> Self {
        Self { resource_tags: tags, ..self }
    }

    /// The request gives these tags: `aws:RequestTag/…`, `aws:TagKeys`.
    pub(crate) fn requesting(self, tags: &'a [Tag]) -> Self {
        Self { request_tags: tags, ..self }
    }

    /// The resource is of a kind that can have a policy of its own, and belongs to `owner`.
    pub(crate) fn owned_by(self, owner: AccountId) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// The resource's own policy.
    pub(crate) fn under(self, policy: Option<&'a Policy>) -> Self {
        Self { policy, ..self }
    }
}

impl Context<'_> {
    /// Checks that the caller's policies allow it.
    ///
    /// A trail of another account is judged by the caller's policies alone, as trails have no policies of their own;
    /// that it cannot be found is said by the operation. A resource with an owner is judged by its own policy too, and
    /// across accounts both must allow.
    pub(crate) fn authorize(&self, access: Access<'_>) -> Outcome<()> {
        let action = format!("{}:{}", access.service, access.operation);
        let resource = access.resource.unwrap_or("*");
        let request = AccessRequest {
            action: &action,
            resource,
            context: &self.conditions(access),
            resource_policy: access.policy,
            resource_account: access.owner,
        };
        let principal = &self.call.principal;
        match self.services.directory.authorize(principal, &request) {
            Decision::Allowed => Ok(()),
            denied => {
                let message = denied.message(principal, &action, resource, access.resource.is_some());
                Err(Exception::access_denied(message).into())
            }
        }
    }

    /// The condition keys of the call. Those that follow from the caller are known to the directory.
    pub(crate) fn conditions(&self, access: Access<'_>) -> Conditions {
        let mut conditions = self.call.conditions(self.now());
        if let Some(external_id) = access.external_id {
            conditions.insert("cloudtrail:ExternalId", external_id);
        }
        if let Some(service) = access.passed_to {
            conditions.insert("iam:PassedToService", service);
        }
        for tag in access.resource_tags {
            conditions.insert(&format!("aws:ResourceTag/{}", tag.key), tag.value.as_deref().unwrap_or_default());
        }
        for tag in access.request_tags {
            conditions.insert(&format!("aws:RequestTag/{}", tag.key), tag.value.as_deref().unwrap_or_default());
        }
        if !access.request_tags.is_empty() {
            conditions.insert_all("aws:TagKeys", access.request_tags.iter().map(|tag| tag.key.clone()));
        }
        conditions
    }
}
