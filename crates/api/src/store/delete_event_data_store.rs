use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{DeleteEventDataStoreInput, DeleteEventDataStoreOutput};

use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Changed;

/// Puts a store into `PENDING_DELETION`: it takes no more events, and is gone after seven days unless restored.
pub(crate) async fn delete_event_data_store(
    cx: Context<'_>,
    input: DeleteEventDataStoreInput,
) -> Outcome<Changed<DeleteEventDataStoreOutput>> {
    let store = cx.authorize_store("DeleteEventDataStore", &input.event_data_store).await?.require_active()?;
    let mut deleted = store.value;
    if deleted.termination_protection {
        let message = format!("Termination protection is enabled for {}; turn it off first.", deleted.arn());
        return Err(Exception::event_data_store_termination_protected(message).into());
    }
    if let Some(channel) = deleted.channels.first() {
        let message =
            format!("The channel {} has {} for a destination; delete it first.", channel.arn(), deleted.arn());
        return Err(Exception::channel_exists_for_eds(message).into());
    }
    if deleted.federation_role.is_some() {
        let message = format!("Federation is enabled for {}; disable it first.", deleted.arn());
        return Err(Exception::event_data_store_federation_enabled(message).into());
    }
    deleted.gone_at = Some(cx.now() + cx.services.pending_deletion);
    deleted.updated = cx.now();
    let change = cx.replace_idle_store(deleted, store.revision, RecordOrder::RecordFirst).await?;
    Ok(Changed::new(DeleteEventDataStoreOutput {}, change))
}
