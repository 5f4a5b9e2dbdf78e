use opentrail_identity::{Edit, ManagedPolicy, PolicyVersion};
use opentrail_wire::iam::{
    self, CreatePolicyVersionInput, CreatePolicyVersionOutput, DeletePolicyVersionInput, DeletePolicyVersionOutput,
    GetPolicyVersionInput, GetPolicyVersionOutput, ListPolicyVersionsInput, ListPolicyVersionsOutput,
    SetDefaultPolicyVersionInput, SetDefaultPolicyVersionOutput,
};

use super::asked::{Asked, Circumstances};
use super::document::{encoded, managed_policy};
use super::page::{Page, page};
use super::{Outcome, error, quota, shapes};

/// Makes a version of a managed policy, at most five in all.
pub(super) async fn create_policy_version(
    asked: Asked<'_>,
    input: CreatePolicyVersionInput,
) -> Outcome<CreatePolicyVersionOutput> {
    let mut policy = asked.own_policy(&input.policy_arn, &Circumstances::default())?;
    if policy.versions.len() >= quota::VERSIONS {
        return Err(error::too_many_versions(quota::VERSIONS));
    }
    let version = PolicyVersion { document: managed_policy(&input.policy_document)?, created: asked.now() };
    policy.latest_version += 1;
    let number = policy.latest_version;
    if input.set_as_default == Some(true) {
        policy.default_version = number;
        policy.updated = asked.now();
    }
    let told = shapes::version(&policy, number, &version);
    policy.versions.insert(number, version);
    put(asked, policy).await?;
    Ok(CreatePolicyVersionOutput { policy_version: Some(told) })
}

/// A version of a managed policy, with its document.
pub(super) fn get_policy_version(asked: &Asked<'_>, input: &GetPolicyVersionInput) -> Outcome<GetPolicyVersionOutput> {
    let policy = asked.policy(&input.policy_arn)?;
    let (number, version) = find(&policy, &input.version_id)?;
    let told =
        iam::PolicyVersion { document: Some(encoded(&version.document)), ..shapes::version(&policy, number, version) };
    Ok(GetPolicyVersionOutput { policy_version: Some(told) })
}

/// The versions of a managed policy, the newest first.
pub(super) fn list_policy_versions(
    asked: &Asked<'_>,
    input: &ListPolicyVersionsInput,
) -> Outcome<ListPolicyVersionsOutput> {
    let policy = asked.policy(&input.policy_arn)?;
    let newest_first = policy.versions.iter().rev();
    let items = newest_first
        .map(|(number, version)| (format!("{:010}", u32::MAX - number), shapes::version(&policy, *number, version)));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(ListPolicyVersionsOutput { versions: Some(items), is_truncated, marker })
}

/// Takes a version away that is not in force.
pub(super) async fn delete_policy_version(
    asked: Asked<'_>,
    input: DeletePolicyVersionInput,
) -> Outcome<DeletePolicyVersionOutput> {
    let mut policy = asked.own_policy(&input.policy_arn, &Circumstances::default())?;
    let (number, _) = find(&policy, &input.version_id)?;
    if number == policy.default_version {
        return Err(error::default_version());
    }
    policy.versions.remove(&number);
    put(asked, policy).await?;
    Ok(DeletePolicyVersionOutput {})
}

/// Puts a version into force.
pub(super) async fn set_default_policy_version(
    asked: Asked<'_>,
    input: SetDefaultPolicyVersionInput,
) -> Outcome<SetDefaultPolicyVersionOutput> {
    let mut policy = asked.own_policy(&input.policy_arn, &Circumstances::default())?;
    policy.default_version = find(&policy, &input.version_id)?.0;
    policy.updated = asked.now();
    put(asked, policy).await?;
    Ok(SetDefaultPolicyVersionOutput {})
}

fn find<'p>(policy: &'p ManagedPolicy, id: &str) -> Outcome<(u32, &'p PolicyVersion)> {
    let number = id.strip_prefix('v').and_then(|digits| digits.parse().ok());
    let found = number.and_then(|number: u32| Some((number, policy.versions.get(&number)?)));
    found.ok_or_else(|| error::no_version(policy.arn().as_str(), id))
}

async fn put(asked: Asked<'_>, policy: ManagedPolicy) -> Outcome<()> {
    let account = asked.account_id();
    asked.commit(&[Edit::PutPolicy(account, Box::new(policy))]).await
}
