use opentrail_catalog::Versioned;
use opentrail_stores::{Channel, ChannelError, ChannelKey};

use crate::access::Access;
use crate::context::{Context, Outcome};

/// Why a text names no channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} is neither a channel's ARN, arn:{partition}:cloudtrail:<region>:<account>:channel/<id>, nor the id at its end."
)]
pub(crate) struct ChannelReferenceError {
    text: String,
    partition: &'static str,
}

impl Context<'_> {
    /// The channel called `text`, by its ARN or by the id at its end, once the caller may do `operation` to it. That
    /// comes before anything is said of its existence. Channels are seen in their own Region only.
    pub(crate) async fn authorized_channel(&self, operation: &str, text: &str) -> Outcome<Versioned<Channel>> {
        let partition = self.region().partition();
        let arn = match text.starts_with("arn:") {
            true => text.to_owned(),
            false => format!("arn:{partition}:cloudtrail:{}:{}:channel/{text}", self.region(), self.account()),
        };
        let key = ChannelKey::from_arn(&arn, partition);
        let found = match &key {
            Some(key) if key.home_region == *self.region() => self.services.channels.find(key).await?,
            _ => None,
        };
        let tags = found.as_ref().map(|channel| &*channel.value.tags).unwrap_or_default();
        let owner = key.as_ref().map_or(self.account(), |key| key.account);
        self.authorize(Access::on(operation, &arn).tagged(tags).owned_by(owner))?;

        let key = key.ok_or_else(|| ChannelReferenceError { text: text.to_owned(), partition })?;
        Ok(found.ok_or_else(|| ChannelError::NotFound { arn: key.arn() })?)
    }
}
