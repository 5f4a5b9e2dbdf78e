//! Policies of users, groups and roles: those of their own, and managed ones that are attached.

use opentrail_identity::{Document, Edit, Group, Rights, Role, User};
use opentrail_wire::iam::AttachedPolicy;

use super::asked::{Asked, Circumstances};
use super::document::{encoded, identity_policy, size};
use super::page::{Page, page};
use super::{Outcome, error, quota, shapes};

/// Who has policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
    Role,
}

/// Who has the policies that an operation is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
}

/// One of them, to be changed.
enum Holder {
    User(Box<User>),
    Group(Box<Group>),
    Role(Box<Role>),
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
        }
    }

    /// The characters that the own policies may have in all.
    fn size(self) -> usize {
        match self {
            Self::User => quota::USER_POLICY_SIZE,
            Self::Group => quota::GROUP_POLICY_SIZE,
            Self::Role => quota::ROLE_POLICY_SIZE,
        }
    }

    fn attachments(self) -> &'static str {
        match self {
            Self::User => "PoliciesPerUser",
            Self::Group => "PoliciesPerGroup",
            Self::Role => "PoliciesPerRole",
        }
    }
}

impl Holder {
    fn rights(&mut self) -> &mut Rights {
        match self {
            Self::User(user) => &mut user.rights,
            Self::Group(group) => &mut group.rights,
            Self::Role(role) => &mut role.rights,
        }
    }

    async fn put(self, asked: Asked<'_>) -> Outcome<()> {
        let edit = match self {
            Self::User(user) => Edit::PutUser(user),
            Self::Group(group) => Edit::PutGroup(group),
            Self::Role(role) => Edit::PutRole(role),
        };
        asked.commit(&[edit]).await
    }
}

fn changeable(asked: &Asked<'_>, whose: Whose<'_>, circumstances: &Circumstances<'_>) -> Outcome<Holder> {
    Ok(match whose.kind {
        Kind::User => Holder::User(asked.changeable_user(whose.name, circumstances)?),
        Kind::Group => Holder::Group(Box::new((*asked.group_in(whose.name, circumstances)?).clone())),
        Kind::Role => Holder::Role(asked.changeable_role(whose.name, circumstances)?),
    })
}

fn rights_of(asked: &Asked<'_>, whose: Whose<'_>) -> Outcome<Rights> {
    Ok(match whose.kind {
        Kind::User => asked.user(whose.name)?.rights.clone(),
        Kind::Group => asked.group(whose.name)?.rights.clone(),
        Kind::Role => asked.role(whose.name)?.rights.clone(),
    })
}

/// Puts a policy of its own in place of the one of that name.
pub(super) async fn put(asked: Asked<'_>, whose: Whose<'_>, name: String, text: &str) -> Outcome<()> {
    let mut holder = changeable(&asked, whose, &Circumstances::default())?;
    let inline = &mut holder.rights().inline;
    let others: usize = inline.iter().filter(|(other, _)| **other != name).map(|(_, policy)| size(policy.text())).sum();
    if others + size(text) > whose.kind.size() {
        return Err(error::inline_too_long(whose.kind.word(), whose.name, whose.kind.size()));
    }
    let document = identity_policy(text)?;
    inline.insert(name, document);
    holder.put(asked).await
}

/// A policy of its own, percent-encoded.
pub(super) fn get(asked: &Asked<'_>, whose: Whose<'_>, name: &str) -> Outcome<String> {
    let rights = rights_of(asked, whose)?;
    let document: &Document =
        rights.inline.get(name).ok_or_else(|| error::no_inline_policy(whose.kind.word(), name))?;
    Ok(encoded(document))
}

/// The names of the policies of its own.
pub(super) fn list(
    asked: &Asked<'_>,
    whose: Whose<'_>,
    marker: Option<&str>,
    max_items: Option<i32>,
) -> Outcome<Page<String>> {
    let rights = rights_of(asked, whose)?;
    page(asked, rights.inline.into_keys().map(|name| (name.clone(), name)), marker, max_items)
}

/// Takes a policy of its own away.
pub(super) async fn delete(asked: Asked<'_>, whose: Whose<'_>, name: &str) -> Outcome<()> {
    let mut holder = changeable(&asked, whose, &Circumstances::default())?;
    let gone = holder.rights().inline.remove(name);
    gone.ok_or_else(|| error::no_inline_policy(whose.kind.word(), name))?;
    holder.put(asked).await
}

/// Attaches a managed policy. One that is attached already stays so.
pub(super) async fn attach(asked: Asked<'_>, whose: Whose<'_>, arn: &str) -> Outcome<()> {
    let circumstances = Circumstances { policy_arn: Some(arn), ..Circumstances::default() };
    let mut holder = changeable(&asked, whose, &circumstances)?;
    if asked.account()?.policy(arn).is_none() {
        return Err(error::not_attachable(arn));
    }
    let attached = &mut holder.rights().attached;
    if attached.iter().any(|there| there == arn) {
        return Ok(());
    }
    if attached.len() >= quota::ATTACHED {
        return Err(error::quota(whose.kind.attachments(), quota::ATTACHED));
    }
    attached.push(arn.to_owned());
    holder.put(asked).await
}

/// Detaches a managed policy.
pub(super) async fn detach(asked: Asked<'_>, whose: Whose<'_>, arn: &str) -> Outcome<()> {
    let circumstances = Circumstances { policy_arn: Some(arn), ..Circumstances::default() };
    let mut holder = changeable(&asked, whose, &circumstances)?;
    let attached = &mut holder.rights().attached;
    let index = attached.iter().position(|there| there == arn).ok_or_else(|| error::no_policy(arn))?;
    attached.remove(index);
    holder.put(asked).await
}

/// The managed policies that are attached, by name; those below a path.
pub(super) fn list_attached(
    asked: &Asked<'_>,
    whose: Whose<'_>,
    path_prefix: Option<&str>,
    marker: Option<&str>,
    max_items: Option<i32>,
) -> Outcome<Page<AttachedPolicy>> {
    let rights = rights_of(asked, whose)?;
    let account = asked.account()?;
    let prefix = path_prefix.unwrap_or("/");
    let mut arns = rights.attached;
    arns.retain(|arn| account.policy(arn).is_none_or(|policy| policy.path.starts_with(prefix)));
    // At most ten, of different names: without paths, a key fits into a marker.
    let mut items: Vec<_> = arns.iter().map(|arn| (key_of(arn), shapes::attached(arn))).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    page(asked, items, marker, max_items)
}

/// The owner and the name in a policy's ARN.
fn key_of(arn: &str) -> String {
    let owner = arn.split(':').nth(4).unwrap_or_default();
    format!("{owner}/{}", arn.rsplit('/').next().unwrap_or(arn))
}
