use opentrail_wire::cloudtrail::{DeleteChannelInput, DeleteChannelOutput};

use super::destinations::committed;
use crate::context::{Context, Outcome, RecordOrder};
use crate::organizations::change::Committed;

/// Deletes a channel and its policy. What came by it stays in its event data stores.
pub(crate) async fn delete_channel(
    cx: Context<'_>,
    input: DeleteChannelInput,
) -> Outcome<(DeleteChannelOutput, Committed)> {
    cx.authorized_channel("DeleteChannel", &input.channel).await?;
    let turn = cx.services.turns.take(cx.account()).await;
    // As it is now that nobody else changes it.
    let found = cx.authorized_channel("DeleteChannel", &input.channel).await?;
    let stores = cx.without(&found.value).await?;
    cx.services.channels.delete(&found.value.key, found.revision, &stores).await?;
    Ok((DeleteChannelOutput {}, committed(stores, RecordOrder::RecordFirst, turn)))
}
