use std::collections::BTreeMap;

use opentrail_identity::{Edit, ManagedPolicy, PolicyVersion, Rights, aws_policies, new_entity_id};
use opentrail_wire::iam::{
    CreatePolicyInput, CreatePolicyOutput, DeletePolicyInput, DeletePolicyOutput, GetPolicyInput, GetPolicyOutput,
    ListEntitiesForPolicyInput, ListEntitiesForPolicyOutput, ListPoliciesInput, ListPoliciesOutput, PolicyGroup,
    PolicyRole, PolicyUser,
};

use super::asked::{Asked, Circumstances};
use super::document::managed_policy;
use super::page::{Page, page};
use super::shapes::Counts;
use super::{Outcome, error, quota, shapes, tag};

/// Makes a managed policy; the document is its version `v1`.
pub(super) async fn create_policy(asked: Asked<'_>, input: CreatePolicyInput) -> Outcome<CreatePolicyOutput> {
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let tags = input.tags.unwrap_or_default();
    let circumstances = Circumstances { tags: &tags, ..Circumstances::default() };
    asked.authorize(&asked.arn("policy", &path, &input.policy_name), None, &circumstances)?;
    let account = asked.account()?;
    if account.policies.contains_key(&opentrail_identity::name_key(&input.policy_name)) {
        return Err(error::policy_exists(&input.policy_name));
    }
    if account.policies.len() >= quota::POLICIES {
        return Err(error::quota("PoliciesPerAccount", quota::POLICIES));
    }
    let created = asked.now();
    let version = PolicyVersion { document: managed_policy(&input.policy_document)?, created };
    let policy = ManagedPolicy {
        account: Some(account.id),
        name: input.policy_name,
        path,
        id: new_entity_id("ANPA", &*asked.cx.services.random),
        created,
        updated: created,
        description: input.description,
        tags: tag::new_tags(&tags)?,
        versions: BTreeMap::from([(1, version)]),
        default_version: 1,
        latest_version: 1,
    };
    // AWS's answer to CreatePolicy has no description. (IAM API Reference, `Policy`.)
    let mut told = shapes::policy(&policy, &Counts::default());
    told.description = None;
    let id = account.id;
    asked.commit(&[Edit::PutPolicy(id, Box::new(policy))]).await?;
    Ok(CreatePolicyOutput { policy: Some(told) })
}

/// A managed policy, without its document.
pub(super) fn get_policy(asked: &Asked<'_>, input: &GetPolicyInput) -> Outcome<GetPolicyOutput> {
    let policy = asked.policy(&input.policy_arn)?;
    Ok(GetPolicyOutput { policy: Some(shapes::policy(&policy, &Counts::new(asked.account()?))) })
}

/// Managed policies: the account's own, those that every account has, or both.
pub(super) fn list_policies(asked: &Asked<'_>, input: &ListPoliciesInput) -> Outcome<ListPoliciesOutput> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    asked.authorize(&asked.arn("policy", prefix, ""), None, &Circumstances::default())?;
    let account = asked.account()?;
    let counts = Counts::new(account);
    let scope = input.scope.as_deref().unwrap_or("All");
    let own = account.policies.values().map(|policy| &**policy).filter(|_| scope != "AWS");
    let everybodys: Vec<&ManagedPolicy> = aws_policies().filter(|_| scope != "Local").collect();
    let mut policies: BTreeMap<String, &ManagedPolicy> = BTreeMap::new();
    for policy in own.chain(everybodys) {
        let arn = policy.arn().as_str().to_owned();
        let (attached, bounding) = counts.of(&arn);
        let used = match input.policy_usage_filter.as_deref() {
            Some("PermissionsPolicy") => attached > 0,
            Some("PermissionsBoundary") => bounding > 0,
            _ => attached + bounding > 0,
        };
        let wanted = used || (input.only_attached != Some(true) && input.policy_usage_filter.is_none());
        if wanted && policy.path.starts_with(prefix) {
            let owner = policy.account.map_or("aws", |_| "own");
            policies.insert(format!("{owner}/{}", policy.name), policy);
        }
    }
    let items = policies.into_iter().map(|(key, policy)| (key, shapes::listed_policy(policy, &counts)));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(ListPoliciesOutput { policies: Some(items), is_truncated, marker })
}

/// Takes a managed policy away that nothing uses and that has one version.
pub(super) async fn delete_policy(asked: Asked<'_>, input: DeletePolicyInput) -> Outcome<DeletePolicyOutput> {
    let policy = asked.own_policy(&input.policy_arn, &Circumstances::default())?;
    let account = asked.account()?;
    if Counts::new(account).of(&input.policy_arn) != (0, 0) {
        return Err(error::attached_policy());
    }
    if policy.versions.len() > 1 {
        return Err(error::policy_with_versions());
    }
    let id = account.id;
    asked.commit(&[Edit::DeletePolicy(id, policy.name)]).await?;
    Ok(DeletePolicyOutput {})
}

/// Someone who has a managed policy.
enum Entity {
    Group(PolicyGroup),
    User(PolicyUser),
    Role(PolicyRole),
}

/// The users, groups and roles that have a managed policy, attached or as boundary.
pub(super) fn list_entities_for_policy(
    asked: &Asked<'_>,
    input: &ListEntitiesForPolicyInput,
) -> Outcome<ListEntitiesForPolicyOutput> {
    asked.policy(&input.policy_arn)?;
    let account = asked.account()?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let arn = &input.policy_arn;
    let has = |rights: &Rights, boundary: Option<&String>, path: &str| {
        let attached =
            rights.attached.contains(arn) && input.policy_usage_filter.as_deref() != Some("PermissionsBoundary");
        let bounds = boundary == Some(arn) && input.policy_usage_filter.as_deref() != Some("PermissionsPolicy");
        path.starts_with(prefix) && (attached || bounds)
    };
    let wanted = |kind| input.entity_filter.as_deref().is_none_or(|filter| filter == kind);
    let mut found: Vec<(String, Entity)> = Vec::new();
    for (key, group) in account.groups.iter().filter(|(_, group)| has(&group.rights, None, &group.path)) {
        let group = PolicyGroup { group_name: Some(group.name.clone()), group_id: Some(group.id.clone()) };
        found.extend(wanted("Group").then(|| (format!("group/{key}"), Entity::Group(group))));
    }
    for (key, role) in account.roles.iter().filter(|(_, role)| has(&role.rights, role.boundary.as_ref(), &role.path)) {
        let role = PolicyRole { role_name: Some(role.name.clone()), role_id: Some(role.id.clone()) };
        found.extend(wanted("Role").then(|| (format!("role/{key}"), Entity::Role(role))));
    }
    for (key, user) in account.users.iter().filter(|(_, user)| has(&user.rights, user.boundary.as_ref(), &user.path)) {
        let user = PolicyUser { user_name: Some(user.name.clone()), user_id: Some(user.id.clone()) };
        found.extend(wanted("User").then(|| (format!("user/{key}"), Entity::User(user))));
    }
    let Page { items, is_truncated, marker } = page(asked, found, input.marker.as_deref(), input.max_items)?;
    let (mut groups, mut users, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Entity::Group(group) => groups.push(group),
            Entity::User(user) => users.push(user),
            Entity::Role(role) => roles.push(role),
        }
    }
    Ok(ListEntitiesForPolicyOutput {
        policy_groups: Some(groups),
        policy_users: Some(users),
        policy_roles: Some(roles),
        is_truncated,
        marker,
    })
}
