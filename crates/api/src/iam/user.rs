use std::collections::BTreeSet;

use opentrail_identity::{Edit, Origin, Rights, User, name_key, new_entity_id};
use opentrail_model::Timestamp;
use opentrail_wire::iam::{
    self, CreateUserInput, CreateUserOutput, DeleteUserInput, DeleteUserOutput, GetUserInput, GetUserOutput,
    ListGroupsForUserInput, ListGroupsForUserOutput, ListUsersInput, ListUsersOutput, UpdateUserInput,
    UpdateUserOutput,
};

use super::asked::{Asked, Circumstances};
use super::page::{Page, page};
use super::{Outcome, boundary, error, quota, shapes, tag};

/// Makes a user, who may do nothing yet.
pub(super) async fn create_user(asked: Asked<'_>, input: CreateUserInput) -> Outcome<CreateUserOutput> {
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let tags = input.tags.unwrap_or_default();
    let bound = input.permissions_boundary;
    let circumstances = Circumstances { boundary: bound.as_deref(), tags: &tags, ..Circumstances::default() };
    asked.authorize(&asked.arn("user", &path, &input.user_name), None, &circumstances)?;
    let account = asked.account()?;
    if account.user(&input.user_name).is_some() {
        return Err(error::exists("User", &input.user_name));
    }
    if account.users.len() >= quota::USERS {
        return Err(error::quota("UsersPerAccount", quota::USERS));
    }
    bound.as_deref().map_or(Ok(()), |arn| boundary::check(account, arn))?;
    let user = User {
        account: asked.account_id(),
        name: input.user_name,
        path,
        id: new_entity_id("AIDA", &*asked.cx.services.random),
        created: asked.now(),
        tags: tag::new_tags(&tags)?,
        rights: Rights::default(),
        groups: BTreeSet::new(),
        boundary: bound,
        login: None,
        access_keys: Vec::new(),
        origin: Origin::Api,
    };
    let output = CreateUserOutput { user: Some(shapes::user(&user)) };
    asked.commit(&[Edit::PutUser(Box::new(user))]).await?;
    Ok(output)
}

/// A user; without a name, the caller.
pub(super) fn get_user(asked: &Asked<'_>, input: &GetUserInput) -> Outcome<GetUserOutput> {
    if input.user_name.is_none() && asked.own_name()?.is_none() {
        return Ok(GetUserOutput { user: root(asked) });
    }
    let user = asked.user_or_own(input.user_name.as_deref())?;
    Ok(GetUserOutput { user: shapes::user(&user) })
}

/// The root as a user: its account's digits and ARN. When the account was made is not kept and shown as the epoch; a
/// choice. AWS gives it no name and no path: `dispatch` takes the empty elements out.
fn root(asked: &Asked<'_>) -> iam::User {
    iam::User {
        user_id: asked.account_id().to_string(),
        arn: asked.cx.call.principal.arn().as_str().to_owned(),
        create_date: Timestamp::EPOCH,
        ..iam::User::default()
    }
}

/// The account's users.
pub(super) fn list_users(asked: &Asked<'_>, input: &ListUsersInput) -> Outcome<ListUsersOutput> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    asked.authorize(&asked.arn("user", prefix, ""), None, &Circumstances::default())?;
    let users = asked.account()?.users.iter().filter(|(_, user)| user.path.starts_with(prefix));
    let items = users.map(|(key, user)| (key.clone(), shapes::listed_user(user)));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(ListUsersOutput { users: items, is_truncated, marker })
}

/// Gives a user another name or path. Id and keys stay.
pub(super) async fn update_user(asked: Asked<'_>, input: UpdateUserInput) -> Outcome<UpdateUserOutput> {
    let mut user = asked.changeable_user(&input.user_name, &Circumstances::default())?;
    let old = user.name.clone();
    user.path = input.new_path.unwrap_or(user.path);
    user.name = input.new_user_name.unwrap_or(user.name);
    asked.authorize(user.arn().as_str(), Some(&user.tags), &Circumstances::default())?;
    if name_key(&old) != name_key(&user.name) && asked.account()?.user(&user.name).is_some() {
        return Err(error::exists("User", &user.name));
    }
    let account = asked.account_id();
    asked.commit(&[Edit::DeleteUser(account, old), Edit::PutUser(user)]).await?;
    Ok(UpdateUserOutput {})
}

/// Takes a user away, once nothing belongs to it any more.
pub(super) async fn delete_user(asked: Asked<'_>, input: DeleteUserInput) -> Outcome<DeleteUserOutput> {
    let user = asked.changeable_user(&input.user_name, &Circumstances::default())?;
    if !user.access_keys.is_empty() {
        return Err(error::conflict("delete access keys"));
    }
    if user.login.is_some() {
        return Err(error::conflict("delete login profile"));
    }
    if !user.rights.attached.is_empty() {
        return Err(error::conflict("detach all policies"));
    }
    if !user.rights.inline.is_empty() {
        return Err(error::conflict("delete policies"));
    }
    if !user.groups.is_empty() {
        return Err(error::conflict("remove user from all groups"));
    }
    asked.commit(&[Edit::DeleteUser(user.account, user.name)]).await.map(|()| DeleteUserOutput {})
}

/// The groups that a user is in.
pub(super) fn list_groups_for_user(
    asked: &Asked<'_>,
    input: &ListGroupsForUserInput,
) -> Outcome<ListGroupsForUserOutput> {
    let user = asked.user(&input.user_name)?;
    let groups = &asked.account()?.groups;
    let groups = user.groups.iter().filter_map(|key| Some((key.clone(), shapes::group(groups.get(key)?))));
    let Page { items, is_truncated, marker } = page(asked, groups, input.marker.as_deref(), input.max_items)?;
    Ok(ListGroupsForUserOutput { groups: items, is_truncated, marker })
}
