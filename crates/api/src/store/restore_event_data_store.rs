use opentrail_stores::Status;
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{RestoreEventDataStoreInput, RestoreEventDataStoreOutput};

use super::shapes;
use crate::context::{Context, Outcome, RecordOrder};
use crate::error::ApiError;
use crate::trail::Changed;

/// Brings a store back that is pending deletion, into the state that it had before. (Which state is not documented.)
/// What was recorded meanwhile it has not.
pub(crate) async fn restore_event_data_store(
    cx: Context<'_>,
    input: RestoreEventDataStoreInput,
) -> Outcome<Changed<RestoreEventDataStoreOutput>> {
    let store = cx.authorize_store("RestoreEventDataStore", &input.event_data_store).await?.require()?;
    let mut restored = store.value;
    if restored.status() != Status::PendingDeletion {
        let message =
            format!("The event data store {} is {}, not PENDING_DELETION.", restored.arn(), restored.status().as_str());
        return Err(Exception::invalid_event_data_store_status(message).into());
    }
    restored.gone_at = None;
    restored.updated = cx.now();
    let output = shapes::restored(&restored);
    let change = cx.replace_store(restored, store.revision, RecordOrder::ChangeFirst).await.map_err(changed)?;
    Ok(Changed::new(output, change))
}

/// The operation declares no error for a store that somebody else changed meanwhile: this one clients try again.
fn changed(error: ApiError) -> ApiError {
    if error.0.name == "ConflictException" { Exception::service_unavailable(error.0.message).into() } else { error }
}
