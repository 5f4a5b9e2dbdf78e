use opentrail_wire::cloudtrail::{Channel, ListChannelsInput, ListChannelsOutput};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// The account's channels in the Region called, in the order of their ids. Services make none here.
pub(crate) async fn list_channels(cx: Context<'_>, input: ListChannelsInput) -> Outcome<ListChannelsOutput> {
    cx.authorize(Access::anywhere("ListChannels"))?;
    let channels = cx.services.channels.of_account(cx.account(), cx.region()).await?;
    let items = channels.into_iter().map(|channel| (channel.key.arn().to_string(), channel.name)).collect();
    let (items, next_token) =
        page_token::page(&cx, "ListChannels", items, input.max_results, input.next_token.as_deref())?;
    let item = |(arn, name)| Channel { channel_arn: Some(arn), name: Some(name) };
    Ok(ListChannelsOutput { channels: Some(items.into_iter().map(item).collect()), next_token })
}
