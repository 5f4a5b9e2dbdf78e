use std::collections::BTreeMap;
use std::sync::Arc;

use opentrail_iam::Changing;
use opentrail_identity::{
    AccessRequest, Account, Decision, Edit, Group, Identities, ManagedPolicy, Origin, PrincipalKind, Role, User,
};
use opentrail_model::{AccountId, Timestamp};
use opentrail_wire::iam::{Operation, Tag};
use opentrail_wire::sigv4::QueryError;
use tracing::error;

use super::{Outcome, error as told};
use crate::access::Access;
use crate::context::Context;

/// A call of an operation, and everybody as of then. While an operation that changes runs, nobody else changes
/// anything.
pub(super) struct Asked<'a> {
    pub(super) cx: Context<'a>,
    pub(super) operation: Operation,
    identities: Arc<Identities>,
    changing: Option<Changing<'a>>,
}

/// What else a call says of its resource, for conditions.
#[derive(Default)]
pub(super) struct Circumstances<'a> {
    /// `iam:PolicyARN`.
    pub(super) policy_arn: Option<&'a str>,
    /// `iam:PermissionsBoundary`.
    pub(super) boundary: Option<&'a str>,
    /// `aws:RequestTag/…`, `aws:TagKeys`.
    pub(super) tags: &'a [Tag],
    /// `aws:TagKeys` of tags to be taken away.
    pub(super) tag_keys: &'a [String],
}

impl<'a> Asked<'a> {
    /// Takes the right to change, if the operation does.
    pub(super) async fn new(cx: Context<'a>, operation: Operation) -> Self {
        let reads = ["Get", "List"].iter().any(|verb| operation.name().starts_with(verb));
        if reads {
            return Self { cx, operation, identities: cx.services.directory.identities(), changing: None };
        }
        let changing = cx.services.iam.changing().await;
        Self { cx, operation, identities: Arc::clone(&changing.identities), changing: Some(changing) }
    }

    pub(super) fn identities(&self) -> &Identities {
        &self.identities
    }

    pub(super) fn account_id(&self) -> AccountId {
        self.cx.account()
    }

    /// The caller's account.
    pub(super) fn account(&self) -> Outcome<&Account> {
        self.identities.account(self.account_id()).ok_or_else(QueryError::internal_failure)
    }

    /// The time that things are made at: IAM knows whole seconds.
    pub(super) fn now(&self) -> Timestamp {
        self.cx.now().floor_secs()
    }

    /// Makes changes.
    pub(super) async fn commit(self, edits: &[Edit]) -> Outcome<()> {
        let changing = self.changing.ok_or_else(QueryError::internal_failure)?;
        changing.commit(edits).await.map_err(|cause| {
            error!(%cause, "identities could not be changed");
            told::service_failure()
        })
    }

    /// `arn:aws:iam::<account>:<kind><path><name>`.
    pub(super) fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{}:{kind}{path}{name}", self.account_id())
    }

    /// Checks that the caller may do the operation to `resource`, which has those tags.
    /// (Service Authorization Reference, "Actions, resources, and condition keys for AWS IAM".)
    pub(super) fn authorize(
        &self,
        resource: &str,
        tags: Option<&BTreeMap<String, String>>,
        circumstances: &Circumstances<'_>,
    ) -> Outcome<()> {
        let action = format!("iam:{}", self.operation.name());
        let mut context = self.cx.conditions(Access::anywhere(self.operation.name()));
        // Whatever Region a client signs for, IAM is called where its partition has it.
        context.insert("aws:RequestedRegion", self.cx.region().of_global_services().as_str());
        for (key, value) in tags.into_iter().flatten() {
            context.insert(&format!("aws:ResourceTag/{key}"), value.as_str());
            context.insert(&format!("iam:ResourceTag/{key}"), value.as_str());
        }
        let Circumstances { policy_arn, boundary, tags, tag_keys } = circumstances;
        if let Some(arn) = policy_arn {
            context.insert("iam:PolicyARN", *arn);
        }
        if let Some(arn) = boundary {
            context.insert("iam:PermissionsBoundary", *arn);
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
            denied => Err(QueryError::access_denied(denied.message(principal, &action, resource, true))),
        }
    }

    /// The user that a call without `UserName` is about: the caller; `None` for the root.
    pub(super) fn own_name(&self) -> Outcome<Option<&str>> {
        match &self.cx.call.principal.kind {
            PrincipalKind::User { name, .. } | PrincipalKind::UserSession { name, .. } => Ok(Some(name)),
            PrincipalKind::Root | PrincipalKind::RootSession => Ok(None),
            PrincipalKind::AssumedRole { .. } => {
                Err(QueryError::validation("Must specify userName when calling with non-User credentials"))
            }
        }
    }

    /// The named user, or the caller when there is no name.
    pub(super) fn user_or_own(&self, name: Option<&str>) -> Outcome<Arc<User>> {
        match name {
            Some(name) => self.user(name),
            None => self.user(self.own_name()?.ok_or_else(told::root_is_no_user)?),
        }
    }

    /// The user of that name, once the caller may do the operation to it.
    pub(super) fn user(&self, name: &str) -> Outcome<Arc<User>> {
        self.user_in(name, &Circumstances::default())
    }

    /// As [`Self::user`], under these circumstances.
    pub(super) fn user_in(&self, name: &str, circumstances: &Circumstances<'_>) -> Outcome<Arc<User>> {
        let found = self.account()?.user(name);
        let arn = found.map_or_else(|| self.arn("user", "/", name), |user| user.arn().as_str().to_owned());
        self.authorize(&arn, found.map(|user| &user.tags), circumstances)?;
        found.cloned().ok_or_else(|| told::no_user(name))
    }

    /// The group of that name, once the caller may do the operation to it.
    pub(super) fn group(&self, name: &str) -> Outcome<Arc<Group>> {
        self.group_in(name, &Circumstances::default())
    }

    /// As [`Self::group`], under these circumstances.
    pub(super) fn group_in(&self, name: &str, circumstances: &Circumstances<'_>) -> Outcome<Arc<Group>> {
        let found = self.account()?.group(name);
        let arn = found.map_or_else(|| self.arn("group", "/", name), |group| group.arn().as_str().to_owned());
        self.authorize(&arn, None, circumstances)?;
        found.cloned().ok_or_else(|| told::no_group(name))
    }

    /// The role of that name, once the caller may do the operation to it.
    pub(super) fn role(&self, name: &str) -> Outcome<Arc<Role>> {
        self.role_in(name, &Circumstances::default())
    }

    /// As [`Self::role`], under these circumstances.
    pub(super) fn role_in(&self, name: &str, circumstances: &Circumstances<'_>) -> Outcome<Arc<Role>> {
        let found = self.account()?.role(name);
        let arn = found.map_or_else(|| self.arn("role", "/", name), |role| role.arn().as_str().to_owned());
        self.authorize(&arn, found.map(|role| &role.tags), circumstances)?;
        found.cloned().ok_or_else(|| told::no_role(name))
    }

    /// The managed policy of that ARN, once the caller may do the operation to it.
    pub(super) fn policy(&self, arn: &str) -> Outcome<ManagedPolicy> {
        self.policy_in(arn, &Circumstances::default())
    }

    /// As [`Self::policy`], under these circumstances.
    pub(super) fn policy_in(&self, arn: &str, circumstances: &Circumstances<'_>) -> Outcome<ManagedPolicy> {
        if !arn.starts_with("arn:") || !arn.contains(":policy/") {
            return Err(told::invalid(format!("ARN {arn} is not valid.")));
        }
        let found = self.account()?.policy(arn);
        self.authorize(arn, found.map(|policy| &policy.tags), circumstances)?;
        found.cloned().ok_or_else(|| told::no_policy(arn))
    }

    /// The account's own managed policy of that ARN, to be changed.
    pub(super) fn own_policy(&self, arn: &str, circumstances: &Circumstances<'_>) -> Outcome<ManagedPolicy> {
        let policy = self.policy_in(arn, circumstances)?;
        match policy.account {
            Some(_) => Ok(policy),
            None => Err(QueryError::access_denied("Policy is outside your own account.")),
        }
    }

    /// The user of that name, to be changed.
    pub(super) fn changeable_user(&self, name: &str, circumstances: &Circumstances<'_>) -> Outcome<Box<User>> {
        changeable_user(self.user_in(name, circumstances)?)
    }

    /// The role of that name, to be changed.
    pub(super) fn changeable_role(&self, name: &str, circumstances: &Circumstances<'_>) -> Outcome<Box<Role>> {
        let role = self.role_in(name, circumstances)?;
        match role.origin {
            Origin::Api => Ok(Box::new(Arc::unwrap_or_clone(role))),
            Origin::Configuration => Err(told::configured("role", &role.name)),
        }
    }
}

/// A copy to change, unless the configuration defines the user.
pub(super) fn changeable_user(user: Arc<User>) -> Outcome<Box<User>> {
    match user.origin {
        Origin::Api => Ok(Box::new(Arc::unwrap_or_clone(user))),
        Origin::Configuration => Err(told::configured("user", &user.name)),
    }
}
