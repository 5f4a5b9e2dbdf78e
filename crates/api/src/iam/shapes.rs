//! Identities as answers show them.

use std::collections::BTreeMap;

use opentrail_identity as identity;
use opentrail_identity::{Account, ManagedPolicy};
use opentrail_wire::iam::{
    AccessKeyMetadata, AttachedPermissionsBoundary, AttachedPolicy, Group, LoginProfile, Policy, PolicyVersion, Role,
    RoleLastUsed, Tag, User,
};

use super::document::encoded;

/// A user, with tags and boundary.
pub(super) fn user(user: &identity::User) -> User {
    User { permissions_boundary: boundary(user.boundary.as_ref()), tags: tags(&user.tags), ..listed_user(user) }
}

/// A user as listings show it: without tags and boundary. (IAM API Reference, `ListUsers`.)
pub(super) fn listed_user(user: &identity::User) -> User {
    User {
        path: user.path.clone(),
        user_name: user.name.clone(),
        user_id: user.id.clone(),
        arn: user.arn().as_str().to_owned(),
        create_date: user.created,
        password_last_used: None,
        permissions_boundary: None,
        tags: None,
    }
}

/// A group.
pub(super) fn group(group: &identity::Group) -> Group {
    Group {
        path: group.path.clone(),
        group_name: group.name.clone(),
        group_id: group.id.clone(),
        arn: group.arn().as_str().to_owned(),
        create_date: group.created,
    }
}

/// A role, with tags and boundary.
pub(super) fn role(role: &identity::Role) -> Role {
    Role {
        permissions_boundary: boundary(role.boundary.as_ref()),
        tags: tags(&role.tags),
        role_last_used: Some(RoleLastUsed::default()),
        ..listed_role(role)
    }
}

/// A role as listings show it. (IAM API Reference, `ListRoles`.)
pub(super) fn listed_role(role: &identity::Role) -> Role {
    Role {
        path: role.path.clone(),
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: role.arn().as_str().to_owned(),
        create_date: role.created,
        assume_role_policy_document: Some(encoded(&role.trust)),
        description: role.description.clone(),
        max_session_duration: i32::try_from(role.max_session.as_secs()).ok(),
        ..Role::default()
    }
}

/// A managed policy, with description and tags.
pub(super) fn policy(policy: &ManagedPolicy, counts: &Counts) -> Policy {
    Policy { description: policy.description.clone(), tags: tags(&policy.tags), ..listed_policy(policy, counts) }
}

/// A managed policy as listings show it. (IAM API Reference, `ListPolicies`.)
pub(super) fn listed_policy(policy: &ManagedPolicy, counts: &Counts) -> Policy {
    let arn = policy.arn();
    let (attached, bounding) = counts.of(arn.as_str());
    Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: Some(policy.id.clone()),
        path: Some(policy.path.clone()),
        default_version_id: Some(version_id(policy.default_version)),
        attachment_count: Some(attached),
        permissions_boundary_usage_count: Some(bounding),
        is_attachable: Some(true),
        description: None,
        create_date: Some(policy.created),
        update_date: Some(policy.updated),
        tags: None,
        arn: Some(arn.as_str().to_owned()),
    }
}

/// A version of a managed policy, without its document.
pub(super) fn version(policy: &ManagedPolicy, number: u32, version: &identity::PolicyVersion) -> PolicyVersion {
    PolicyVersion {
        document: None,
        version_id: Some(version_id(number)),
        is_default_version: Some(number == policy.default_version),
        create_date: Some(version.created),
    }
}

/// `v1`.
pub(super) fn version_id(number: u32) -> String {
    format!("v{number}")
}

/// A managed policy that is attached.
pub(super) fn attached(arn: &str) -> AttachedPolicy {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    AttachedPolicy { policy_name: Some(name.to_owned()), policy_arn: Some(arn.to_owned()) }
}

/// An access key of `user`; the root's has no user name.
pub(super) fn access_key(user: Option<&str>, key: &identity::AccessKey) -> AccessKeyMetadata {
    AccessKeyMetadata {
        user_name: user.map(str::to_owned),
        access_key_id: Some(key.id.clone()),
        status: Some(status(key.active).to_owned()),
        create_date: Some(key.created),
    }
}

/// `Active` or `Inactive`.
pub(super) fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

/// A user's password, of which there is little to show.
pub(super) fn login_profile(user: &str, profile: &identity::LoginProfile) -> LoginProfile {
    LoginProfile {
        user_name: user.to_owned(),
        create_date: profile.created,
        password_reset_required: Some(profile.reset_required),
    }
}

/// `None` without tags: answers leave the element out.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Option<Vec<Tag>> {
    let list = tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() });
    (!tags.is_empty()).then(|| list.collect())
}

/// A permissions boundary. Its type is `Policy`, as in genuine records.
pub(super) fn boundary(arn: Option<&String>) -> Option<AttachedPermissionsBoundary> {
    arn.map(|arn| AttachedPermissionsBoundary {
        permissions_boundary_type: Some("Policy".to_owned()),
        permissions_boundary_arn: Some(arn.clone()),
    })
}

/// How often each managed policy is attached in an account, and how often it is a boundary.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<String, (i32, i32)>);

impl Counts {
    pub(super) fn new(account: &Account) -> Self {
        let mut counts = Self::default();
        let users = account.users.values().map(|user| (&user.rights, user.boundary.as_ref()));
        let groups = account.groups.values().map(|group| (&group.rights, None));
        let roles = account.roles.values().map(|role| (&role.rights, role.boundary.as_ref()));
        for (rights, boundary) in users.chain(groups).chain(roles) {
            rights.attached.iter().for_each(|arn| counts.0.entry(arn.clone()).or_default().0 += 1);
            boundary.into_iter().for_each(|arn| counts.0.entry(arn.clone()).or_default().1 += 1);
        }
        counts
    }

    /// Attachments and uses as boundary.
    pub(super) fn of(&self, arn: &str) -> (i32, i32) {
        self.0.get(arn).copied().unwrap_or_default()
    }
}
