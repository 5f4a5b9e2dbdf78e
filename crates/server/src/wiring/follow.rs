//! What followers work with: buckets, accounts, and the journal's marks.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use opentrail_event::EventBatch;
use opentrail_follow::{Fold, Mark, OpenError, Source, Surroundings};
use opentrail_identity::{Directory, Principal, PrincipalKind};
use opentrail_model::{AccountId, Position, Timestamp};
use opentrail_objects::{Store, WantedKey};
use opentrail_projection::{Projection, ProjectionError};
use opentrail_trails::Trails;

use super::TrailBuckets;
use super::object_keys::StoreKeys;

/// Buckets as the operator has them read: those at other endpoints with the configured key, the embedded store's as the
/// source's account, whose keys open what is sealed. Reading is not recorded, a choice, as with imports.
#[derive(Debug)]
pub(crate) struct FollowSurroundings {
    pub(crate) buckets: Arc<TrailBuckets>,
    pub(crate) embedded: Store,
    pub(crate) keys: StoreKeys,
    pub(crate) trails: Trails,
    pub(crate) directory: Arc<Directory>,
}

#[async_trait]
impl Surroundings for FollowSurroundings {
    async fn open(&self, source: &Source) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let unavailable = |reason: String| OpenError::Unavailable { reason };
        let trails = self.trails.all().await.map_err(|error| unavailable(error.to_string()))?;
        let delivers_there = trails.iter().find(|trail| {
            let prefix = trail.prefix.as_deref().unwrap_or_default();
            trail.bucket == source.bucket && prefix.trim_matches('/') == source.prefix
        });
        if let Some(trail) = delivers_there {
            return Err(OpenError::Loop { trail: trail.key.arn().to_string() });
        }
        if let Some((store, _)) = self.buckets.elsewhere(&source.bucket) {
            return Ok(store);
        }
        let found = self.embedded.bucket(&source.bucket).map_err(|error| unavailable(error.to_string()))?;
        if found.is_none() {
            return Err(OpenError::NoSuchBucket { bucket: source.bucket.clone() });
        }
        let reader = Principal {
            account: source.account,
            account_alias: None,
            kind: PrincipalKind::Root,
            access_key_id: String::new(),
            session: None,
        };
        let keys = self.keys.of_principal(reader);
        Ok(self.embedded.sealing_object_store(&source.bucket, keys, WantedKey::default()))
    }

    fn is_here(&self, account: AccountId) -> bool {
        self.directory.account(account).is_some()
    }
}

/// Folds the marks of followed log files into the catalog.
pub(crate) struct FollowProjection(pub(crate) Fold);

#[async_trait]
impl Projection for FollowProjection {
    fn name(&self) -> String {
        "follow".to_owned()
    }

    async fn resume(&mut self) -> Result<Position, ProjectionError> {
        self.0.resume().await.map_err(ProjectionError::retry)
    }

    async fn apply(&mut self, batch: &Arc<EventBatch>) -> Result<Position, ProjectionError> {
        let marks: Vec<Mark> = batch.controls.iter().filter_map(|control| Mark::from_bytes(&control.body)).collect();
        self.0.apply(&marks, batch.through).await.map_err(ProjectionError::retry)
    }

    async fn idle(&mut self, _: Timestamp) -> Result<Position, ProjectionError> {
        self.0.save_if_due().await.map_err(ProjectionError::retry)
    }

    async fn finish(&mut self) -> Result<Position, ProjectionError> {
        self.0.save().await.map_err(ProjectionError::retry)
    }
}
