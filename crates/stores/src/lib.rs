//! Event data stores as documents: what the API changes, the journal orders and the stores' tables obey.
//!
//! The catalog holds each [`EventDataStore`] as the API shows it. A change is also an entry of the journal, a
//! [`StoreChange`], and takes effect for the store's table at that entry's position: replaying the journal gives the same
//! rows. It is the pattern of `opentrail-trails`. What the tables hold is the business of `opentrail-tables`.
//! [`DataKeys`] are what stores with a KMS key are sealed with. [`Channels`] lead events of applications into stores;
//! [`ResourcePolicies`] are the policies that stores, channels and dashboards have of their own.

mod category;
mod change;
mod channel;
mod channels;
mod configuration;
mod data_keys;
mod key;
mod policies;
mod repository;
mod store;

pub use category::Kind;
pub use change::StoreChange;
pub use channel::{Channel, ChannelKey, Ingestion, SOURCES};
pub use channels::{ChannelError, Channels, MAX_CHANNELS};
pub use configuration::{ContextKeySelector, ContextKeyType, EventConfiguration, MaxEventSize};
pub use data_keys::{DataKeys, StoreKeyError, StoreKms, USED_FOR};
pub use opentrail_keys::{DataKey, SealedDataKey};
pub use opentrail_trails::{OrganizationScope, Tag};
pub use policies::{ResourcePolicies, ResourcePolicy};
pub use repository::{MAX_STORES_PER_REGION, StoreError, Stores};
pub use store::{BillingMode, EventDataStore, PENDING_DELETION, Status, StoreInsights, StoreKey};
