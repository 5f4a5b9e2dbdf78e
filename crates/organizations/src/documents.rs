//! How organizations lie in the catalog: one document each, by id.

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};

use crate::{AccountRequest, Edit, Handshake, Organization, View};

const ORGANIZATIONS: &str = "organizations";
const HANDSHAKES: &str = "organization-handshakes";
const REQUESTS: &str = "organization-account-requests";

/// Everything that is stored.
pub(crate) async fn load(catalog: &dyn Catalog) -> Result<View, CatalogError> {
    let mut view = View::default();
    for document in catalog.all::<Organization>(ORGANIZATIONS, "").await? {
        view.apply(&Edit::PutOrganization(Box::new(document.value)));
    }
    for document in catalog.all::<Handshake>(HANDSHAKES, "").await? {
        view.apply(&Edit::PutHandshake(Box::new(document.value)));
    }
    for document in catalog.all::<AccountRequest>(REQUESTS, "").await? {
        view.apply(&Edit::PutRequest(Box::new(document.value)));
    }
    Ok(view)
}

/// The change of the catalog. Only one change is under way at a time, so that nothing but what is there needs to be
/// expected.
pub(crate) fn change(edit: &Edit) -> Change {
    match edit {
        Edit::PutOrganization(organization) => {
            Change::put(ORGANIZATIONS, organization.id.to_string(), Expect::Anything, organization)
        }
        Edit::DeleteOrganization(id) => Change::delete(ORGANIZATIONS, id.to_string(), Expect::Anything),
        Edit::PutHandshake(handshake) => Change::put(HANDSHAKES, handshake.id.as_str(), Expect::Anything, handshake),
        Edit::DeleteHandshake(id) => Change::delete(HANDSHAKES, id.as_str(), Expect::Anything),
        Edit::PutRequest(request) => Change::put(REQUESTS, request.id.as_str(), Expect::Anything, request),
        Edit::DeleteRequest(id) => Change::delete(REQUESTS, id.as_str(), Expect::Anything),
    }
}
