//! Digests: due, made, put, done.

use opentrail_catalog::{CatalogExt, Change, Expect};
use opentrail_model::Timestamp;
use opentrail_runtime::CrashPoint;
use opentrail_trails::Status as _;

use super::{Session, Worker, WorkerError};
use crate::back_off::BackOff;
use crate::chain::{Chain, Link};
use crate::digest::{Contents, PendingDigest, SIGNATURE_ALGORITHM};
use crate::layout::{self, Root};
use crate::log_file::{Effort, Sealed};
use crate::put::{Destination, PutError};
use crate::state::{DIGESTS, DeliveredFile, FILES, chain_key};

impl Session<'_> {
    /// Delivers the next digest of the chain `name`. A failure is noted for later; the next one waits for this one.
    pub(super) async fn digest(&mut self, name: &str) -> Result<(), WorkerError> {
        let Some(chain) = self.chains.get(name).cloned() else { return Ok(()) };
        let digest = match self.pending.get(name) {
            Some(digest) if self.stays(name, &chain, digest) => digest.clone(),
            _ => match self.make(name, &chain).await? {
                Some(digest) => digest,
                None => return Ok(()),
            },
        };
        let outcome = self.put_digest(&chain, &digest).await;
        let now = self.worker.context.clock.now();
        match outcome {
            Ok(()) => self.digest_delivered(name, chain, digest, now).await,
            Err(error) => self.digest_failed(name, chain, &error, now).await,
        }
    }

    /// A digest that was not put before the trail got another bucket is made anew for that one, unless it may be in its
    /// own already.
    fn stays(&self, name: &str, chain: &Chain, digest: &PendingDigest) -> bool {
        let trail = self.state.trail.as_ref();
        let right = trail.is_none_or(|trail| trail.bucket == digest.bucket && trail.prefix == digest.prefix);
        (right && chain.organization == digest.organization)
            || !self.chains.backoff(name).is_some_and(BackOff::may_move)
    }

    /// Step 1: fixes the bytes and the signature of the chain's current window, durably.
    async fn make(&mut self, name: &str, chain: &Chain) -> Result<Option<PendingDigest>, WorkerError> {
        let Worker { key, context, .. } = self.worker;
        let (Some(trail), Some(end)) = (&self.state.trail, chain.end(context.settings.digest_interval)) else {
            return Ok(None);
        };
        let document = chain_key(key, chain.account, &chain.region);
        let all = context.catalog.all::<DeliveredFile>(FILES, &format!("{document}/")).await?;
        // Whatever was delivered before the window's end and is in no digest yet: each file gets into exactly one.
        let (listed, files): (Vec<_>, Vec<_>) =
            all.into_iter().filter(|file| file.value.delivered < end).map(|file| (file.key, file.value)).unzip();
        let root = Root { prefix: trail.prefix.as_deref(), organization: chain.organization.as_ref() };
        let object = layout::digest(root, chain.account, &chain.region, key, end);
        let signer = context.signing.key_for(&chain.region, end).await?;
        let (bucket, prefix) = (trail.bucket.clone(), trail.prefix.clone());
        let chain = chain.clone();
        let signed = tokio::task::spawn_blocking(move || {
            let contents = Contents {
                account: chain.account,
                start: chain.start,
                end,
                bucket: &bucket,
                key: &object,
                previous: chain.previous.as_ref(),
                files: &files,
            };
            let (body, sha256, signature) = contents.sign(&signer)?;
            let organization = chain.organization;
            Ok(PendingDigest { bucket, prefix, organization, key: object, end, body, sha256, signature, files: listed })
        });
        let digest = signed.await?.map_err(WorkerError::Signing)?;
        CrashPoint::DeliveryDigestSigned.reach();
        // A crash before this commit makes the digest anew; after it, these very bytes are put.
        context.catalog.commit(vec![Change::put(DIGESTS, document, Expect::Anything, &digest)]).await?;
        CrashPoint::DeliveryDigestFixed.reach();
        self.pending.insert(name.to_owned(), digest.clone());
        Ok(Some(digest))
    }

    /// Step 2.
    async fn put_digest(&self, chain: &Chain, digest: &PendingDigest) -> Result<(), PutError> {
        let Worker { key, context, .. } = self.worker;
        // The trail's key as it is now: a digest that waits for a key can go on with another.
        let kms_key = self.state.trail.as_ref().and_then(|trail| trail.kms_key.as_deref());
        let root = Root { prefix: digest.prefix.as_deref(), organization: digest.organization.as_ref() };
        let destination = Destination { bucket: &digest.bucket, root, kms_key, recipient: chain.account };
        let store = context.putter.open(key, destination).await?;
        let metadata =
            [("signature", digest.signature.clone()), ("signature-algorithm", SIGNATURE_ALGORITHM.to_owned())];
        let gzip = Sealed::of(digest.body.as_bytes(), Effort::Usual).gzip;
        // A crash here leaves a whole object or none, and the intent.
        context.putter.put(&*store, &digest.key, gzip, &metadata).await
    }

    /// Step 3: the chain moves on, its files are listed.
    async fn digest_delivered(
        &mut self,
        name: &str,
        mut chain: Chain,
        digest: PendingDigest,
        now: Timestamp,
    ) -> Result<(), WorkerError> {
        let key = &self.worker.key;
        let PendingDigest { bucket, key: object, end, sha256, signature, files, .. } = digest;
        let mut changes: Vec<Change> =
            files.into_iter().map(|file| Change::delete(FILES, file, Expect::Anything)).collect();
        changes.push(Change::delete(DIGESTS, chain_key(key, chain.account, &chain.region), Expect::Anything));
        let status = self.status(chain.account, &chain.region).await?;
        status.latest_digest_delivery = Some(now);
        status.latest_digest_delivery_error = None;
        changes.push(status.store(key, chain.account, &chain.region));
        chain.advance(end, Link { bucket, key: object, sha256, signature });
        self.chains.advanced(name, chain);
        CrashPoint::DeliveryDigestPut.reach();
        // A crash before this commit puts the same bytes again; after it, the next window is current.
        self.commit(self.state.clone(), changes).await?;
        CrashPoint::DeliveryDigestDelivered.reach();
        self.pending.remove(name);
        crate::metrics::digest(key.arn().as_str());
        Ok(())
    }

    async fn digest_failed(
        &mut self,
        name: &str,
        mut chain: Chain,
        error: &PutError,
        now: Timestamp,
    ) -> Result<(), WorkerError> {
        let Worker { key, context, .. } = self.worker;
        if self.chains.backoff(name).is_none_or(BackOff::is_clear) {
            tracing::warn!(
                trail.name = %key, account.id = %chain.account, region = %chain.region, %error,
                "a digest cannot be delivered; trying again with growing pauses"
            );
        }
        let longest = context.settings.longest_pause;
        self.chains.delay(name, |backoff| backoff.failed(error.is_doubtful(), now, longest, &*context.random));
        crate::metrics::failed(key.arn().as_str(), error.status_code().unwrap_or("Timeout"));
        let status = self.status(chain.account, &chain.region).await?;
        if let Some(code) = error.status_code() {
            status.latest_digest_delivery_error = Some(code.to_owned());
        }
        let change = status.store(key, chain.account, &chain.region);
        let over = |at: Timestamp| now.since(at) >= context.settings.give_up_after;
        if !self.state.deleted.is_some_and(|deleted| over(deleted.at)) {
            context.catalog.commit(vec![change]).await?;
            return Ok(());
        }
        tracing::error!(trail.name = %key, region = %chain.region, "the deleted trail's last digests are given up");
        chain.shut();
        self.chains.advanced(name, chain);
        self.commit(self.state.clone(), vec![change]).await
    }
}
