use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use opentrail_identity::Call;
use opentrail_wire::Validate;
use opentrail_wire::iam::{NOT_BUILT, Operation};
use opentrail_wire::query::{self, IAM_NAMESPACE, Params};
use opentrail_wire::sigv4::QueryError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use super::asked::Asked;
use super::{
    Outcome, access_key, account, boundary, credential, group, login_profile, managed_policy, policies, policy_version,
    role, tag, user,
};
use crate::context::{Context, Reply, Services};

const VERSION: &str = "2010-05-08";

/// Errors that every operation can answer, beside those it declares. (IAM API Reference, "Common Error Types".)
/// `UnmodifiableEntity` is declared for roles; that users and aliases of the configuration have it too is a choice, as
/// is `NoSuchEntity` for a key that GetAccessKeyLastUsed does not know.
const COMMON: [&str; 7] = [
    "AccessDenied",
    "InternalFailure",
    "InvalidInput",
    "MalformedInput",
    "NoSuchEntity",
    "UnmodifiableEntity",
    "ValidationError",
];

/// Answers a call of `iam` (awsQuery): parameters in the body, or in the URL as in a presigned GET.
///
/// # Cancellation
/// A change may be stored and not in force. Let the future run to its end even when the client is gone.
pub async fn iam(services: &Services, call: &Call, head: &Parts, body: &Bytes) -> Reply {
    let cx = Context { services, call };
    let (action, answer) = match operation(head, body) {
        Ok((operation, params)) => (operation.name(), run(cx, operation, &params).await),
        Err(error) => ("unknown", Err(error)),
    };
    let error = answer.as_ref().err().map_or("", |error| error.code);
    metrics::counter!("opentrail_api_iam_calls_total", "action" => action, "error" => error).increment(1);
    let response: Response<Bytes> = match answer {
        Ok(result) => query::respond_xml(IAM_NAMESPACE, action, result.as_deref(), &call.request_id),
        Err(error) => query::respond_error(IAM_NAMESPACE, &error, &call.request_id),
    };
    Reply::answer(response)
}

fn operation(head: &Parts, body: &Bytes) -> Outcome<(Operation, Params)> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let params = query::parse_form(if body.is_empty() { query } else { body })?;
    let missing = || {
        let message = "The request must name an action in the parameter Action.";
        QueryError::new("MissingAction", message, StatusCode::BAD_REQUEST)
    };
    let name = params.find("Action").ok_or_else(missing)?;
    if let Some(operation) = Operation::from_name(name) {
        return Ok((operation, params));
    }
    if NOT_BUILT.contains(&name) {
        let message = format!("{name} is not built yet in this version of OpenTrail.");
        return Err(QueryError::new("InvalidAction", message, StatusCode::BAD_REQUEST));
    }
    Err(QueryError::invalid_action(name, params.find("Version").unwrap_or(VERSION)))
}

async fn run(cx: Context<'_>, operation: Operation, params: &Params) -> Outcome<Option<String>> {
    let asked = Asked::new(cx, operation).await;
    let done = handle(asked, operation, params).await;
    if let Err(error) = &done
        && !operation.errors().contains(&error.code)
        && !COMMON.contains(&error.code)
    {
        error!(
            operation = operation.name(),
            code = error.code,
            "the operation answers an error that it does not declare"
        );
        debug_assert!(false, "{} does not declare {}", operation.name(), error.code);
    }
    // Only operations with an output have a result; of those, one output alone has no members.
    done.map(|result| (!result.is_empty() || operation == Operation::UpdateRole).then_some(result))
}

fn read<T: DeserializeOwned + Validate>(params: &Params) -> Outcome<T> {
    query::read_input(params)
}

/// The content of the result.
fn answer(output: &impl Serialize) -> Outcome<String> {
    Ok(query::result_of(output))
}

async fn handle(asked: Asked<'_>, operation: Operation, params: &Params) -> Outcome<String> {
    match operation {
        Operation::AddUserToGroup => answer(&group::add_user_to_group(asked, read(params)?).await?),
        Operation::AttachGroupPolicy => policies::attach_group_policy(asked, read(params)?).await,
        Operation::AttachRolePolicy => policies::attach_role_policy(asked, read(params)?).await,
        Operation::AttachUserPolicy => policies::attach_user_policy(asked, read(params)?).await,
        Operation::ChangePassword => answer(&login_profile::change_password(asked, read(params)?).await?),
        Operation::CreateAccessKey => answer(&access_key::create_access_key(asked, read(params)?).await?),
        Operation::CreateAccountAlias => answer(&account::create_account_alias(asked, read(params)?).await?),
        Operation::CreateGroup => answer(&group::create_group(asked, read(params)?).await?),
        Operation::CreateLoginProfile => answer(&login_profile::create_login_profile(asked, read(params)?).await?),
        Operation::CreatePolicy => answer(&managed_policy::create_policy(asked, read(params)?).await?),
        Operation::CreatePolicyVersion => answer(&policy_version::create_policy_version(asked, read(params)?).await?),
        Operation::CreateRole => answer(&role::create_role(asked, read(params)?).await?),
        Operation::CreateUser => answer(&user::create_user(asked, read(params)?).await?),
        Operation::DeleteAccessKey => answer(&access_key::delete_access_key(asked, read(params)?).await?),
        Operation::DeleteAccountAlias => answer(&account::delete_account_alias(asked, read(params)?).await?),
        Operation::DeleteGroup => answer(&group::delete_group(asked, read(params)?).await?),
        Operation::DeleteGroupPolicy => policies::delete_group_policy(asked, read(params)?).await,
        Operation::DeleteLoginProfile => answer(&login_profile::delete_login_profile(asked, read(params)?).await?),
        Operation::DeletePolicy => answer(&managed_policy::delete_policy(asked, read(params)?).await?),
        Operation::DeletePolicyVersion => answer(&policy_version::delete_policy_version(asked, read(params)?).await?),
        Operation::DeleteRole => answer(&role::delete_role(asked, read(params)?).await?),
        Operation::DeleteRolePermissionsBoundary => {
            answer(&boundary::delete_role_permissions_boundary(asked, read(params)?).await?)
        }
        Operation::DeleteRolePolicy => policies::delete_role_policy(asked, read(params)?).await,
        Operation::DeleteUser => answer(&user::delete_user(asked, read(params)?).await?),
        Operation::DeleteUserPermissionsBoundary => {
            answer(&boundary::delete_user_permissions_boundary(asked, read(params)?).await?)
        }
        Operation::DeleteUserPolicy => policies::delete_user_policy(asked, read(params)?).await,
        Operation::DetachGroupPolicy => policies::detach_group_policy(asked, read(params)?).await,
        Operation::DetachRolePolicy => policies::detach_role_policy(asked, read(params)?).await,
        Operation::DetachUserPolicy => policies::detach_user_policy(asked, read(params)?).await,
        Operation::GetAccessKeyLastUsed => answer(&access_key::get_access_key_last_used(&asked, &read(params)?)?),
        Operation::GetAccountAuthorizationDetails => {
            answer(&account::get_account_authorization_details(&asked, &read(params)?)?)
        }
        Operation::GetAccountSummary => answer(&account::get_account_summary(&asked)?),
        Operation::GetGroup => answer(&group::get_group(&asked, &read(params)?)?),
        Operation::GetGroupPolicy => answer(&policies::get_group_policy(&asked, read(params)?)?),
        Operation::GetLoginProfile => answer(&login_profile::get_login_profile(&asked, &read(params)?)?),
        Operation::GetPolicy => answer(&managed_policy::get_policy(&asked, &read(params)?)?),
        Operation::GetPolicyVersion => answer(&policy_version::get_policy_version(&asked, &read(params)?)?),
        Operation::GetRole => answer(&role::get_role(&asked, &read(params)?)?),
        Operation::GetRolePolicy => answer(&policies::get_role_policy(&asked, read(params)?)?),
        // The root, which has no name and no path, is shown without those elements.
        Operation::GetUser => answer(&user::get_user(&asked, &read(params)?)?)
            .map(|result| result.replace("<Path></Path><UserName></UserName>", "")),
        Operation::GetUserPolicy => answer(&policies::get_user_policy(&asked, read(params)?)?),
        Operation::ListAccessKeys => answer(&access_key::list_access_keys(&asked, &read(params)?)?),
        Operation::ListAccountAliases => answer(&account::list_account_aliases(&asked, &read(params)?)?),
        Operation::ListAttachedGroupPolicies => {
            answer(&policies::list_attached_group_policies(&asked, &read(params)?)?)
        }
        Operation::ListAttachedRolePolicies => answer(&policies::list_attached_role_policies(&asked, &read(params)?)?),
        Operation::ListAttachedUserPolicies => answer(&policies::list_attached_user_policies(&asked, &read(params)?)?),
        Operation::ListEntitiesForPolicy => answer(&managed_policy::list_entities_for_policy(&asked, &read(params)?)?),
        Operation::ListGroupPolicies => answer(&policies::list_group_policies(&asked, &read(params)?)?),
        Operation::ListGroups => answer(&group::list_groups(&asked, &read(params)?)?),
        Operation::ListGroupsForUser => answer(&user::list_groups_for_user(&asked, &read(params)?)?),
        Operation::ListInstanceProfilesForRole => {
            answer(&role::list_instance_profiles_for_role(&asked, &read(params)?)?)
        }
        Operation::ListMFADevices => answer(&credential::list_mfa_devices(&asked, &read(params)?)?),
        Operation::ListPolicies => answer(&managed_policy::list_policies(&asked, &read(params)?)?),
        Operation::ListPolicyTags => answer(&tag::list_policy_tags(&asked, &read(params)?)?),
        Operation::ListPolicyVersions => answer(&policy_version::list_policy_versions(&asked, &read(params)?)?),
        Operation::ListRolePolicies => answer(&policies::list_role_policies(&asked, &read(params)?)?),
        Operation::ListRoleTags => answer(&tag::list_role_tags(&asked, &read(params)?)?),
        Operation::ListRoles => answer(&role::list_roles(&asked, &read(params)?)?),
        Operation::ListSSHPublicKeys => answer(&credential::list_ssh_public_keys(&asked, &read(params)?)?),
        Operation::ListServiceSpecificCredentials => {
            answer(&credential::list_service_specific_credentials(&asked, &read(params)?)?)
        }
        Operation::ListSigningCertificates => answer(&credential::list_signing_certificates(&asked, &read(params)?)?),
        Operation::ListUserPolicies => answer(&policies::list_user_policies(&asked, &read(params)?)?),
        Operation::ListUserTags => answer(&tag::list_user_tags(&asked, &read(params)?)?),
        Operation::ListUsers => answer(&user::list_users(&asked, &read(params)?)?),
        Operation::PutGroupPolicy => policies::put_group_policy(asked, read(params)?).await,
        Operation::PutRolePermissionsBoundary => {
            answer(&boundary::put_role_permissions_boundary(asked, read(params)?).await?)
        }
        Operation::PutRolePolicy => policies::put_role_policy(asked, read(params)?).await,
        Operation::PutUserPermissionsBoundary => {
            answer(&boundary::put_user_permissions_boundary(asked, read(params)?).await?)
        }
        Operation::PutUserPolicy => policies::put_user_policy(asked, read(params)?).await,
        Operation::RemoveUserFromGroup => answer(&group::remove_user_from_group(asked, read(params)?).await?),
        Operation::SetDefaultPolicyVersion => {
            answer(&policy_version::set_default_policy_version(asked, read(params)?).await?)
        }
        Operation::TagPolicy => answer(&tag::tag_policy(asked, read(params)?).await?),
        Operation::TagRole => answer(&tag::tag_role(asked, read(params)?).await?),
        Operation::TagUser => answer(&tag::tag_user(asked, read(params)?).await?),
        Operation::UntagPolicy => answer(&tag::untag_policy(asked, read(params)?).await?),
        Operation::UntagRole => answer(&tag::untag_role(asked, read(params)?).await?),
        Operation::UntagUser => answer(&tag::untag_user(asked, read(params)?).await?),
        Operation::UpdateAccessKey => answer(&access_key::update_access_key(asked, read(params)?).await?),
        Operation::UpdateAssumeRolePolicy => answer(&role::update_assume_role_policy(asked, read(params)?).await?),
        Operation::UpdateGroup => answer(&group::update_group(asked, read(params)?).await?),
        Operation::UpdateLoginProfile => answer(&login_profile::update_login_profile(asked, read(params)?).await?),
        Operation::UpdateRole => answer(&role::update_role(asked, read(params)?).await?),
        Operation::UpdateRoleDescription => answer(&role::update_role_description(asked, read(params)?).await?),
        Operation::UpdateUser => answer(&user::update_user(asked, read(params)?).await?),
    }
}
