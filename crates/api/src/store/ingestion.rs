//! StartEventDataStoreIngestion and StopEventDataStoreIngestion: each takes effect at its place in the journal.

use opentrail_catalog::Versioned;
use opentrail_stores::{EventDataStore, Status};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{
    StartEventDataStoreIngestionInput, StartEventDataStoreIngestionOutput, StopEventDataStoreIngestionInput,
    StopEventDataStoreIngestionOutput,
};

use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::{Change, Changed};

/// Lets a stopped store take events again.
pub(crate) async fn start_event_data_store_ingestion(
    cx: Context<'_>,
    input: StartEventDataStoreIngestionInput,
) -> Outcome<Changed<StartEventDataStoreIngestionOutput>> {
    let store = cx.authorize_store("StartEventDataStoreIngestion", &input.event_data_store).await?.require()?;
    let change = turn(cx, store, Status::StoppedIngestion, RecordOrder::ChangeFirst).await?;
    Ok(Changed::new(StartEventDataStoreIngestionOutput {}, change))
}

/// Lets a store take no more events. What it has stays.
pub(crate) async fn stop_event_data_store_ingestion(
    cx: Context<'_>,
    input: StopEventDataStoreIngestionInput,
) -> Outcome<Changed<StopEventDataStoreIngestionOutput>> {
    let store = cx.authorize_store("StopEventDataStoreIngestion", &input.event_data_store).await?.require()?;
    let change = turn(cx, store, Status::Enabled, RecordOrder::RecordFirst).await?;
    Ok(Changed::new(StopEventDataStoreIngestionOutput {}, change))
}

/// From `needed` to the other of the two states.
async fn turn(
    cx: Context<'_>,
    store: Versioned<EventDataStore>,
    needed: Status,
    order: RecordOrder,
) -> Outcome<Change> {
    let mut changed = store.value;
    if !changed.kind().can_stop() {
        let message =
            format!("Ingestion of {} cannot be started or stopped, by the events that it collects.", changed.arn());
        return Err(Exception::invalid_event_data_store_category(message).into());
    }
    let status = changed.status();
    if status != needed {
        let (arn, status, needed) = (changed.arn(), status.as_str(), needed.as_str());
        let message = format!("The event data store {arn} is {status}, and must be {needed}.");
        return Err(Exception::invalid_event_data_store_status(message).into());
    }
    changed.ingesting = !changed.ingesting;
    changed.updated = cx.now();
    cx.replace_store(changed, store.revision, order).await
}
