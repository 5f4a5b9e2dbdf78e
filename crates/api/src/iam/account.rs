use std::collections::BTreeMap;

use opentrail_identity::{Account, Edit, ManagedPolicy, Origin, Rights, aws_policies, is_alias};
use opentrail_wire::iam::{
    AttachedPolicy, CreateAccountAliasInput, CreateAccountAliasOutput, DeleteAccountAliasInput,
    DeleteAccountAliasOutput, GetAccountAuthorizationDetailsInput, GetAccountAuthorizationDetailsOutput,
    GetAccountSummaryOutput, GroupDetail, ListAccountAliasesInput, ListAccountAliasesOutput, ManagedPolicyDetail,
    PolicyDetail, PolicyVersion, RoleDetail, UserDetail,
};

use super::asked::{Asked, Circumstances};
use super::document::encoded;
use super::page::{Page, page};
use super::shapes::{self, Counts};
use super::{Outcome, error, quota};

/// Names the account. It has one alias at most; a new one takes the old one's place.
pub(super) async fn create_account_alias(
    asked: Asked<'_>,
    input: CreateAccountAliasInput,
) -> Outcome<CreateAccountAliasOutput> {
    asked.authorize("*", None, &Circumstances::default())?;
    let account = asked.account()?;
    if account.alias_origin == Origin::Configuration {
        return Err(error::configured("account alias", account.alias.as_deref().unwrap_or_default()));
    }
    if !is_alias(&input.account_alias) {
        return Err(error::invalid(format!("{} is not a valid account alias.", input.account_alias)));
    }
    let id = account.id;
    let taken = |other: &Account| other.id != id && other.alias.as_ref() == Some(&input.account_alias);
    if asked.identities().accounts().any(taken) {
        return Err(error::alias_exists(&input.account_alias));
    }
    asked.commit(&[Edit::SetAlias(id, Some(input.account_alias))]).await?;
    Ok(CreateAccountAliasOutput {})
}

/// Takes the account's alias away.
pub(super) async fn delete_account_alias(
    asked: Asked<'_>,
    input: DeleteAccountAliasInput,
) -> Outcome<DeleteAccountAliasOutput> {
    asked.authorize("*", None, &Circumstances::default())?;
    let account = asked.account()?;
    if account.alias.as_ref() != Some(&input.account_alias) {
        return Err(error::no_alias(&input.account_alias));
    }
    if account.alias_origin == Origin::Configuration {
        return Err(error::configured("account alias", &input.account_alias));
    }
    let id = account.id;
    asked.commit(&[Edit::SetAlias(id, None)]).await?;
    Ok(DeleteAccountAliasOutput {})
}

/// The account's alias, if it has one.
pub(super) fn list_account_aliases(
    asked: &Asked<'_>,
    input: &ListAccountAliasesInput,
) -> Outcome<ListAccountAliasesOutput> {
    asked.authorize("*", None, &Circumstances::default())?;
    let alias = asked.account()?.alias.iter().map(|alias| (alias.clone(), alias.clone()));
    let Page { items, is_truncated, marker } = page(asked, alias, input.marker.as_deref(), input.max_items)?;
    Ok(ListAccountAliasesOutput { account_aliases: items, is_truncated, marker })
}

/// How much the account holds and may hold.
pub(super) fn get_account_summary(asked: &Asked<'_>) -> Outcome<GetAccountSummaryOutput> {
    asked.authorize("*", None, &Circumstances::default())?;
    let account = asked.account()?;
    let versions = account.policies.values().map(|policy| policy.versions.len()).sum();
    let counts = [
        ("AccessKeysPerUserQuota", quota::ACCESS_KEYS),
        ("AccountAccessKeysPresent", usize::from(!account.root_keys.is_empty())),
        ("AccountMFAEnabled", 0),
        ("AccountPasswordPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("AssumeRolePolicySizeQuota", quota::TRUST_POLICY_SIZE),
        ("AttachedPoliciesPerGroupQuota", quota::ATTACHED),
        ("AttachedPoliciesPerRoleQuota", quota::ATTACHED),
        ("AttachedPoliciesPerUserQuota", quota::ATTACHED),
        ("GroupPolicySizeQuota", quota::GROUP_POLICY_SIZE),
        ("Groups", account.groups.len()),
        ("GroupsPerUserQuota", quota::GROUPS_PER_USER),
        ("GroupsQuota", quota::GROUPS),
        ("InstanceProfiles", 0),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("Policies", account.policies.len()),
        ("PoliciesQuota", quota::POLICIES),
        ("PolicySizeQuota", quota::MANAGED_POLICY_SIZE),
        ("PolicyVersionsInUse", versions),
        ("Providers", 0),
        ("RolePolicySizeQuota", quota::ROLE_POLICY_SIZE),
        ("Roles", account.roles.len()),
        ("RolesQuota", quota::ROLES),
        ("ServerCertificates", 0),
        ("UserPolicySizeQuota", quota::USER_POLICY_SIZE),
        ("Users", account.users.len()),
        ("UsersQuota", quota::USERS),
        ("VersionsPerPolicyQuota", quota::VERSIONS),
    ];
    let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), i32::try_from(count).unwrap_or(i32::MAX)));
    Ok(GetAccountSummaryOutput { summary_map: Some(counts.collect()) })
}

/// One entry of the account's details.
enum Detail {
    User(UserDetail),
    Group(GroupDetail),
    Role(Box<RoleDetail>),
    Policy(ManagedPolicyDetail),
}

/// Everybody in the account, with their policies; of the policies that every account has, those in use.
pub(super) fn get_account_authorization_details(
    asked: &Asked<'_>,
    input: &GetAccountAuthorizationDetailsInput,
) -> Outcome<GetAccountAuthorizationDetailsOutput> {
    asked.authorize("*", None, &Circumstances::default())?;
    let account = asked.account()?;
    let filter = input.filter.as_deref().unwrap_or_default();
    let wanted = |kind: &str| filter.is_empty() || filter.iter().any(|one| one == kind);
    let mut found = Vec::new();
    if wanted("Group") {
        found
            .extend(account.groups.iter().map(|(key, group)| (format!("1/{key}"), Detail::Group(group_detail(group)))));
    }
    if wanted("LocalManagedPolicy") || wanted("AWSManagedPolicy") {
        found.extend(policies(account, &wanted));
    }
    if wanted("Role") {
        let detail = |role| Detail::Role(Box::new(role_detail(role)));
        found.extend(account.roles.iter().map(|(key, role)| (format!("3/{key}"), detail(role))));
    }
    if wanted("User") {
        let detail = |user| Detail::User(user_detail(account, user));
        found.extend(account.users.iter().map(|(key, user)| (format!("4/{key}"), detail(user))));
    }
    let Page { items, is_truncated, marker } = page(asked, found, input.marker.as_deref(), input.max_items)?;
    let (mut users, mut groups, mut roles, mut policies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Detail::User(user) => users.push(user),
            Detail::Group(group) => groups.push(group),
            Detail::Role(role) => roles.push(*role),
            Detail::Policy(policy) => policies.push(policy),
        }
    }
    Ok(GetAccountAuthorizationDetailsOutput {
        user_detail_list: Some(users),
        group_detail_list: Some(groups),
        role_detail_list: Some(roles),
        policies: Some(policies),
        is_truncated,
        marker,
    })
}

/// The policies among the details, by name.
fn policies(account: &Account, wanted: &impl Fn(&str) -> bool) -> Vec<(String, Detail)> {
    let counts = Counts::new(account);
    let own = account.policies.values().map(|policy| &**policy).filter(|_| wanted("LocalManagedPolicy"));
    let used = |policy: &&ManagedPolicy| counts.of(policy.arn().as_str()) != (0, 0);
    let everybodys: Vec<&ManagedPolicy> = aws_policies().filter(|_| wanted("AWSManagedPolicy")).filter(used).collect();
    let details: BTreeMap<String, Detail> = own
        .chain(everybodys)
        .map(|policy| (policy_key(policy), Detail::Policy(policy_detail(policy, &counts))))
        .collect();
    details.into_iter().collect()
}

fn policy_key(policy: &ManagedPolicy) -> String {
    format!("2/{}/{}", policy.account.map_or("aws", |_| "own"), policy.name)
}

fn user_detail(account: &Account, user: &opentrail_identity::User) -> UserDetail {
    let groups = user.groups.iter().filter_map(|key| Some(account.groups.get(key)?.name.clone()));
    UserDetail {
        path: Some(user.path.clone()),
        user_name: Some(user.name.clone()),
        user_id: Some(user.id.clone()),
        arn: Some(user.arn().as_str().to_owned()),
        create_date: Some(user.created),
        user_policy_list: Some(inline(&user.rights)),
        group_list: Some(groups.collect()),
        attached_managed_policies: Some(attached(&user.rights)),
        permissions_boundary: shapes::boundary(user.boundary.as_ref()),
        tags: shapes::tags(&user.tags),
    }
}

fn group_detail(group: &opentrail_identity::Group) -> GroupDetail {
    GroupDetail {
        path: Some(group.path.clone()),
        group_name: Some(group.name.clone()),
        group_id: Some(group.id.clone()),
        arn: Some(group.arn().as_str().to_owned()),
        create_date: Some(group.created),
        group_policy_list: Some(inline(&group.rights)),
        attached_managed_policies: Some(attached(&group.rights)),
    }
}

fn role_detail(role: &opentrail_identity::Role) -> RoleDetail {
    RoleDetail {
        path: Some(role.path.clone()),
        role_name: Some(role.name.clone()),
        role_id: Some(role.id.clone()),
        arn: Some(role.arn().as_str().to_owned()),
        create_date: Some(role.created),
        assume_role_policy_document: Some(encoded(&role.trust)),
        instance_profile_list: Some(Vec::new()),
        role_policy_list: Some(inline(&role.rights)),
        attached_managed_policies: Some(attached(&role.rights)),
        permissions_boundary: shapes::boundary(role.boundary.as_ref()),
        tags: shapes::tags(&role.tags),
        role_last_used: None,
    }
}

fn policy_detail(policy: &ManagedPolicy, counts: &Counts) -> ManagedPolicyDetail {
    let shown = shapes::policy(policy, counts);
    let version = |(number, version): (&u32, &opentrail_identity::PolicyVersion)| PolicyVersion {
        document: Some(encoded(&version.document)),
        ..shapes::version(policy, *number, version)
    };
    ManagedPolicyDetail {
        policy_name: shown.policy_name,
        policy_id: shown.policy_id,
        arn: shown.arn,
        path: shown.path,
        default_version_id: shown.default_version_id,
        attachment_count: shown.attachment_count,
        permissions_boundary_usage_count: shown.permissions_boundary_usage_count,
        is_attachable: shown.is_attachable,
        description: shown.description,
        create_date: shown.create_date,
        update_date: shown.update_date,
        policy_version_list: Some(policy.versions.iter().rev().map(version).collect()),
    }
}

fn inline(rights: &Rights) -> Vec<PolicyDetail> {
    let detail = |(name, document): (&String, _)| PolicyDetail {
        policy_name: Some(name.clone()),
        policy_document: Some(encoded(document)),
    };
    rights.inline.iter().map(detail).collect()
}

fn attached(rights: &Rights) -> Vec<AttachedPolicy> {
    rights.attached.iter().map(|arn| shapes::attached(arn)).collect()
}
