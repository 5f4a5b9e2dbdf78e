//! Organizations: accounts under one management account, their units, services trusted with them and accounts that
//! administer such services; invitations and requests for accounts.
//!
//! An [`Organization`] is one document of the catalog with everything in it; a [`Handshake`] and an [`AccountRequest`]
//! are one each. [`Organizations::of`] answers from memory, as of the last change. A change is made by whoever holds
//! [`Changing`]: read, decide, [`Changing::commit`]; the catalog has it first, together with whatever else must change
//! in the same transaction, then everybody sees it.

mod documents;
mod handshake;
mod ids;
mod organization;
mod request;
mod view;

use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogError, Change};
use opentrail_model::AccountId;
use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard};

pub use handshake::{Addressed, Handshake, HandshakeAction, HandshakeState};
pub use ids::{new_account_id, new_handshake_id, new_organization_id, new_request_id, new_root_id, new_unit_id};
pub use organization::{FeatureSet, Joined, Member, MemberStatus, Organization, Unit};
pub use request::{AccountRequest, RequestFailure, RequestState};
pub use view::View;

/// The organizations of this server.
#[derive(Debug)]
pub struct Organizations {
    catalog: Arc<dyn Catalog>,
    view: RwLock<Arc<View>>,
    /// One change at a time: each decides by what the one before left.
    gate: Mutex<()>,
}

/// The right to change organizations. Nobody else changes them meanwhile.
///
/// Who needs the right to change identities or trails too takes this one first.
#[derive(Debug)]
pub struct Changing<'a> {
    organizations: &'a Organizations,
    /// All of it, as of when the right was given.
    pub view: Arc<View>,
    _guard: MutexGuard<'a, ()>,
}

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Puts an organization in place of the one of that id.
    PutOrganization(Box<Organization>),
    /// Takes an organization away.
    DeleteOrganization(opentrail_model::OrganizationId),
    /// Puts a handshake in place of the one of that id.
    PutHandshake(Box<Handshake>),
    /// Takes a handshake away.
    DeleteHandshake(String),
    /// Puts a request for an account in place of the one of that id.
    PutRequest(Box<AccountRequest>),
    /// Takes a request for an account away.
    DeleteRequest(String),
}

/// Why the stored organizations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// An account would be in two organizations.
    #[error("account {account} is a member of two organizations")]
    TwoOrganizations {
        /// Which.
        account: AccountId,
    },
}

impl Organizations {
    /// Reads what is stored.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(catalog: Arc<dyn Catalog>) -> Result<Self, OpenError> {
        let view = documents::load(&*catalog).await?;
        if let Some(account) = view.member_of_two() {
            return Err(OpenError::TwoOrganizations { account });
        }
        Ok(Self { catalog, view: RwLock::new(Arc::new(view)), gate: Mutex::default() })
    }

    /// The organization that the account is in, as of now.
    pub fn of(&self, account: AccountId) -> Option<Arc<Organization>> {
        self.view.read().of(account).cloned()
    }

    /// Everything, as of now.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    /// Waits for the right to change organizations.
    pub async fn changing(&self) -> Changing<'_> {
        let guard = self.gate.lock().await;
        Changing { organizations: self, view: self.view(), _guard: guard }
    }
}

impl Changing<'_> {
    /// Makes the changes together with those of `extra`, which are other documents of the catalog: all or none of them.
    ///
    /// # Errors
    /// When the catalog does not take them; nothing has changed then.
    ///
    /// # Cancellation
    /// The catalog may have the changes while the view has not: let it run to its end.
    pub async fn commit(self, edits: &[Edit], extra: Vec<Change>) -> Result<(), CatalogError> {
        let changes = edits.iter().map(documents::change).chain(extra).collect();
        self.organizations.catalog.commit(changes).await?;
        let mut view = View::clone(&self.view);
        edits.iter().for_each(|edit| view.apply(edit));
        *self.organizations.view.write() = Arc::new(view);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
