//! How the parts meet: each seam of another crate, implemented over concrete backends.

mod access;
mod buckets;
mod endpoint_policy;
mod external_kms;
mod federation;
mod follow;
mod imports;
mod kms_keys;
mod language_model;
mod members;
mod memory;
mod object_keys;
mod query_engine;
mod recording;
mod sealer;
mod sqs;
mod store_kms;
mod tls;

pub(crate) use access::StoreAccess;
pub(crate) use buckets::TrailBuckets;
pub(crate) use endpoint_policy::GatewayPolicy;
pub(crate) use external_kms::ExternalKms;
pub(crate) use federation::TableBuckets;
pub(crate) use follow::{FollowProjection, FollowSurroundings};
pub(crate) use imports::{ImportBuckets, StoreTables};
pub(crate) use kms_keys::KmsKeys;
pub(crate) use language_model::LanguageModel;
pub(crate) use members::OrganizationMembers;
pub(crate) use object_keys::StoreKeys;
pub(crate) use query_engine::StoreQueries;
pub(crate) use recording::{GatewayPort, LateRecording, Recording};
pub(crate) use sealer::RingSealer;
pub(crate) use sqs::SqsQueue;
pub(crate) use store_kms::LakeKms;
pub(crate) use tls::{client_config, server_config};
