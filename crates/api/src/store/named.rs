use opentrail_catalog::Versioned;
use opentrail_model::Arn;
use opentrail_stores::{EventDataStore, Status, StoreError, StoreKey};

use crate::access::Access;
use crate::context::{Context, Outcome};

/// An event data store as a request names it: by its ARN, or by the id at its end, which stands for a store of the
/// caller's account in the Region called.
#[derive(Debug)]
pub(crate) struct NamedStore {
    key: Result<StoreKey, StoreReferenceError>,
    found: Option<Versioned<EventDataStore>>,
}

/// Why a text names no event data store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} is neither an event data store's ARN, arn:{partition}:cloudtrail:<region>:<account>:eventdatastore/<id>, nor the id at its end."
)]
pub(crate) struct StoreReferenceError {
    text: String,
    partition: &'static str,
}

/// The store is pending deletion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The event data store {arn} is pending deletion; restore it first.")]
pub(crate) struct InactiveStore {
    arn: Arn,
}

impl Context<'_> {
    /// Looks up the store called `text` and checks that the caller may do `operation` to it. The check comes before
    /// anything is said of the store's existence.
    pub(crate) async fn authorize_store(&self, operation: &str, text: &str) -> Outcome<NamedStore> {
        let key = parse_store(self, text);
        let found = match &key {
            Ok(key) if key.home_region == *self.region() => self.services.stores.find(key, self.now()).await?,
            _ => None,
        };
        let arn = expand(self, text);
        let tags = found.as_ref().map(|store| &*store.value.tags).unwrap_or_default();
        let policy = match &found {
            Some(store) => self.resource_policy(&store.value.arn()).await?,
            None => None,
        };
        // An organization's administrators have its stores as if they were their own. (User Guide, "Organization delegated
        // administrator".)
        let administered = found
            .as_ref()
            .map(|store| &store.value)
            .is_some_and(|store| store.organization.is_some() && self.administers_for(store.key.account));
        let owner = match &key {
            Ok(key) if !administered => key.account,
            _ => self.account(),
        };
        self.authorize(Access::on(operation, &arn).tagged(tags).owned_by(owner).under(policy.as_ref()))?;
        Ok(NamedStore { key, found })
    }
}

impl Context<'_> {
    /// The organization's stores that the caller's account administers without owning them.
    pub(super) async fn administered_stores(&self) -> Outcome<Vec<EventDataStore>> {
        let Some(organization) = self.services.organizations.of(self.account()) else { return Ok(Vec::new()) };
        let management = organization.management;
        if management == self.account() || !self.administers_for(management) {
            return Ok(Vec::new());
        }
        let stores = self.services.stores.of_account(management, self.now()).await?;
        Ok(stores.into_iter().filter(|store| store.organization.is_some()).collect())
    }
}

impl NamedStore {
    /// The store, whose absence is an error. Stores are seen in their home Region only: a choice, as AWS's endpoints of
    /// other Regions know nothing of them.
    pub(crate) fn require(self) -> Outcome<Versioned<EventDataStore>> {
        let key = self.key?;
        Ok(self.found.ok_or_else(|| StoreError::NotFound { arn: key.arn() })?)
    }

    /// The store, which must not be pending deletion.
    pub(crate) fn require_active(self) -> Outcome<Versioned<EventDataStore>> {
        require_active(self.require()?)
    }
}

/// Refuses a store that is pending deletion.
pub(crate) fn require_active(store: Versioned<EventDataStore>) -> Outcome<Versioned<EventDataStore>> {
    match store.value.status() {
        Status::PendingDeletion => Err(InactiveStore { arn: store.value.arn() }.into()),
        Status::Enabled | Status::StoppedIngestion => Ok(store),
    }
}

/// The ARN that an id or an ARN stands for.
fn expand(cx: &Context<'_>, text: &str) -> String {
    if text.starts_with("arn:") {
        return text.to_owned();
    }
    format!("arn:{}:cloudtrail:{}:{}:eventdatastore/{text}", cx.region().partition(), cx.region(), cx.account())
}

/// The store that `text` stands for: its ARN, or the id at its end.
pub(crate) fn parse_store(cx: &Context<'_>, text: &str) -> Result<StoreKey, StoreReferenceError> {
    let partition = cx.region().partition();
    StoreKey::from_arn(&expand(cx, text), partition)
        .ok_or_else(|| StoreReferenceError { text: text.to_owned(), partition })
}
