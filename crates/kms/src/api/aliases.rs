//! Operations on aliases.

use opentrail_catalog::{Expect, Versioned};
use opentrail_wire::kms::{
    AliasListEntry, CreateAliasInput, DeleteAliasInput, ListAliasesInput, ListAliasesOutput, UpdateAliasInput,
};

use super::keys::{refuse_alias, require_not_pending};
use super::paging::{Asked, page};
use super::{Cx, Reach};
use crate::error::KmsError;
use crate::key::{Alias, KeyPlace};
use crate::reference::{AliasPlace, Reference};
use crate::repository::{delete_alias, no_alias, put_alias};

/// Aliases of one key. (KMS Developer Guide, "Resource quotas".)
const MOST_PER_KEY: usize = 50;

pub(super) async fn create(cx: &Cx<'_>, input: CreateAliasInput) -> Result<(), KmsError> {
    let place = named(cx, &input.alias_name)?;
    refuse_alias(&input.target_key_id)?;
    let found = cx.key(&input.target_key_id, "kms:CreateAlias", Reach::OwnAccount).await?;
    cx.touch(place.arn());
    cx.authorize_plainly("kms:CreateAlias", &place.arn())?;
    require_free_name(&place)?;
    require_not_pending(&found.key)?;
    if cx.kms.keys.alias(&place).await?.is_some() {
        return Err(KmsError::AlreadyExists { arn: place.arn() });
    }
    let aliases = cx.kms.keys.aliases(cx.account(), cx.region()).await?;
    if aliases.iter().filter(|alias| alias.target == found.key.id).count() >= MOST_PER_KEY {
        return Err(KmsError::LimitExceeded(format!("{} has {MOST_PER_KEY} aliases already.", found.key.arn())));
    }
    let now = cx.kms.now();
    let alias = Alias { name: place.name.clone(), target: found.key.id, created: now, updated: now };
    match cx.kms.keys.commit(vec![put_alias(&place, &alias, Expect::Absent)]).await {
        Err(KmsError::Changed) => Err(KmsError::AlreadyExists { arn: place.arn() }),
        done => done,
    }
}

/// The caller needs the right on the alias and on both keys. (KMS Developer Guide, "Controlling access to aliases".)
pub(super) async fn update(cx: &Cx<'_>, input: UpdateAliasInput) -> Result<(), KmsError> {
    let place = named(cx, &input.alias_name)?;
    refuse_alias(&input.target_key_id)?;
    let Versioned { value: alias, revision, .. } = require(cx, &place).await?;
    authorize_on_target(cx, "kms:UpdateAlias", &place, &alias).await?;
    let found = cx.key(&input.target_key_id, "kms:UpdateAlias", Reach::OwnAccount).await?;
    cx.authorize_plainly("kms:UpdateAlias", &place.arn())?;
    require_free_name(&place)?;
    require_not_pending(&found.key)?;
    let alias = Alias { target: found.key.id, updated: cx.kms.now(), ..alias };
    cx.kms.keys.commit(vec![put_alias(&place, &alias, Expect::Revision(revision))]).await
}

pub(super) async fn delete(cx: &Cx<'_>, input: DeleteAliasInput) -> Result<(), KmsError> {
    let place = named(cx, &input.alias_name)?;
    let Versioned { value: alias, revision, .. } = require(cx, &place).await?;
    authorize_on_target(cx, "kms:DeleteAlias", &place, &alias).await?;
    cx.authorize_plainly("kms:DeleteAlias", &place.arn())?;
    require_free_name(&place)?;
    cx.kms.keys.commit(vec![delete_alias(&place, Expect::Revision(revision))]).await
}

pub(super) async fn list(cx: &Cx<'_>, input: ListAliasesInput) -> Result<ListAliasesOutput, KmsError> {
    cx.authorize_plainly("kms:ListAliases", "*")?;
    let target = match &input.key_id {
        Some(text) => {
            refuse_alias(text)?;
            Some(cx.find(text).await?.key.id)
        }
        None => None,
    };
    let asked = Asked { limit: input.limit, marker: input.marker };
    let after = asked.after(cx, "aliases")?;
    let aliases = cx.kms.keys.aliases(cx.account(), cx.region()).await?;
    let aliases = aliases.into_iter().filter(|alias| target.is_none_or(|target| alias.target == target));
    let page = page(cx, "aliases", &after, asked.limit(50, 100), aliases, |alias| alias.name.clone());
    let entry = |alias: Alias| AliasListEntry {
        alias_arn: Some(in_region(cx, alias.name.clone()).arn()),
        alias_name: Some(alias.name),
        target_key_id: Some(alias.target.to_string()),
        creation_date: Some(alias.created),
        last_updated_date: Some(alias.updated),
    };
    Ok(ListAliasesOutput {
        aliases: Some(page.items.into_iter().map(entry).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}

/// The alias of the caller's account that a name stands for.
fn named(cx: &Cx<'_>, name: &str) -> Result<AliasPlace, KmsError> {
    match name.strip_prefix("alias/") {
        Some(rest) if !rest.is_empty() && !rest.contains(':') => Ok(in_region(cx, name.to_owned())),
        Some(_) => Err(KmsError::InvalidAliasName(format!("{name} is no name of an alias"))),
        // KMS's own words.
        None => Err(KmsError::Validation("Invalid identifier".to_owned())),
    }
}

/// `alias/aws/` belongs to AWS managed keys.
fn require_free_name(place: &AliasPlace) -> Result<(), KmsError> {
    if place.name.starts_with("alias/aws/") {
        let message = "Alias names that begin with alias/aws/ are reserved for AWS managed keys.";
        return Err(KmsError::InvalidAliasName(message.to_owned()));
    }
    Ok(())
}

fn in_region(cx: &Cx<'_>, name: String) -> AliasPlace {
    AliasPlace { account: cx.account(), region: cx.region().clone(), name }
}

async fn require(cx: &Cx<'_>, place: &AliasPlace) -> Result<Versioned<Alias>, KmsError> {
    cx.touch(place.arn());
    cx.kms.keys.alias(place).await?.ok_or_else(|| no_alias(place))
}

/// Asks the policy of the key that the alias belongs to now. A key that is gone meanwhile has none.
async fn authorize_on_target(
    cx: &Cx<'_>,
    action: &'static str,
    place: &AliasPlace,
    alias: &Alias,
) -> Result<(), KmsError> {
    let key = KeyPlace { account: place.account, region: place.region.clone(), id: alias.target };
    match cx.kms.keys.require(&Reference::Key(key), cx.kms.now()).await {
        Ok(found) => {
            cx.touch(found.key.arn());
            cx.authorize(action, &found, Reach::OwnAccount, None)
        }
        Err(KmsError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
