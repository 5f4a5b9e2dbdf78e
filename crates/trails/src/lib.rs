//! Trails as documents: what the API changes, the journal orders and delivery obeys.
//!
//! The catalog holds each [`Trail`] as the API shows it. A change is also an entry of the journal, a
//! [`TrailChange`], and takes effect for delivery at that entry's position: replaying the journal gives the same log
//! files. [`Buckets`] is the way to the buckets that trails deliver to.

mod buckets;
mod change;
mod repository;
mod status;
mod trail;

pub use buckets::{BucketError, Buckets, Delivery, KeyError, TRAIL_FOLDER};
pub use change::TrailChange;
pub use repository::{MAX_TRAILS_PER_REGION, TrailError, Trails};
pub use status::TrailStatus;
pub use trail::{AggregationTemplate, OrganizationScope, Tag, Trail, TrailKey};
