use opentrail_catalog::Versioned;
use opentrail_model::{AccountId, Arn, ParseTrailNameError};
use opentrail_trails::{Trail, TrailError, TrailKey};

use crate::access::Access;
use crate::context::{Context, Outcome};

/// A trail as a request names it, looked up among those that the caller's account sees.
///
/// A bare name stands for the account's own trail of that name whose home is the Region called; any other, an
/// organization trail in a member account too, needs its ARN.
/// (API Reference, GetTrail, `Name`.)
#[derive(Debug)]
pub(crate) struct NamedTrail {
    arn: String,
    key: Result<TrailKey, TrailReferenceError>,
    found: Option<Versioned<Trail>>,
}

/// Why a text names no trail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TrailReferenceError {
    /// It is a name, but not one that a trail can have.
    #[error(transparent)]
    Name(#[from] ParseTrailNameError),
    /// It is an ARN, but not a trail's.
    #[error("{text} is not a trail's ARN: expected arn:{partition}:cloudtrail:<region>:<account>:trail/<name>.")]
    Arn { text: String, partition: &'static str },
}

/// Why a trail cannot be changed from here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Trail {arn} can only be changed in its home Region {home}, not in {here}.")]
pub(crate) struct NotHomeRegion {
    arn: Arn,
    home: String,
    here: String,
}

impl Context<'_> {
    /// Looks up the trail called `text` and checks that the caller may do `operation` to it. The check comes before
    /// anything is said of the name's form or the trail's existence, as on AWS.
    pub(crate) async fn authorize_trail(&self, operation: &str, text: &str) -> Outcome<NamedTrail> {
        let trail = self.find_trail(text).await?;
        self.authorize(Access::on(operation, &trail.arn).tagged(trail.tags()))?;
        Ok(trail)
    }

    /// Looks up the trail called `text`, which the caller's account owns or sees as a shadow.
    pub(crate) async fn find_trail(&self, text: &str) -> Outcome<NamedTrail> {
        let key = parse(self, text);
        let found = match &key {
            Ok(key) => self.find_seen(key).await?,
            Err(_) => None,
        };
        Ok(NamedTrail { arn: expand(self, self.account(), text), key, found })
    }

    /// The trail, if the caller's account owns it or sees it as a shadow.
    pub(crate) async fn find_seen(&self, key: &TrailKey) -> Outcome<Option<Versioned<Trail>>> {
        let found = self.services.trails.find(key).await?;
        let seen = |trail: &Trail| key.account == self.account() || trail.is_shadow_in(self.account());
        Ok(found.filter(|found| seen(&found.value)))
    }
}

impl NamedTrail {
    /// The trail, whose absence is an error.
    pub(crate) fn require(self, cx: &Context<'_>) -> Outcome<Versioned<Trail>> {
        let key = self.key?;
        Ok(self.found.ok_or_else(|| TrailError::NotFound { arn: key.arn(), account: cx.account() })?)
    }

    /// The trail, which must be changed in its home Region and by whoever may.
    pub(crate) fn require_at_home(self, cx: &Context<'_>) -> Outcome<Versioned<Trail>> {
        let trail = self.require(cx)?;
        cx.require_changeable(&trail.value)?;
        let home = &trail.value.key.home_region;
        if home == cx.region() {
            return Ok(trail);
        }
        Err(NotHomeRegion { arn: trail.value.arn(), home: home.to_string(), here: cx.region().to_string() }.into())
    }

    /// The trail, which must be seen in the Region called.
    pub(crate) fn require_visible(self, cx: &Context<'_>) -> Outcome<Trail> {
        let trail = self.require(cx)?.value;
        if trail.is_visible_in(cx.region()) {
            return Ok(trail);
        }
        Err(TrailError::NotFound { arn: trail.arn(), account: cx.account() }.into())
    }

    /// The trail, if there is one; a text that can name none is an error.
    pub(crate) fn optional(self) -> Outcome<Option<Trail>> {
        self.key?;
        Ok(self.found.map(|trail| trail.value))
    }

    /// Its ARN, whether there is such a trail or not.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// Its tags; none when there is no such trail.
    pub(crate) fn tags(&self) -> &[opentrail_trails::Tag] {
        self.found.as_ref().map(|trail| &*trail.value.tags).unwrap_or_default()
    }
}

/// The key of `owner`'s trail to be created in the Region called, by its name. A text with colons is no name, so an ARN is
/// not taken either.
pub(crate) fn parse_new(cx: &Context<'_>, owner: AccountId, name: &str) -> Result<TrailKey, TrailReferenceError> {
    Ok(TrailKey { account: owner, home_region: cx.region().clone(), name: name.parse()? })
}

/// The ARN that a name, of a trail of `owner`, or an ARN stands for.
pub(crate) fn expand(cx: &Context<'_>, owner: AccountId, text: &str) -> String {
    if is_arn(text) {
        return text.to_owned();
    }
    format!("arn:{}:cloudtrail:{}:{owner}:trail/{text}", cx.region().partition(), cx.region())
}

/// The key of the trail that a name or an ARN stands for.
fn parse(cx: &Context<'_>, text: &str) -> Result<TrailKey, TrailReferenceError> {
    if !is_arn(text) {
        return parse_new(cx, cx.account(), text);
    }
    let partition = cx.region().partition();
    parse_arn(text, partition).ok_or_else(|| TrailReferenceError::Arn { text: text.to_owned(), partition })
}

/// The key of the trail of an ARN of `partition`.
pub(crate) fn parse_arn(text: &str, partition: &str) -> Option<TrailKey> {
    let arn: Arn = text.parse().ok()?;
    let key = TrailKey {
        account: arn.account().parse().ok()?,
        home_region: arn.region().parse().ok()?,
        name: arn.resource().strip_prefix("trail/")?.parse().ok()?,
    };
    (arn.service() == "cloudtrail" && arn.partition() == partition).then_some(key)
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}
