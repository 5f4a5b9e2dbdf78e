use std::sync::Arc;

use opentrail_identity::{Edit, LoginProfile, PrincipalKind};
use opentrail_wire::iam::{
    ChangePasswordInput, ChangePasswordOutput, CreateLoginProfileInput, CreateLoginProfileOutput,
    DeleteLoginProfileInput, DeleteLoginProfileOutput, GetLoginProfileInput, GetLoginProfileOutput,
    UpdateLoginProfileInput, UpdateLoginProfileOutput,
};
use opentrail_wire::sigv4::QueryError;

use super::asked::{Asked, Circumstances, changeable_user};
use super::{Outcome, error, shapes};

/// Gives a user a password.
pub(super) async fn create_login_profile(
    asked: Asked<'_>,
    input: CreateLoginProfileInput,
) -> Outcome<CreateLoginProfileOutput> {
    let mut user = changeable_user(asked.user_or_own(input.user_name.as_deref())?)?;
    if user.login.is_some() {
        return Err(error::login_profile_exists(&user.name));
    }
    let password = input.password.ok_or_else(|| QueryError::validation("Password is required."))?;
    let profile = hashed(&asked, password, input.password_reset_required.unwrap_or(false)).await?;
    let output = CreateLoginProfileOutput { login_profile: shapes::login_profile(&user.name, &profile) };
    user.login = Some(profile);
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(output)
}

/// Whether a user has a password, and since when; without a name, the caller.
pub(super) fn get_login_profile(asked: &Asked<'_>, input: &GetLoginProfileInput) -> Outcome<GetLoginProfileOutput> {
    let user = asked.user_or_own(input.user_name.as_deref())?;
    let profile = user.login.as_ref().ok_or_else(|| error::no_login_profile(&user.name))?;
    Ok(GetLoginProfileOutput { login_profile: shapes::login_profile(&user.name, profile) })
}

/// Gives a user another password, or lets it choose one.
pub(super) async fn update_login_profile(
    asked: Asked<'_>,
    input: UpdateLoginProfileInput,
) -> Outcome<UpdateLoginProfileOutput> {
    let mut user = asked.changeable_user(&input.user_name, &Circumstances::default())?;
    let old = user.login.take().ok_or_else(|| error::no_login_profile(&user.name))?;
    let reset_required = input.password_reset_required.unwrap_or(old.reset_required);
    let mut profile = match input.password {
        Some(password) => hashed(&asked, password, reset_required).await?,
        None => old.clone(),
    };
    profile.created = old.created;
    profile.reset_required = reset_required;
    user.login = Some(profile);
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(UpdateLoginProfileOutput {})
}

/// Takes a user's password away.
pub(super) async fn delete_login_profile(
    asked: Asked<'_>,
    input: DeleteLoginProfileInput,
) -> Outcome<DeleteLoginProfileOutput> {
    let mut user = changeable_user(asked.user_or_own(input.user_name.as_deref())?)?;
    user.login.take().ok_or_else(|| error::no_login_profile(&user.name))?;
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(DeleteLoginProfileOutput {})
}

/// Gives the caller, a user who knows the old password, a new one.
pub(super) async fn change_password(asked: Asked<'_>, input: ChangePasswordInput) -> Outcome<ChangePasswordOutput> {
    let PrincipalKind::User { name, .. } = &asked.cx.call.principal.kind else {
        return Err(error::only_users_change_passwords());
    };
    let mut user = asked.changeable_user(name, &Circumstances::default())?;
    let old = user.login.take().ok_or_else(|| error::no_login_profile(&user.name))?;
    let (profile, given) = (old.clone(), input.old_password);
    if !blocking(move || profile.verify(&given)).await? {
        return Err(error::wrong_password());
    }
    let mut profile = hashed(&asked, input.new_password, false).await?;
    profile.created = old.created;
    user.login = Some(profile);
    asked.commit(&[Edit::PutUser(user)]).await?;
    Ok(ChangePasswordOutput {})
}

/// The profile of a password that is good enough.
async fn hashed(asked: &Asked<'_>, password: String, reset_required: bool) -> Outcome<LoginProfile> {
    if !is_strong(&password) {
        return Err(error::weak_password());
    }
    let (now, random) = (asked.now(), Arc::clone(&asked.cx.services.random));
    blocking(move || LoginProfile::new(&password, reset_required, now, &*random)).await
}

/// Hashes passwords where nobody waits for the thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| QueryError::internal_failure())
}

/// At least eight characters, of three of four kinds. (IAM User Guide, "Set an account password policy", the default
/// policy.)
fn is_strong(password: &str) -> bool {
    let kinds = [
        password.bytes().any(|b| b.is_ascii_uppercase()),
        password.bytes().any(|b| b.is_ascii_lowercase()),
        password.bytes().any(|b| b.is_ascii_digit()),
        password.bytes().any(|b| b"!@#$%^&*()_+-=[]{}|'".contains(&b)),
    ];
    password.chars().count() >= 8 && kinds.into_iter().filter(|there| *there).count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_needs_eight_characters_of_three_kinds() {
        for good in ["Abcdefg1", "abcdefg1!", "ABCDEFG1_"] {
            assert!(is_strong(good), "{good}");
        }
        for bad in ["Abcdef1", "abcdefgh1", "Abcdefgh", "12345678!"] {
            assert!(!is_strong(bad), "{bad}");
        }
    }
}
