use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{EnableFederationInput, EnableFederationOutput};

use crate::access::Access;
use crate::context::{Context, Outcome, RecordOrder};
use crate::store::federation_status;
use crate::trail::Changed;

/// Lets other engines read the store's table: whoever may do `cloudtrail:GetEventDataStoreData` to the store finds it in the
/// embedded object store, in a bucket of the store's id that can only be read. (User Guide, "Federate an event data store":
/// the federation role has that action; Glue and Lake Formation, which hand it on in AWS, are not needed here.)
pub(crate) async fn enable_federation(
    cx: Context<'_>,
    input: EnableFederationInput,
) -> Outcome<Changed<EnableFederationOutput>> {
    let store = cx.authorize_store("EnableFederation", &input.event_data_store).await?.require_active()?;
    let role = input.federation_role_arn;
    cx.authorize(Access::to_pass(&role))?;
    let mut federated = store.value;
    if federated.federation_role.is_some() {
        // A choice: the error is declared, and another role needs the federation disabled first.
        let message = format!("Federation is enabled for {} already.", federated.arn());
        return Err(Exception::event_data_store_federation_enabled(message).into());
    }
    // The role lives in the account that enables. (User Guide, "Federate an event data store".)
    let known = cx.services.directory.role(&role).is_some_and(|found| found.account == cx.account());
    if !known {
        let message = format!("FederationRoleArn {role} is no role of the account {}.", cx.account());
        return Err(Exception::invalid_parameter(message).into());
    }
    let conflict = |error: super::FederationConflict| Exception::operation_not_permitted(error.to_string());
    cx.services.federation.check(&federated.key).map_err(conflict)?;
    federated.federation_role = Some(role.clone());
    federated.updated = cx.now();
    let change = cx.replace_store(federated.clone(), store.revision, RecordOrder::RecordFirst).await?;
    cx.services.federation.show(&federated);
    let output = EnableFederationOutput {
        event_data_store_arn: Some(federated.arn().to_string()),
        federation_status: federation_status(&federated),
        federation_role_arn: Some(role),
    };
    Ok(Changed::new(output, change))
}
