use opentrail_wire::cloudtrail::{GetChannelInput, GetChannelOutput, IngestionStatus};

use super::destinations::to_wire;
use crate::context::{Context, Outcome};

/// A channel, with what last came of events put to it. `SourceConfig` is of channels that services make.
pub(crate) async fn get_channel(cx: Context<'_>, input: GetChannelInput) -> Outcome<GetChannelOutput> {
    let channel = cx.authorized_channel("GetChannel", &input.channel).await?.value;
    let last = cx.services.channels.ingestion(&channel.key).await?;
    let status = IngestionStatus {
        latest_ingestion_success_time: last.success,
        latest_ingestion_success_event_id: last.success_event,
        latest_ingestion_error_code: last.error,
        latest_ingestion_attempt_time: last.attempt,
        latest_ingestion_attempt_event_id: last.attempt_event,
    };
    Ok(GetChannelOutput {
        channel_arn: Some(channel.key.arn().to_string()),
        destinations: Some(to_wire(&channel)),
        name: Some(channel.name),
        source: Some(channel.source),
        source_config: None,
        ingestion_status: Some(status),
    })
}
