use opentrail_organizations::{FeatureSet, Organization};
use opentrail_wire::organizations::{
    DisableAWSServiceAccessInput, EnableAWSServiceAccessInput, EnabledServicePrincipal,
    ListAWSServiceAccessForOrganizationInput, ListAWSServiceAccessForOrganizationOutput,
};

use super::asked::{Asked, Circumstances};
use super::change::Committed;
use super::page::{Page, page, wanted};
use super::{Outcome, error};

/// Trusts a service with the organization. One that is trusted already stays so.
pub(super) async fn enable(asked: Asked<'_>, input: EnableAWSServiceAccessInput) -> Outcome<Committed> {
    let service = input.service_principal;
    asked.authorize_on("*", &Circumstances { service: Some(&service), ..Circumstances::default() })?;
    let before = asked.managed()?;
    require_all_features(&before)?;
    require_service(&service)?;
    let mut after = Organization::clone(&before);
    after.service_access.entry(service).or_insert(asked.now());
    asked.replace(before, after).await
}

/// Trusts a service no longer, once nobody administers it for all.
pub(super) async fn disable(asked: Asked<'_>, input: DisableAWSServiceAccessInput) -> Outcome<Committed> {
    let service = input.service_principal;
    asked.authorize_on("*", &Circumstances { service: Some(&service), ..Circumstances::default() })?;
    let before = asked.managed()?;
    require_service(&service)?;
    if before.delegates(&service).next().is_some() {
        let message = format!("{service} has delegated administrators. Deregister them first.");
        return Err(error::constraint("DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE", message));
    }
    let mut after = Organization::clone(&before);
    after.service_access.remove(&service);
    asked.replace(before, after).await
}

/// The services trusted with the organization.
pub(super) fn list(
    asked: &Asked<'_>,
    input: &ListAWSServiceAccessForOrganizationInput,
) -> Outcome<ListAWSServiceAccessForOrganizationOutput> {
    asked.authorize()?;
    let organization = asked.administered()?;
    let services = organization.service_access.iter().map(|(service, since)| {
        let shown = EnabledServicePrincipal { service_principal: Some(service.clone()), date_enabled: Some(*since) };
        (service.clone(), shown)
    });
    let Page { items, next_token } = page(asked, services, &(), &wanted!(input))?;
    Ok(ListAWSServiceAccessForOrganizationOutput { enabled_service_principals: Some(items), next_token })
}

/// Services can be trusted with organizations of all features only.
pub(super) fn require_all_features(organization: &Organization) -> Outcome<()> {
    if organization.feature_set == FeatureSet::All {
        return Ok(());
    }
    let message = "The organization has not all features. Enable them with EnableAllFeatures.";
    Err(error::constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE", message))
}

/// Which services AWS has changes from month to month, so that any name of the form of theirs is one; a choice.
pub(super) fn require_service(principal: &str) -> Outcome<()> {
    let name = principal.strip_suffix(".amazonaws.com");
    let valid = |name: &str| {
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
            && name.split('.').all(|part| !part.is_empty())
    };
    match name.is_some_and(valid) {
        true => Ok(()),
        false => {
            Err(error::invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal."))
        }
    }
}
