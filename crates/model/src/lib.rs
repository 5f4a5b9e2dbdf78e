//! The words of the product as values: accounts, organizations, Regions, ARNs, trail names, selectors, times, positions,
//! records.
//!
//! Everything here is parsed once at the edge, so that inside a wrong value cannot be spelled. No I/O, no
//! async, no clock. Start with [`Record`]; the journal gives each one a [`Position`].

mod account;
mod arn;
mod insight;
mod network_source;
mod organization;
mod position;
mod record;
mod region;
mod selector;
mod time;
mod trail;

pub use account::{AccountId, ParseAccountIdError};
pub use arn::{Arn, ParseArnError};
pub use insight::{InsightCategory, InsightSelector, InsightType};
pub use network_source::is_network_source;
pub use organization::{OrganizationId, ParseOrganizationIdError};
pub use position::Position;
pub use record::{MAX_RECORD_BYTES, Record, RecordError, Source};
pub use region::{ParseRegionError, Region};
pub use selector::{
    AdvancedEventSelector, DataResource, EventSelector, FieldSelector, ParseSelectorFieldError, ReadWriteType,
    SelectorField, Selectors,
};
pub use time::{ParseTimestampError, Timestamp};
pub use trail::{ParseTrailNameError, TrailName};
