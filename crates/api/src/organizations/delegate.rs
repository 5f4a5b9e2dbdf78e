use opentrail_organizations::{MemberStatus, Organization};
use opentrail_wire::organizations::{
    DelegatedService, DeregisterDelegatedAdministratorInput, ListDelegatedAdministratorsInput,
    ListDelegatedAdministratorsOutput, ListDelegatedServicesForAccountInput, ListDelegatedServicesForAccountOutput,
    RegisterDelegatedAdministratorInput,
};

use super::account::member;
use super::asked::{Asked, Circumstances};
use super::change::Committed;
use super::page::{Page, page, wanted};
use super::service_access::{require_all_features, require_service};
use super::{CLOUDTRAIL, CLOUDTRAIL_DELEGATES, Outcome, error, shapes};

/// Lets an account administer a trusted service for all.
///
/// How many accounts may do so is the service's own matter: CloudTrail has three, for the others here none is known.
pub(super) async fn register(asked: Asked<'_>, input: RegisterDelegatedAdministratorInput) -> Outcome<Committed> {
    let service = input.service_principal;
    let circumstances = Circumstances { service: Some(&service), ..Circumstances::default() };
    asked.authorize_on_account(&input.account_id, &circumstances)?;
    let before = asked.managed()?;
    require_all_features(&before)?;
    require_service(&service)?;
    let (account, member) = member(&before, &input.account_id)?;
    if account == before.management {
        let message = "The management account cannot be a delegated administrator.";
        return Err(error::constraint("CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR", message));
    }
    if member.status == MemberStatus::Suspended {
        let message = "An account that is closed cannot be a delegated administrator.";
        return Err(error::constraint("CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR", message));
    }
    if !before.has_service_access(&service) {
        let message = format!("{service} is not trusted with the organization. Enable it with EnableAWSServiceAccess.");
        return Err(error::constraint("SERVICE_ACCESS_NOT_ENABLED", message));
    }
    if before.is_delegated(account, &service) {
        return Err(error::already_registered());
    }
    if service == CLOUDTRAIL && before.delegates(&service).count() >= CLOUDTRAIL_DELEGATES {
        let message = format!("{service} has at most {CLOUDTRAIL_DELEGATES} delegated administrators.");
        return Err(error::constraint("MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED", message));
    }
    let mut after = Organization::clone(&before);
    after.delegated.entry(account).or_default().insert(service, asked.now());
    asked.replace(before, after).await
}

/// Lets an account administer a service no longer.
pub(super) async fn deregister(asked: Asked<'_>, input: DeregisterDelegatedAdministratorInput) -> Outcome<Committed> {
    let service = input.service_principal;
    let circumstances = Circumstances { service: Some(&service), ..Circumstances::default() };
    asked.authorize_on_account(&input.account_id, &circumstances)?;
    let before = asked.managed()?;
    require_service(&service)?;
    let (account, _) = member(&before, &input.account_id)?;
    if !before.is_delegated(account, &service) {
        return Err(error::not_registered());
    }
    let mut after = Organization::clone(&before);
    after.deregister(account, &service);
    asked.replace(before, after).await
}

/// The accounts that administer a service for all, or any.
pub(super) fn list(
    asked: &Asked<'_>,
    input: &ListDelegatedAdministratorsInput,
) -> Outcome<ListDelegatedAdministratorsOutput> {
    let service = input.service_principal.as_deref();
    asked.authorize_on("*", &Circumstances { service, ..Circumstances::default() })?;
    let organization = asked.administered()?;
    service.map_or(Ok(()), require_service)?;
    let delegates = organization.delegated.iter().filter_map(|(account, services)| {
        // The earliest of the account's services, when none is asked for.
        let since = match service {
            Some(service) => services.get(service),
            None => services.values().min(),
        };
        Some((account.to_string(), shapes::delegated(&organization, *account, *since?)))
    });
    let Page { items, next_token } = page(asked, delegates, &service, &wanted!(input))?;
    Ok(ListDelegatedAdministratorsOutput { delegated_administrators: Some(items), next_token })
}

/// The services that an account administers for all.
pub(super) fn list_services(
    asked: &Asked<'_>,
    input: &ListDelegatedServicesForAccountInput,
) -> Outcome<ListDelegatedServicesForAccountOutput> {
    asked.authorize_on_account(&input.account_id, &Circumstances::default())?;
    let organization = asked.administered()?;
    let (account, _) = member(&organization, &input.account_id)?;
    let services = organization.delegated.get(&account).ok_or_else(error::not_registered)?;
    let items = services.iter().map(|(service, since)| {
        let shown =
            DelegatedService { service_principal: Some(service.clone()), delegation_enabled_date: Some(*since) };
        (service.clone(), shown)
    });
    let Page { items, next_token } = page(asked, items, &input.account_id, &wanted!(input))?;
    Ok(ListDelegatedServicesForAccountOutput { delegated_services: Some(items), next_token })
}
