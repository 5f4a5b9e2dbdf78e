use opentrail_catalog::Versioned;
use opentrail_model::Arn;
use opentrail_trails::{Tag, Trail, TrailKey};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::trail::parse_arn;

/// Why a resource cannot be tagged, or its tags cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResourceError {
    #[error("{text} is not the ARN of a CloudTrail resource of this partition.")]
    Malformed { text: String },
    #[error("{arn} is not a resource that has tags: a trail's ARN is expected.")]
    Type { arn: String },
    #[error("The resource {arn} was not found for the user: {account}.")]
    NotFound { arn: String, account: String },
    /// AWS's own text, and error, for a trail that is at home elsewhere.
    #[error("Region in ARN is wrong, you can only access resources in region {here}.")]
    Region { here: String },
}

/// Which of a trail's Regions a request may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Its home only. (API Reference, AddTags: "you can tag a trail … only from the Region in which it was created".)
    Home,
    /// Every Region in which it is seen.
    Anywhere,
}

impl Context<'_> {
    /// Checks that the caller may do `operation`, with `tags`, to the resource, and answers the trail that it is.
    /// Event data stores, channels and dashboards are not built yet: well-formed ARNs of theirs name nothing.
    pub(super) async fn tagged_trail(
        &self,
        operation: &str,
        text: &str,
        tags: &[Tag],
        from: From,
    ) -> Outcome<Versioned<Trail>> {
        let key = trail_key(self, text);
        let found = match &key {
            Ok(key) => self.find_seen(key).await?,
            Err(_) => None,
        };
        let own = found.as_ref().map(|trail| &*trail.value.tags).unwrap_or_default();
        self.authorize(Access::on(operation, text).tagged(own).requesting(tags))?;

        key?;
        let trail = found.ok_or_else(|| not_found(self, text))?;
        if from == From::Home {
            self.require_changeable(&trail.value)?;
        }
        let reachable = match from {
            From::Home => trail.value.key.home_region == *self.region(),
            From::Anywhere => trail.value.is_visible_in(self.region()),
        };
        if reachable { Ok(trail) } else { Err(ResourceError::Region { here: self.region().to_string() }.into()) }
    }
}

fn trail_key(cx: &Context<'_>, text: &str) -> Result<TrailKey, ResourceError> {
    let partition = cx.region().partition();
    if let Some(key) = parse_arn(text, partition) {
        return Ok(key);
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
