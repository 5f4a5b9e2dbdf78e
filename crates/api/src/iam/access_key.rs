use opentrail_identity::{Edit, KeyOwner, User, new_access_key};
use opentrail_wire::iam::{
    AccessKey, AccessKeyLastUsed, CreateAccessKeyInput, CreateAccessKeyOutput, DeleteAccessKeyInput,
    DeleteAccessKeyOutput, GetAccessKeyLastUsedInput, GetAccessKeyLastUsedOutput, ListAccessKeysInput,
    ListAccessKeysOutput, UpdateAccessKeyInput, UpdateAccessKeyOutput,
};

use super::asked::{Asked, Circumstances, changeable_user};
use super::page::{Page, page};
use super::{Outcome, error, quota, shapes};

/// Makes an access key, whose secret is told this once.
pub(super) async fn create_access_key(asked: Asked<'_>, input: CreateAccessKeyInput) -> Outcome<CreateAccessKeyOutput> {
    let mut user = changing(&asked, input.user_name.as_deref())?;
    if user.access_keys.len() >= quota::ACCESS_KEYS {
        return Err(error::quota("AccessKeysPerUser", quota::ACCESS_KEYS));
    }
    let key = new_access_key(asked.now(), &*asked.cx.services.random);
    let told = AccessKey {
        user_name: user.name.clone(),
        access_key_id: key.id.clone(),
        status: shapes::status(key.active).to_owned(),
        secret_access_key: key.secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default(),
        create_date: Some(key.created),
    };
    user.access_keys.push(key);
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(CreateAccessKeyOutput { access_key: told })
}

/// A user's access keys, without secrets; without a name, the caller's.
pub(super) fn list_access_keys(asked: &Asked<'_>, input: &ListAccessKeysInput) -> Outcome<ListAccessKeysOutput> {
    let user;
    let (name, keys) = match &input.user_name {
        None if asked.own_name()?.is_none() => (None, &asked.account()?.root_keys),
        name => {
            user = asked.user_or_own(name.as_deref())?;
            (Some(user.name.as_str()), &user.access_keys)
        }
    };
    let mut items: Vec<_> = keys.iter().map(|key| (key.id.clone(), shapes::access_key(name, key))).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let Page { items, is_truncated, marker } = page(asked, items, input.marker.as_deref(), input.max_items)?;
    Ok(ListAccessKeysOutput { access_key_metadata: items, is_truncated, marker })
}

/// Switches an access key on or off.
pub(super) async fn update_access_key(asked: Asked<'_>, input: UpdateAccessKeyInput) -> Outcome<UpdateAccessKeyOutput> {
    let active = match input.status.as_str() {
        "Active" => true,
        "Inactive" => false,
        other => return Err(error::invalid(format!("Status must be Active or Inactive, not {other}."))),
    };
    let mut user = changing(&asked, input.user_name.as_deref())?;
    let key = user.access_keys.iter_mut().find(|key| key.id == input.access_key_id);
    key.ok_or_else(|| error::no_access_key(&input.access_key_id))?.active = active;
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(UpdateAccessKeyOutput {})
}

/// Takes an access key away.
pub(super) async fn delete_access_key(asked: Asked<'_>, input: DeleteAccessKeyInput) -> Outcome<DeleteAccessKeyOutput> {
    let mut user = changing(&asked, input.user_name.as_deref())?;
    let before = user.access_keys.len();
    user.access_keys.retain(|key| key.id != input.access_key_id);
    if user.access_keys.len() == before {
        return Err(error::no_access_key(&input.access_key_id));
    }
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(DeleteAccessKeyOutput {})
}

/// When and for what a key was last used: a request that was signed with it, this one too. The service model declares
/// no error for a key that is not the account's; that it cannot be found is a choice.
pub(super) fn get_access_key_last_used(
    asked: &Asked<'_>,
    input: &GetAccessKeyLastUsedInput,
) -> Outcome<GetAccessKeyLastUsedOutput> {
    let owner = asked.identities().key(&input.access_key_id).map(|(owner, _)| owner);
    let account = asked.account()?;
    let user = match owner {
        Some(KeyOwner::User(id, name)) if *id == account.id => Some(asked.user(name)?),
        Some(KeyOwner::Root(id)) if *id == account.id => {
            asked.authorize(&asked.arn("root", "", ""), None, &Circumstances::default())?;
            None
        }
        _ => {
            asked.authorize(&asked.arn("user", "/", "*"), None, &Circumstances::default())?;
            return Err(error::no_access_key(&input.access_key_id));
        }
    };
    let used = match asked.cx.services.directory.key_use(&input.access_key_id) {
        Some(used) => AccessKeyLastUsed {
            last_used_date: Some(used.when.floor_secs()),
            service_name: used.service,
            region: used.region,
        },
        None => AccessKeyLastUsed { last_used_date: None, service_name: "N/A".to_owned(), region: "N/A".to_owned() },
    };
    Ok(GetAccessKeyLastUsedOutput { user_name: user.map(|user| user.name.clone()), access_key_last_used: Some(used) })
}

/// The user whose keys are to be changed; without a name, the caller.
fn changing(asked: &Asked<'_>, name: Option<&str>) -> Outcome<Box<User>> {
    if name.is_none() && asked.own_name()?.is_none() {
        return Err(error::root_keys());
    }
    changeable_user(asked.user_or_own(name)?)
}
