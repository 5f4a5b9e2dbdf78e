//! Delivery as a whole, over a journal and a catalog in memory and buckets that fail on demand.

mod aggregation;
mod aside;
mod crashes;
mod digests;
mod failures;
mod files;
mod organizations;
mod world;
