use opentrail_identity::{Edit, Group, Rights, name_key, new_entity_id};
use opentrail_wire::iam::{
    AddUserToGroupInput, AddUserToGroupOutput, CreateGroupInput, CreateGroupOutput, DeleteGroupInput,
    DeleteGroupOutput, GetGroupInput, GetGroupOutput, ListGroupsInput, ListGroupsOutput, RemoveUserFromGroupInput,
    RemoveUserFromGroupOutput, UpdateGroupInput, UpdateGroupOutput,
};

use super::asked::{Asked, Circumstances, changeable_user};
use super::page::{Page, page};
use super::{Outcome, error, quota, shapes};

/// Makes a group.
pub(super) async fn create_group(asked: Asked<'_>, input: CreateGroupInput) -> Outcome<CreateGroupOutput> {
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    asked.authorize(&asked.arn("group", &path, &input.group_name), None, &Circumstances::default())?;
    let account = asked.account()?;
    if account.group(&input.group_name).is_some() {
        return Err(error::exists("Group", &input.group_name));
    }
    if account.groups.len() >= quota::GROUPS {
        return Err(error::quota("GroupsPerAccount", quota::GROUPS));
    }
    let group = Group {
        account: asked.account_id(),
        name: input.group_name,
        path,
        id: new_entity_id("AGPA", &*asked.cx.services.random),
        created: asked.now(),
        rights: Rights::default(),
    };
    let output = CreateGroupOutput { group: shapes::group(&group) };
    asked.commit(&[Edit::PutGroup(Box::new(group))]).await?;
    Ok(output)
}

/// A group and its users.
pub(super) fn get_group(asked: &Asked<'_>, input: &GetGroupInput) -> Outcome<GetGroupOutput> {
    let group = asked.group(&input.group_name)?;
    let key = name_key(&group.name);
    let users = asked.account()?.users.iter().filter(|(_, user)| user.groups.contains(&key));
    let items = users.map(|(key, user)| (key.clone(), shapes::listed_user(user)));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(GetGroupOutput { group: shapes::group(&group), users: items, is_truncated, marker })
}

/// The account's groups.
pub(super) fn list_groups(asked: &Asked<'_>, input: &ListGroupsInput) -> Outcome<ListGroupsOutput> {
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    asked.authorize(&asked.arn("group", prefix, ""), None, &Circumstances::default())?;
    let groups = asked.account()?.groups.iter().filter(|(_, group)| group.path.starts_with(prefix));
    let items = groups.map(|(key, group)| (key.clone(), shapes::group(group)));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(ListGroupsOutput { groups: items, is_truncated, marker })
}

/// Gives a group another name or path. Its users stay in it.
pub(super) async fn update_group(asked: Asked<'_>, input: UpdateGroupInput) -> Outcome<UpdateGroupOutput> {
    let mut group = Box::new((*asked.group(&input.group_name)?).clone());
    let old = group.name.clone();
    group.path = input.new_path.unwrap_or(group.path);
    group.name = input.new_group_name.unwrap_or(group.name);
    asked.authorize(group.arn().as_str(), None, &Circumstances::default())?;
    let (old_key, new_key) = (name_key(&old), name_key(&group.name));
    let account = asked.account()?;
    if old_key != new_key && account.group(&group.name).is_some() {
        return Err(error::exists("Group", &group.name));
    }
    let mut edits = vec![Edit::DeleteGroup(group.account, old), Edit::PutGroup(group)];
    if old_key != new_key {
        for user in account.users.values().filter(|user| user.groups.contains(&old_key)) {
            let mut user = Box::new((**user).clone());
            user.groups.remove(&old_key);
            user.groups.insert(new_key.clone());
            edits.push(Edit::PutUser(user));
        }
    }
    asked.commit(&edits).await?;
    Ok(UpdateGroupOutput {})
}

/// Takes a group away, once nobody is in it and nothing is attached.
pub(super) async fn delete_group(asked: Asked<'_>, input: DeleteGroupInput) -> Outcome<DeleteGroupOutput> {
    let group = asked.group(&input.group_name)?;
    let key = name_key(&group.name);
    if asked.account()?.users.values().any(|user| user.groups.contains(&key)) {
        return Err(error::conflict("remove users from group"));
    }
    if !group.rights.attached.is_empty() {
        return Err(error::conflict("detach all policies"));
    }
    if !group.rights.inline.is_empty() {
        return Err(error::conflict("delete policies"));
    }
    asked.commit(&[Edit::DeleteGroup(group.account, group.name.clone())]).await?;
    Ok(DeleteGroupOutput {})
}

/// Puts a user into a group. One that is in it already stays there.
pub(super) async fn add_user_to_group(asked: Asked<'_>, input: AddUserToGroupInput) -> Outcome<AddUserToGroupOutput> {
    let group = asked.group(&input.group_name)?;
    let user = asked.account()?.user(&input.user_name).ok_or_else(|| error::no_user(&input.user_name))?;
    let mut user = changeable_user(user.clone())?;
    user.groups.insert(name_key(&group.name));
    if user.groups.len() > quota::GROUPS_PER_USER {
        return Err(error::quota("GroupsPerUser", quota::GROUPS_PER_USER));
    }
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(AddUserToGroupOutput {})
}

/// Takes a user out of a group.
pub(super) async fn remove_user_from_group(
    asked: Asked<'_>,
    input: RemoveUserFromGroupInput,
) -> Outcome<RemoveUserFromGroupOutput> {
    let group = asked.group(&input.group_name)?;
    let user = asked.account()?.user(&input.user_name).ok_or_else(|| error::no_user(&input.user_name))?;
    let mut user = Box::new((**user).clone());
    if !user.groups.remove(&name_key(&group.name)) {
        return Err(error::not_a_member(&input.user_name, &input.group_name));
    }
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(RemoveUserFromGroupOutput {})
}
