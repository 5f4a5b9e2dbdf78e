use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_identity::{AccessRequest, Decision};
use opentrail_model::{AccountId, Timestamp};
use opentrail_organizations::{Changing, Edit, Handshake, Organization, View};
use opentrail_wire::organizations::{Operation, Tag};

use super::change::{Beside, Committed, commit};
use super::{Outcome, error};
use crate::access::Access;
use crate::context::Context;

/// A call of an operation, and all organizations as of then. While an operation that changes runs, nobody else changes
/// any.
pub(super) struct Asked<'a> {
    pub(super) cx: Context<'a>,
    pub(super) operation: Operation,
    pub(super) view: Arc<View>,
    changing: Option<Changing<'a>>,
}

/// What else a call says of its resource, for conditions.
#[derive(Default)]
pub(super) struct Circumstances<'a> {
    /// `organizations:ServicePrincipal`.
    pub(super) service: Option<&'a str>,
    /// `aws:ResourceTag/…`.
    pub(super) resource_tags: Option<&'a BTreeMap<String, String>>,
    /// `aws:RequestTag/…`, `aws:TagKeys`.
    pub(super) tags: &'a [Tag],
    /// `aws:TagKeys` of tags to be taken away.
    pub(super) tag_keys: &'a [String],
}

impl<'a> Asked<'a> {
    /// Takes the right to change, if the operation does.
    pub(super) async fn new(cx: Context<'a>, operation: Operation) -> Self {
        let organizations = &cx.services.organizations;
        if ["Describe", "List"].iter().any(|verb| operation.name().starts_with(verb)) {
            return Self { cx, operation, view: organizations.view(), changing: None };
        }
        let changing = organizations.changing().await;
        Self { cx, operation, view: Arc::clone(&changing.view), changing: Some(changing) }
    }

    /// The caller's account.
    pub(super) fn account(&self) -> AccountId {
        self.cx.account()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.cx.now()
    }

    /// The caller's organization.
    pub(super) fn organization(&self) -> Outcome<Arc<Organization>> {
        self.view.of(self.account()).cloned().ok_or_else(error::not_in_use)
    }

    /// The caller's organization, for what only its management account may do.
    pub(super) fn managed(&self) -> Outcome<Arc<Organization>> {
        let organization = self.organization()?;
        if organization.management != self.account() {
            return Err(error::access_denied());
        }
        Ok(organization)
    }

    /// The caller's organization, for what its management account and those who administer a service for all may see.
    pub(super) fn administered(&self) -> Outcome<Arc<Organization>> {
        let organization = self.organization()?;
        if organization.management != self.account() && !organization.is_delegate(self.account()) {
            return Err(error::access_denied());
        }
        Ok(organization)
    }

    /// The handshake of that id, for an account that takes part in it.
    pub(super) fn handshake(&self, id: &str) -> Outcome<Arc<Handshake>> {
        let found = self.view.handshake(id, self.now()).filter(|handshake| handshake.concerns(self.account()));
        found.cloned().ok_or_else(error::no_handshake)
    }

    /// Commits what the organization has become.
    pub(super) async fn commit(
        self,
        before: Option<Arc<Organization>>,
        after: Option<Organization>,
        beside: Beside<'_>,
    ) -> Outcome<Committed> {
        let changing = self.changing.ok_or_else(error::service)?;
        Ok(commit(self.cx, changing, before, after, beside).await?)
    }

    /// Commits changes of the organization alone.
    pub(super) async fn replace(self, before: Arc<Organization>, after: Organization) -> Outcome<Committed> {
        self.commit(Some(before), Some(after), Beside::default()).await
    }

    /// Commits changes of handshakes and requests alone.
    pub(super) async fn keep(self, edits: Vec<Edit>) -> Outcome<Committed> {
        self.commit(None, None, Beside { edits, identities: None }).await
    }

    /// Checks that the caller's policies allow the operation, which has no form for single resources.
    pub(super) fn authorize(&self) -> Outcome<()> {
        self.authorize_on("*", &Circumstances::default())
    }

    /// Checks that the caller's policies allow the operation on the account, which may be in their organization or not.
    pub(super) fn authorize_on_account(&self, account: &str, circumstances: &Circumstances<'_>) -> Outcome<()> {
        let arn = |organization: &Arc<Organization>| Some(organization.account_arn(account.parse().ok()?));
        let arn = self.view.of(self.account()).and_then(arn).unwrap_or_else(|| "*".to_owned());
        self.authorize_on(&arn, circumstances)
    }

    /// Checks that the caller's policies allow the operation on the root or unit.
    pub(super) fn authorize_on_parent(&self, parent: &str, circumstances: &Circumstances<'_>) -> Outcome<()> {
        let arn = self.view.of(self.account()).map(|organization| organization.parent_arn(parent));
        self.authorize_on(arn.as_deref().unwrap_or("*"), circumstances)
    }

    /// Checks that the caller's policies allow the operation on the handshake.
    pub(super) fn authorize_on_handshake(&self, id: &str) -> Outcome<()> {
        let arn = self.view.handshake(id, self.now()).map(|handshake| handshake.arn());
        self.authorize_on(arn.as_deref().unwrap_or("*"), &Circumstances::default())
    }

    /// Checks that the caller's policies allow the operation.
    /// (Service Authorization Reference, "Actions, resources, and condition keys for AWS Organizations".)
    pub(super) fn authorize_on(&self, resource: &str, circumstances: &Circumstances<'_>) -> Outcome<()> {
        let action = format!("organizations:{}", self.operation.name());
        let mut context = self.cx.conditions(Access::anywhere(self.operation.name()));
        // Whatever Region a client signs for, Organizations is called where its partition has it.
        context.insert("aws:RequestedRegion", self.cx.region().of_global_services().as_str());
        let Circumstances { service, resource_tags, tags, tag_keys } = circumstances;
        if let Some(service) = service {
            context.insert("organizations:ServicePrincipal", *service);
        }
        for (key, value) in resource_tags.iter().flat_map(|tags| tags.iter()) {
            context.insert(&format!("aws:ResourceTag/{key}"), value.as_str());
        }
        for tag in *tags {
            context.insert(&format!("aws:RequestTag/{}", tag.key), tag.value.as_str());
        }
        if !tags.is_empty() || !tag_keys.is_empty() {
            let keys = tags.iter().map(|tag| &tag.key).chain(*tag_keys);
            context.insert_all("aws:TagKeys", keys.map(String::as_str));
        }
        let request = AccessRequest {
            action: &action,
            resource,
            context: &context,
            resource_policy: None,
            resource_account: None,
        };
        let principal = &self.cx.call.principal;
        match self.cx.services.directory.authorize(principal, &request) {
            Decision::Allowed => Ok(()),
            denied => Err(error::not_authorized(denied.message(principal, &action, resource, true))),
        }
    }
}
