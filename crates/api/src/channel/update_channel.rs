use opentrail_wire::cloudtrail::{UpdateChannelInput, UpdateChannelOutput};

use super::destinations::{ChannelSettingsError, committed, connect, to_wire};
use crate::context::{Context, Outcome, RecordOrder};
use crate::organizations::change::Committed;

/// Gives a channel another name, or other destinations in the place of all that it had.
pub(crate) async fn update_channel(
    cx: Context<'_>,
    input: UpdateChannelInput,
) -> Outcome<(UpdateChannelOutput, Committed)> {
    cx.authorized_channel("UpdateChannel", &input.channel).await?;
    if input.name.is_none() && input.destinations.is_none() {
        return Err(ChannelSettingsError::Nothing.into());
    }
    let turn = cx.services.turns.take(cx.account()).await;
    // As it is now that nobody else changes it.
    let found = cx.authorized_channel("UpdateChannel", &input.channel).await?;
    let mut channel = found.value;
    let mut changed = Vec::new();
    if let Some(destinations) = input.destinations {
        let mut wanted = cx.destinations(&destinations).await?;
        let left = cx.without(&channel).await?;
        channel.destinations = wanted.iter().map(|store| store.value.key.clone()).collect();
        wanted.retain(|store| !store.value.channels.contains(&channel.key));
        connect(&mut wanted, &channel.key);
        changed.extend(left.into_iter().filter(|store| !channel.destinations.contains(&store.value.key)));
        changed.extend(wanted);
    }
    if let Some(name) = input.name {
        channel.name = name;
    }
    cx.services.channels.replace(&channel, found.revision, &changed).await?;
    let output = UpdateChannelOutput {
        channel_arn: Some(channel.key.arn().to_string()),
        destinations: Some(to_wire(&channel)),
        name: Some(channel.name),
        source: Some(channel.source),
    };
    Ok((output, committed(changed, RecordOrder::RecordFirst, turn)))
}
