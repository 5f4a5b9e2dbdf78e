//! Trails as documents: what the API changes, the journal orders and delivery obeys.
//!
//! The catalog holds each [`Trail`] as the API shows it. A change is also an entry of the journal, a
//! [`TrailChange`], and takes effect for delivery at that entry's position: replaying the journal gives the same log
//! files. [`Buckets`], [`Topics`] and [`LogGroups`] are the ways to what trails deliver to.

mod buckets;
mod change;
mod log_groups;
mod nowhere;
mod repository;
mod status;
mod topics;
mod trail;

pub use buckets::{BucketError, Buckets, Delivery, KeyError, TRAIL_FOLDER};
pub use change::TrailChange;
pub use log_groups::{LogBatch, LogGroupError, LogGroups, Memory};
pub use nowhere::Nowhere;
pub use repository::{MAX_TRAILS_PER_REGION, TrailError, Trails};
pub use status::{LogGroupStatus, NotificationStatus, Status, TrailStatus};
pub use topics::{TopicError, Topics, VALIDATION_MESSAGE, topic_arn};
pub use trail::{AggregationTemplate, LogGroup, OrganizationScope, Tag, Topic, Trail, TrailKey};
