use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use opentrail_model::{AccountId, OrganizationId, Timestamp};

use crate::{AccountRequest, Edit, Handshake, Organization};

/// All organizations, handshakes and requests at one moment. Cheap to clone while they are few.
#[derive(Clone, Debug, Default)]
pub struct View {
    organizations: BTreeMap<OrganizationId, Arc<Organization>>,
    /// Which organization each account is in.
    members: HashMap<AccountId, OrganizationId>,
    handshakes: BTreeMap<String, Arc<Handshake>>,
    requests: BTreeMap<String, Arc<AccountRequest>>,
}

impl View {
    /// The organization that the account is in.
    pub fn of(&self, account: AccountId) -> Option<&Arc<Organization>> {
        self.organizations.get(self.members.get(&account)?)
    }

    /// All organizations.
    pub fn organizations(&self) -> impl Iterator<Item = &Arc<Organization>> {
        self.organizations.values()
    }

    /// The handshake of that id, while it is shown.
    pub fn handshake(&self, id: &str, now: Timestamp) -> Option<&Arc<Handshake>> {
        self.handshakes.get(id).filter(|handshake| handshake.is_shown(now))
    }

    /// The handshakes that are shown, by id.
    pub fn handshakes(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Handshake>> {
        self.handshakes.values().filter(move |handshake| handshake.is_shown(now))
    }

    /// What takes the handshakes away that are no longer shown.
    pub fn sweep(&self, now: Timestamp) -> impl Iterator<Item = Edit> {
        let gone = self.handshakes.values().filter(move |handshake| !handshake.is_shown(now));
        gone.map(|handshake| Edit::DeleteHandshake(handshake.id.clone()))
    }

    /// The organization's requests for accounts, by id.
    pub fn requests(&self, organization: &OrganizationId) -> impl Iterator<Item = &Arc<AccountRequest>> {
        self.requests.values().filter(move |request| request.organization == *organization)
    }

    /// Carries out one change.
    pub(crate) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::PutOrganization(organization) => {
                self.members.retain(|_, id| *id != organization.id);
                self.members.extend(organization.members.keys().map(|account| (*account, organization.id.clone())));
                self.organizations.insert(organization.id.clone(), Arc::new((**organization).clone()));
            }
            Edit::DeleteOrganization(organization) => {
                self.members.retain(|_, id| id != organization);
                self.organizations.remove(organization);
            }
            Edit::PutHandshake(handshake) => {
                self.handshakes.insert(handshake.id.clone(), Arc::new((**handshake).clone()));
            }
            Edit::DeleteHandshake(id) => {
                self.handshakes.remove(id);
            }
            Edit::PutRequest(request) => {
                self.requests.insert(request.id.clone(), Arc::new((**request).clone()));
            }
            Edit::DeleteRequest(id) => {
                self.requests.remove(id);
            }
        }
    }

    /// An account that is in two organizations, which must never be.
    pub(crate) fn member_of_two(&self) -> Option<AccountId> {
        let foreign = |organization: &Arc<Organization>| {
            let other = |account: &&AccountId| self.members.get(*account) != Some(&organization.id);
            organization.members.keys().find(other).copied()
        };
        self.organizations.values().find_map(foreign)
    }
}
