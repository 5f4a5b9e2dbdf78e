use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{DisableFederationInput, DisableFederationOutput};

use crate::context::{Context, Outcome, RecordOrder};
use crate::store::federation_status;
use crate::trail::Changed;

/// Takes the store's table from other engines. What it has stays, and queries go on.
pub(crate) async fn disable_federation(
    cx: Context<'_>,
    input: DisableFederationInput,
) -> Outcome<Changed<DisableFederationOutput>> {
    let store = cx.authorize_store("DisableFederation", &input.event_data_store).await?.require_active()?;
    let mut closed = store.value;
    if closed.federation_role.take().is_none() {
        // A choice: nothing is declared that fits better.
        let message = format!("Federation is not enabled for {}.", closed.arn());
        return Err(Exception::invalid_parameter(message).into());
    }
    closed.updated = cx.now();
    let change = cx.replace_store(closed.clone(), store.revision, RecordOrder::RecordFirst).await?;
    cx.services.federation.hide(&closed.key);
    let output = DisableFederationOutput {
        event_data_store_arn: Some(closed.arn().to_string()),
        federation_status: federation_status(&closed),
    };
    Ok(Changed::new(output, change))
}
