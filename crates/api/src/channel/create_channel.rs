use opentrail_stores::{Channel, ChannelKey, SOURCES};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{CreateChannelInput, CreateChannelOutput};

use super::destinations::{ChannelSettingsError, committed, connect, to_wire};
use crate::access::Access;
use crate::context::{Context, Outcome, RecordOrder};
use crate::organizations::change::Committed;
use crate::tag;

/// Creates a channel, by which events of an application come into event data stores.
pub(crate) async fn create_channel(
    cx: Context<'_>,
    input: CreateChannelInput,
) -> Outcome<(CreateChannelOutput, Committed)> {
    let tags = tag::from_wire(input.tags.unwrap_or_default());
    let key = ChannelKey { account: cx.account(), home_region: cx.region().clone(), id: cx.services.random.uuid() };
    let arn = key.arn().to_string();
    cx.authorize(Access::on("CreateChannel", &arn).requesting(&tags))?;
    if !tags.is_empty() {
        cx.authorize(Access::on("AddTags", &arn).requesting(&tags))?;
    }
    if !SOURCES.contains(&input.source.as_str()) {
        return Err(ChannelSettingsError::Source { source_name: input.source }.into());
    }
    // Whoever changes a store of the account has the same turn, so that none is seen half connected.
    let turn = cx.services.turns.take(key.account).await;
    let mut stores = cx.destinations(&input.destinations).await?;
    let invalid_tag = |error: tag::TagError| Exception::invalid_tag_parameter(error.to_string());
    let channel = Channel {
        name: input.name,
        source: input.source,
        destinations: stores.iter().map(|store| store.value.key.clone()).collect(),
        tags: tag::validation::put(&[], tags).map_err(invalid_tag)?,
        created: cx.now(),
        key,
    };
    connect(&mut stores, &channel.key);
    cx.services.channels.create(&channel, &stores).await?;
    let output = CreateChannelOutput {
        channel_arn: Some(arn),
        destinations: Some(to_wire(&channel)),
        name: Some(channel.name),
        source: Some(channel.source),
        tags: Some(tag::to_wire(&channel.tags)),
    };
    Ok((output, committed(stores, RecordOrder::ChangeFirst, turn)))
}
