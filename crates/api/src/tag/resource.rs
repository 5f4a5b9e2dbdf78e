use opentrail_catalog::Versioned;
use opentrail_dashboards::{Dashboard, DashboardKey};
use opentrail_model::{Arn, Region};
use opentrail_stores::{Channel, ChannelKey, EventDataStore, StoreKey};
use opentrail_trails::{Tag, Trail, TrailKey};

use crate::access::Access;
use crate::context::{Context, Outcome, RecordOrder};
use crate::store::require_active;
use crate::trail::{Change, parse_arn};

/// Why a resource cannot be tagged, or its tags cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResourceError {
    #[error("{text} is not the ARN of a CloudTrail resource of this partition.")]
    Malformed { text: String },
    #[error(
        "{arn} is not a resource that has tags: the ARN of a trail, an event data store, a channel or a dashboard is expected."
    )]
    Type { arn: String },
    #[error("The resource {arn} was not found for the user: {account}.")]
    NotFound { arn: String, account: String },
    /// AWS's own text, and error, for a resource that is at home elsewhere.
    #[error("Region in ARN is wrong, you can only access resources in region {here}.")]
    Region { here: String },
}

/// Which of a resource's Regions a request may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Its home only. (API Reference, AddTags: "you can tag a trail or event data store … only from the Region in which the
    /// trail or event data store was created".)
    Home,
    /// Every Region in which it is seen.
    Anywhere,
}

/// A resource that has tags.
#[derive(Debug)]
pub(super) enum Tagged {
    Trail(Versioned<Trail>),
    Store(Versioned<EventDataStore>),
    Channel(Versioned<Channel>),
    Dashboard(Versioned<Dashboard>),
}

/// What an ARN names.
enum Key {
    Trail(TrailKey),
    Store(StoreKey),
    Channel(ChannelKey),
    Dashboard(DashboardKey),
}

impl Tagged {
    pub(super) fn tags(&self) -> &[Tag] {
        match self {
            Self::Trail(trail) => &trail.value.tags,
            Self::Store(store) => &store.value.tags,
            Self::Channel(channel) => &channel.value.tags,
            Self::Dashboard(dashboard) => &dashboard.value.tags,
        }
    }

    /// Stores the resource with other tags. Nobody but the API knows those of channels and dashboards: the
    /// journal need not.
    pub(super) async fn retag(self, cx: Context<'_>, tags: Vec<Tag>) -> Outcome<Option<Change>> {
        match self {
            Self::Trail(Versioned { mut value, revision, .. }) => {
                value.tags = tags;
                Ok(Some(cx.replace(value, revision, RecordOrder::RecordFirst).await?))
            }
            Self::Store(Versioned { mut value, revision, .. }) => {
                value.tags = tags;
                Ok(Some(cx.replace_store(value, revision, RecordOrder::RecordFirst).await?))
            }
            Self::Channel(Versioned { mut value, revision, .. }) => {
                value.tags = tags;
                cx.services.channels.replace(&value, revision, &[]).await?;
                Ok(None)
            }
            Self::Dashboard(Versioned { mut value, revision, .. }) => {
                value.tags = tags;
                cx.services.dashboards.replace(&value, revision).await?;
                Ok(None)
            }
        }
    }

    fn is_reachable(&self, region: &Region, from: From) -> bool {
        match (self, from) {
            (Self::Trail(trail), From::Home) => trail.value.key.home_region == *region,
            (Self::Trail(trail), From::Anywhere) => trail.value.is_visible_in(region),
            (Self::Store(store), _) => store.value.key.home_region == *region,
            (Self::Channel(channel), _) => channel.value.key.home_region == *region,
            (Self::Dashboard(dashboard), _) => dashboard.value.key.region == *region,
        }
    }
}

impl Context<'_> {
    /// Checks that the caller may do `operation`, with `tags`, to the resource, and answers what it is. Of dashboards those
    /// of CloudTrail have no tags.
    pub(super) async fn tagged(&self, operation: &str, text: &str, tags: &[Tag], from: From) -> Outcome<Tagged> {
        let key = key(self, text);
        let found = match &key {
            Ok(Key::Trail(key)) => self.find_seen(key).await?.map(Tagged::Trail),
            Ok(Key::Store(key)) if key.account == self.account() => {
                self.services.stores.find(key, self.now()).await?.map(Tagged::Store)
            }
            Ok(Key::Channel(key)) if key.account == self.account() => {
                self.services.channels.find(key).await?.map(Tagged::Channel)
            }
            Ok(Key::Dashboard(key)) if key.account == self.account() => {
                self.services.dashboards.find_stored(key).await?.map(Tagged::Dashboard)
            }
            _ => None,
        };
        let own = found.as_ref().map(Tagged::tags).unwrap_or_default();
        self.authorize(Access::on(operation, text).tagged(own).requesting(tags))?;

        key?;
        let found = found.ok_or_else(|| not_found(self, text))?;
        if let (Tagged::Trail(trail), From::Home) = (&found, from) {
            self.require_changeable(&trail.value)?;
        }
        if !found.is_reachable(self.region(), from) {
            return Err(ResourceError::Region { here: self.region().to_string() }.into());
        }
        match found {
            Tagged::Store(store) => Ok(Tagged::Store(require_active(store)?)),
            other @ (Tagged::Trail(_) | Tagged::Channel(_) | Tagged::Dashboard(_)) => Ok(other),
        }
    }
}

fn key(cx: &Context<'_>, text: &str) -> Result<Key, ResourceError> {
    let partition = cx.region().partition();
    if let Some(key) = parse_arn(text, partition) {
        return Ok(Key::Trail(key));
    }
    if let Some(key) = StoreKey::from_arn(text, partition) {
        return Ok(Key::Store(key));
    }
    if let Some(key) = ChannelKey::from_arn(text, partition) {
        return Ok(Key::Channel(key));
    }
    if let Some(key) = DashboardKey::from_arn(text, partition) {
        return Ok(Key::Dashboard(key));
    }
    let malformed = || ResourceError::Malformed { text: text.to_owned() };
    let arn: Arn = text.parse().map_err(|_| malformed())?;
    if arn.service() != "cloudtrail" || arn.partition() != partition {
        return Err(malformed());
    }
    match arn.resource().split_once('/') {
        Some(("trail", _)) => Err(malformed()),
        Some(("eventdatastore" | "channel" | "dashboard", id)) if !id.is_empty() => Err(not_found(cx, text)),
        _ => Err(ResourceError::Type { arn: text.to_owned() }),
    }
}

fn not_found(cx: &Context<'_>, text: &str) -> ResourceError {
    ResourceError::NotFound { arn: text.to_owned(), account: cx.account().to_string() }
}
