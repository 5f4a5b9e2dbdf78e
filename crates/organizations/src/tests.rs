use std::sync::Arc;

use opentrail_catalog::{Catalog, CatalogExt, Change, Expect, MemoryCatalog};
use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::SeededRandom;
use proptest::prelude::*;

use crate::*;

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

fn account(number: u64) -> AccountId {
    AccountId::from_u64(number).unwrap()
}

fn member(joined: Joined, parent: &str) -> Member {
    Member {
        name: "Logs".to_owned(),
        email: "logs@example.com".to_owned(),
        status: MemberStatus::Active,
        joined,
        since: NOW,
        parent: parent.to_owned(),
    }
}

fn organization(management: u64, seed: u64) -> Organization {
    let random = SeededRandom::new(seed);
    let root = new_root_id(&random);
    let first = (account(management), member(Joined::Invited, &root));
    Organization::new(new_organization_id(&random), root, first, FeatureSet::All)
}

fn invitation(organization: &Organization, invited: u64, seed: u64) -> Handshake {
    Handshake {
        id: new_handshake_id(&SeededRandom::new(seed)),
        organization: organization.id.clone(),
        management: organization.management,
        action: HandshakeAction::Invite {
            account: account(invited),
            addressed: Addressed::Account,
            notes: None,
            tags: Default::default(),
        },
        state: HandshakeState::Open,
        requested: NOW,
        expires: NOW + Handshake::INVITATION,
        changed: NOW,
    }
}

async fn put(organizations: &Organizations, edits: &[Edit]) {
    organizations.changing().await.commit(edits, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn everything_is_the_same_after_a_restart() {
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
    let organizations = Organizations::open(Arc::clone(&catalog)).await.unwrap();
    let mut ours = organization(1, 1);
    ours.units.insert(
        new_unit_id(&ours.root, &SeededRandom::new(5)),
        Unit { name: "Production".to_owned(), parent: ours.root.clone() },
    );
    ours.members.insert(account(2), member(Joined::Created, &ours.root));
    ours.service_access.insert("cloudtrail.amazonaws.com".to_owned(), NOW);
    ours.delegated.entry(account(2)).or_default().insert("cloudtrail.amazonaws.com".to_owned(), NOW);
    ours.tags.entry(ours.root.clone()).or_default().insert("team".to_owned(), "blue".to_owned());
    let handshake = invitation(&ours, 3, 2);
    let request = AccountRequest {
        id: new_request_id(&SeededRandom::new(3)),
        organization: ours.id.clone(),
        account_name: "Logs".to_owned(),
        state: RequestState::Succeeded { account: account(2) },
        requested: NOW,
        completed: NOW,
    };
    let edits = [
        Edit::PutOrganization(Box::new(ours.clone())),
        Edit::PutHandshake(Box::new(handshake.clone())),
        Edit::PutRequest(Box::new(request.clone())),
    ];
    put(&organizations, &edits).await;
    for organizations in [organizations, Organizations::open(catalog).await.unwrap()] {
        assert_eq!(*organizations.of(account(2)).unwrap(), ours);
        let view = organizations.view();
        assert_eq!(**view.handshake(&handshake.id, NOW).unwrap(), handshake);
        assert_eq!(
            view.requests(&ours.id).map(|found| (**found).clone()).collect::<Vec<_>>(),
            std::slice::from_ref(&request)
        );
    }
}

#[tokio::test]
async fn members_that_leave_are_in_none_and_other_documents_change_in_the_same_transaction() {
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
    let organizations = Organizations::open(Arc::clone(&catalog)).await.unwrap();
    let mut ours = organization(1, 1);
    ours.members.insert(account(2), member(Joined::Invited, &ours.root));
    put(&organizations, &[Edit::PutOrganization(Box::new(ours.clone()))]).await;
    ours.remove(account(2));
    let other = Change::put("others", "1", Expect::Absent, &"beside");
    let edits = [Edit::PutOrganization(Box::new(ours.clone()))];
    organizations.changing().await.commit(&edits, vec![other.clone()]).await.unwrap();
    assert_eq!(organizations.of(account(2)), None);
    assert_eq!(catalog.all::<String>("others", "").await.unwrap()[0].value, "beside");

    // What the catalog refuses has changed nothing.
    let gone = [Edit::DeleteOrganization(ours.id.clone())];
    organizations.changing().await.commit(&gone, vec![other]).await.unwrap_err();
    assert!(organizations.of(account(1)).is_some());
    put(&organizations, &gone).await;
    assert_eq!(organizations.of(account(1)), None);
}

#[tokio::test]
async fn an_account_in_two_organizations_stops_the_start() {
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::default());
    let organizations = Organizations::open(Arc::clone(&catalog)).await.unwrap();
    let edits = [organization(1, 1), organization(1, 2)].map(|one| Edit::PutOrganization(Box::new(one)));
    put(&organizations, &edits).await;
    let error = Organizations::open(catalog).await.unwrap_err();
    assert!(matches!(error, OpenError::TwoOrganizations { account: one } if one == account(1)), "{error}");
}

#[test]
fn a_handshake_expires_and_is_shown_for_a_month_after_its_end() {
    let ours = organization(1, 1);
    let open = invitation(&ours, 2, 2);
    let day = std::time::Duration::from_secs(86_400);
    assert!(open.is_pending(NOW + day * 14));
    assert_eq!(open.state(NOW + day * 15), HandshakeState::Expired);
    assert!(open.is_shown(NOW + day * 44));
    assert!(!open.is_shown(NOW + day * 45));
    let declined = open.with_state(HandshakeState::Declined, NOW + day);
    assert_eq!(declined.state(NOW + day * 20), HandshakeState::Declined);
    assert!(declined.is_shown(NOW + day * 30));
    assert!(!declined.is_shown(NOW + day * 31));
    let mut view = View::default();
    for (handshake, id) in [(open, "h-1"), (declined, "h-2")] {
        view.apply(&Edit::PutHandshake(Box::new(Handshake { id: id.to_owned(), ..handshake })));
    }
    assert_eq!(view.sweep(NOW + day * 31).collect::<Vec<_>>(), [Edit::DeleteHandshake("h-2".to_owned())]);
}

#[test]
fn ids_have_the_forms_that_clients_check() {
    for seed in 0..50 {
        let random = SeededRandom::new(seed);
        let root = new_root_id(&random);
        assert!(root.len() == 6 && root.starts_with("r-"));
        assert!(new_unit_id(&root, &random).starts_with(&format!("ou-{}-", &root[2..])));
        assert!(!new_account_id(&random, |_| false).to_string().starts_with('0'));
    }
    let taken = new_account_id(&SeededRandom::new(1), |_| false);
    assert_ne!(new_account_id(&SeededRandom::new(1), |account| account == taken), taken);
}

/// What a test does to organizations.
#[derive(Clone, Debug)]
enum Step {
    Join(u64, usize),
    Leave(u64),
    End(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (10..20u64, 0..3usize).prop_map(|(account, which)| Step::Join(account, which)),
        2 => (10..20u64).prop_map(Step::Leave),
        1 => (0..3usize).prop_map(Step::End),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// Whatever happens, `of` answers what a search through all organizations finds.
    #[test]
    fn the_way_from_accounts_to_organizations_stays_right(steps in steps()) {
        let mut view = View::default();
        for step in steps {
            let edit = match step {
                Step::Join(number, which) => {
                    let base = organization(which as u64 + 1, which as u64);
                    let found = view.organizations().find(|found| found.id == base.id);
                    let mut next = found.map_or(base, |found| Organization::clone(found));
                    if view.of(account(number)).is_none() {
                        next.members.insert(account(number), member(Joined::Created, &next.root));
                    }
                    Edit::PutOrganization(Box::new(next))
                }
                Step::Leave(number) => {
                    let Some(found) = view.of(account(number)) else { continue };
                    let mut next = Organization::clone(found);
                    next.remove(account(number));
                    Edit::PutOrganization(Box::new(next))
                }
                Step::End(which) => Edit::DeleteOrganization(organization(which as u64 + 1, which as u64).id),
            };
            view.apply(&edit);
            for number in 0..20 {
                let searched = view.organizations().find(|found| found.members.contains_key(&account(number)));
                prop_assert_eq!(view.of(account(number)), searched);
            }
            prop_assert_eq!(view.member_of_two(), None);
        }
    }
}
