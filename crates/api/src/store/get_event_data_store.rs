use opentrail_wire::cloudtrail::{GetEventDataStoreInput, GetEventDataStoreOutput};

use super::shapes;
use crate::context::{Context, Outcome};

/// A store's settings and state; one that is pending deletion is still answered.
pub(crate) async fn get_event_data_store(
    cx: Context<'_>,
    input: GetEventDataStoreInput,
) -> Outcome<GetEventDataStoreOutput> {
    let store = cx.authorize_store("GetEventDataStore", &input.event_data_store).await?.require()?;
    Ok(shapes::got(&store.value))
}
