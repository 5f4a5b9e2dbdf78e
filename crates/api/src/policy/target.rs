use opentrail_catalog::{CatalogError, Versioned};
use opentrail_dashboards::DashboardKey;
use opentrail_identity::{Policy, PolicyUse};
use opentrail_model::{AccountId, Arn};
use opentrail_stores::{ChannelKey, ResourcePolicy, Status, StoreKey};
use opentrail_trails::Tag;
use opentrail_wire::Exception;
use tracing::error;

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::error::ApiError;

/// Why a text names no resource that can have a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{text} is not the ARN of an event data store, a channel or a dashboard of this partition.")]
    Malformed { text: String },
    #[error("{arn} is of a type that has no resource policy: only event data stores, channels and dashboards do.")]
    Type { arn: String },
    #[error("The resource {arn} was not found.")]
    NotFound { arn: String },
    #[error("The event data store {arn} is pending deletion; restore it first.")]
    Inactive { arn: String },
}

/// A resource that can have a policy, and the one that it has.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) arn: Arn,
    pub(super) stored: Option<Versioned<ResourcePolicy>>,
}

impl Context<'_> {
    /// Checks that the caller may do `operation` to the resource `text`, and looks it up. Of dashboards those of
    /// CloudTrail have no policy.
    pub(super) async fn policy_target(&self, operation: &str, text: &str) -> Outcome<Target> {
        let named = parse(self, text);
        let found = match &named {
            Ok(named) => self.holder(named).await?,
            Err(_) => None,
        };
        let stored = match &found {
            Some(holder) => self.services.policies.find(&holder.arn).await?,
            None => None,
        };
        let policy = parsed(stored.as_ref())?;
        let tags = found.as_ref().map(|holder| &*holder.tags).unwrap_or_default();
        let owner = named.as_ref().map_or(self.account(), Named::account);
        self.authorize(Access::on(operation, text).tagged(tags).owned_by(owner).under(policy.as_ref()))?;

        named?;
        let holder = found.ok_or_else(|| TargetError::NotFound { arn: text.to_owned() })?;
        if !holder.active {
            return Err(TargetError::Inactive { arn: text.to_owned() }.into());
        }
        Ok(Target { arn: holder.arn, stored })
    }

    /// The resource of that name, if it is there and at home in the Region called.
    async fn holder(&self, named: &Named) -> Outcome<Option<Holder>> {
        Ok(match named {
            Named::Store(key) if key.home_region == *self.region() => {
                let store = self.services.stores.find(key, self.now()).await?;
                store.map(|store| {
                    let active = store.value.status() != Status::PendingDeletion;
                    Holder { arn: store.value.arn(), tags: store.value.tags, active }
                })
            }
            Named::Channel(key) if key.home_region == *self.region() => {
                let channel = self.services.channels.find(key).await?;
                channel.map(|channel| Holder { arn: channel.value.key.arn(), tags: channel.value.tags, active: true })
            }
            Named::Dashboard(key) if key.region == *self.region() => {
                let dashboard = self.services.dashboards.find_stored(key).await?;
                dashboard.map(|dashboard| Holder { arn: key.arn(), tags: dashboard.value.tags, active: true })
            }
            Named::Store(_) | Named::Channel(_) | Named::Dashboard(_) => None,
        })
    }

    /// The policy of the resource `arn`, by which callers are judged.
    pub(crate) async fn resource_policy(&self, arn: &Arn) -> Outcome<Option<Policy>> {
        parsed(self.services.policies.find(arn).await?.as_ref())
    }
}

/// A policy that cannot be read lets nobody in: whoever wrote it may have meant to keep somebody out.
fn parsed(stored: Option<&Versioned<ResourcePolicy>>) -> Outcome<Option<Policy>> {
    let Some(stored) = stored else { return Ok(None) };
    match Policy::parse(&stored.value.text, PolicyUse::Own) {
        Ok(policy) => Ok(Some(policy)),
        Err(problem) => {
            error!(resource = stored.key, %problem, "a stored resource policy cannot be read");
            Err(Exception::internal_failure().into())
        }
    }
}

/// What an ARN names.
#[derive(Debug)]
enum Named {
    Store(StoreKey),
    Channel(ChannelKey),
    Dashboard(DashboardKey),
}

/// A resource that is there.
#[derive(Debug)]
struct Holder {
    arn: Arn,
    tags: Vec<Tag>,
    active: bool,
}

impl Named {
    fn account(&self) -> AccountId {
        match self {
            Self::Store(key) => key.account,
            Self::Channel(key) => key.account,
            Self::Dashboard(key) => key.account,
        }
    }
}

fn parse(cx: &Context<'_>, text: &str) -> Result<Named, TargetError> {
    let partition = cx.region().partition();
    let malformed = || TargetError::Malformed { text: text.to_owned() };
    if let Some(key) = StoreKey::from_arn(text, partition) {
        return Ok(Named::Store(key));
    }
    if let Some(key) = ChannelKey::from_arn(text, partition) {
        return Ok(Named::Channel(key));
    }
    if let Some(key) = DashboardKey::from_arn(text, partition) {
        return Ok(Named::Dashboard(key));
    }
    let arn: Arn = text.parse().map_err(|_| malformed())?;
    if arn.service() != "cloudtrail" || arn.partition() != partition {
        return Err(malformed());
    }
    match arn.resource().split_once('/') {
        Some(("channel" | "dashboard", id)) if !id.is_empty() => Err(TargetError::NotFound { arn: text.to_owned() }),
        Some(("eventdatastore" | "channel" | "dashboard", _)) => Err(malformed()),
        _ => Err(TargetError::Type { arn: text.to_owned() }),
    }
}

/// Somebody else changed the policy between its reading and its writing.
pub(super) fn lost(error: CatalogError) -> ApiError {
    match error {
        CatalogError::Conflict { .. } => {
            Exception::conflict("The resource policy was changed by another request; try again.").into()
        }
        other => other.into(),
    }
}
