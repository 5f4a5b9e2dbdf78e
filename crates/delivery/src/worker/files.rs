//! Log files: cut, put, done; and what happens when a bucket fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStore;
use opentrail_catalog::{Change, Expect};
use opentrail_journal::ReadError;
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::CrashPoint;
use opentrail_trails::{Status, Trail};

use super::fold::group_of;
use super::{Session, Worker, WorkerError};
use crate::back_off::BackOff;
use crate::layout::{Group, Root, log_file, suffix};
use crate::log_file::{Buffer, Effort, Sealed};
use crate::notifier::Notification;
use crate::put::{Destination, PutError};
use crate::state::{Cut, DeliveredFile, FILES, FileIntent, NOTIFICATIONS, WorkerState, file_key};

/// A trail that is so many entries behind the journal's tail compresses in a hurry: at 40,000 records/s, half a second.
const FAR_BEHIND: u64 = 20_000;
/// Puts of one trail that run at once.
const PUTS_AT_ONCE: usize = 4;

impl Session<'_> {
    /// Step 1: closes the files of the buffers `which` and commits the intent to deliver them.
    pub(super) async fn cut(&mut self, which: &[usize]) -> Result<(), WorkerError> {
        let Some(trail) = self.state.trail.clone() else { return Ok(()) };
        let cut = self.buffers.take(which);
        let now = self.worker.context.clock.now();
        let (files, sealed) = self.seal(&trail, cut, now).await?;
        let mut state = self.state.clone();
        state.cut = Some(Cut { files, cursor: self.resume_cursor(), round: None });
        self.intend(state, sealed).await
    }

    /// Commits the intent of `state` to deliver the files `sealed`.
    pub(super) async fn intend(&mut self, state: WorkerState, sealed: Vec<Sealed>) -> Result<(), WorkerError> {
        CrashPoint::DeliveryCut.reach();
        // A crash before this commit leaves nothing of the cut; after it, the files are certain.
        self.commit(state, Vec::new()).await?;
        CrashPoint::DeliveryIntended.reach();
        self.put = vec![false; sealed.len()];
        self.sealed = Some(sealed);
        self.cut_backoff = BackOff::default();
        Ok(())
    }

    /// Compresses the buffers, several at once, and says what they are.
    async fn seal(
        &mut self,
        trail: &Trail,
        buffers: Vec<Buffer>,
        now: Timestamp,
    ) -> Result<(Vec<FileIntent>, Vec<Sealed>), WorkerError> {
        let mut files: Vec<FileIntent> = buffers.iter().map(|buffer| intent(trail, buffer, now)).collect();
        let behind = self.worker.context.feed.journal().tail().0.saturating_sub(self.read.0);
        let effort = if behind > FAR_BEHIND { Effort::Hurried } else { Effort::Usual };
        let tasks = buffers.into_iter().map(|buffer| tokio::task::spawn_blocking(move || buffer.seal(effort)));
        let sealed = futures::future::try_join_all(tasks).await?;
        for (file, sealed) in files.iter_mut().zip(&sealed) {
            file.sha256.clone_from(&sealed.sha256);
        }
        if let Some(largest) = sealed.iter().max_by_key(|sealed| sealed.size_bytes) {
            self.ratio = Some(largest.gzip.len() as f64 / largest.size_bytes as f64);
        }
        Ok((files, sealed))
    }

    /// Steps 2 and 3: puts the files that are not put yet, then records the outcome.
    pub(super) async fn deliver(&mut self) -> Result<(), WorkerError> {
        if self.sealed.is_none() {
            self.collect_again().await?;
        }
        self.go_elsewhere().await?;
        let Some(cut) = self.state.cut.clone() else { return Ok(()) };
        let outcome = self.put_files(&cut).await;
        let now = self.worker.context.clock.now();
        let Err(error) = outcome else { return self.delivered(&cut, now).await };
        self.failed(&cut, &error, now).await?;
        self.give_up_old(&cut, now).await
    }

    async fn put_files(&mut self, cut: &Cut) -> Result<(), PutError> {
        let Worker { key, context, .. } = self.worker;
        let putter = &context.putter;
        let sealed = self.sealed.as_deref().unwrap_or_default();
        let mut stores: BTreeMap<Destination<'_>, Arc<dyn ObjectStore>> = BTreeMap::new();
        let mut puts = Vec::new();
        let mut failure = None;
        for (index, (file, sealed)) in cut.files.iter().zip(sealed).enumerate().filter(|(i, _)| !self.put[*i]) {
            let destination = file.destination();
            let store = match stores.get(&destination) {
                Some(store) => Arc::clone(store),
                None => match putter.open(key, destination).await {
                    Ok(store) => Arc::clone(stores.entry(destination).or_insert(store)),
                    // What one account is refused others may have.
                    Err(error @ PutError::Refused { .. }) => {
                        failure = Some(error);
                        continue;
                    }
                    Err(error @ PutError::TimedOut { .. }) => {
                        failure = Some(error);
                        break;
                    }
                },
            };
            let gzip = sealed.gzip.clone();
            // A crash at any of these leaves a whole object or none, and the intent.
            puts.push(async move {
                CrashPoint::DeliveryPut.reach();
                let outcome = putter.put(&*store, &file.key, gzip, &[]).await;
                CrashPoint::DeliveryWasPut.reach();
                (index, outcome)
            });
        }
        let outcomes: Vec<_> = futures::stream::iter(puts).buffer_unordered(PUTS_AT_ONCE).collect().await;
        for (index, outcome) in outcomes {
            match outcome {
                Ok(()) => self.put[index] = true,
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Step 3: everything is in its bucket (or given up).
    async fn delivered(&mut self, cut: &Cut, now: Timestamp) -> Result<(), WorkerError> {
        let mut state = self.state.clone();
        let mut changes = Vec::new();
        let digesting = state.is_digesting();
        for (file, _) in cut.files.iter().zip(&self.put).filter(|(_, put)| **put) {
            if digesting {
                let document = DeliveredFile {
                    bucket: file.bucket.clone(),
                    key: file.key.clone(),
                    sha256: file.sha256.clone(),
                    oldest_event: file.oldest_event,
                    newest_event: file.newest_event,
                    delivered: now,
                };
                changes.push(Change::put(FILES, file_key(&self.worker.key, file), Expect::Anything, &document));
                self.chains.open(file.group.account, &file.group.region, file.organization.as_ref(), now);
            }
        }
        let told = self.notifications(cut, now);
        let tells = !told.is_empty();
        changes.extend(told);
        let groups: Vec<_> = cut.files.iter().zip(&self.put).map(|(file, put)| (&file.group, *put)).collect();
        for (Group { account, region, .. }, _) in groups.into_iter().filter(|(_, put)| *put) {
            let key = &self.worker.key;
            let status = self.status(*account, region).await?;
            status.latest_delivery = Some(now);
            status.latest_delivery_attempt = Some(now);
            status.latest_delivery_error = None;
            changes.push(status.store(key, *account, region));
        }
        state.finish_cut(cut);
        CrashPoint::DeliveryAllPut.reach();
        // A crash before this commit repeats the puts; after it, nobody reads these records again.
        let committed = self.commit(state, changes).await;
        if tells {
            // A commit that is said to have failed may be kept.
            self.worker.context.notifier.wake(&self.worker.context, &self.worker.key);
        }
        committed?;
        CrashPoint::DeliveryDelivered.reach();
        let arn = self.worker.key.arn();
        let sealed = self.sealed.take().unwrap_or_default();
        for ((file, sealed), _) in cut.files.iter().zip(&sealed).zip(&self.put).filter(|(_, put)| **put) {
            crate::metrics::delivered(arn.as_str(), file.count, sealed.gzip.len());
        }
        self.put.clear();
        self.cut_backoff = BackOff::default();
        Ok(())
    }

    /// What the trail's topic is to be told of the files that are in their bucket: durable with the files' delivery, so
    /// that a crash loses none.
    fn notifications(&self, cut: &Cut, now: Timestamp) -> Vec<Change> {
        let Some(topic) = self.state.trail.as_ref().and_then(|trail| trail.topic.as_ref()) else { return Vec::new() };
        let put = cut.files.iter().zip(&self.put).filter(|(_, put)| **put);
        put.map(|(file, _)| {
            let notification = Notification {
                topic: topic.arn.clone(),
                bucket: file.bucket.clone(),
                key: file.key.clone(),
                account: file.group.account,
                region: file.group.region.clone(),
                delivered: now,
            };
            Change::put(NOTIFICATIONS, file_key(&self.worker.key, file), Expect::Anything, &notification)
        })
        .collect()
    }

    async fn failed(&mut self, cut: &Cut, error: &PutError, now: Timestamp) -> Result<(), WorkerError> {
        let Worker { key, context, .. } = self.worker;
        if self.cut_backoff.is_clear() {
            tracing::warn!(trail.name = %key, %error, "log files cannot be delivered; trying again with growing pauses");
        }
        crate::metrics::failed(key.arn().as_str(), error.status_code().unwrap_or("Timeout"));
        self.cut_backoff.failed(error.is_doubtful(), now, context.settings.longest_pause, &*context.random);
        let mut changes = Vec::new();
        for (index, file) in cut.files.iter().enumerate().filter(|(index, _)| !self.put[*index]).collect::<Vec<_>>() {
            debug_assert!(!self.put[index]);
            let Group { account, region, .. } = &file.group;
            let status = self.status(*account, region).await?;
            status.latest_delivery_attempt = Some(now);
            if let Some(code) = error.status_code() {
                status.latest_delivery_error = Some(code.to_owned());
            }
            changes.push(status.store(key, *account, region));
        }
        context.catalog.commit(changes).await?;
        // Who asked for everything to be delivered now learns that it has been tried.
        self.flushed();
        Ok(())
    }

    /// Ends the cut without the files whose records have been tried for as long as they may be.
    async fn give_up_old(&mut self, cut: &Cut, now: Timestamp) -> Result<(), WorkerError> {
        let Worker { key, context, .. } = self.worker;
        let over = |file: &FileIntent| now.since(file.newest_received) >= context.settings.give_up_after;
        let left = || cut.files.iter().zip(&self.put).filter(|(_, put)| !**put).map(|(file, _)| file);
        if !left().all(over) {
            return Ok(());
        }
        for file in left() {
            crate::metrics::given_up(key.arn().as_str(), file.count);
            tracing::error!(
                trail.name = %key, bucket = file.bucket, object = file.key, records = file.count,
                "a log file could not be delivered in time and is given up"
            );
        }
        self.delivered(cut, now).await
    }

    /// A bucket that fails is waited for; unless the trail has another by now: then what is left goes there.
    ///
    /// A choice: CloudTrail does not say. It loses nothing. A file whose put ended without an answer is tried in its own
    /// bucket for half an hour first; after that it can be in both, and its digest names the new place.
    async fn go_elsewhere(&mut self) -> Result<(), WorkerError> {
        let Some((bucket, prefix, kms_key)) = self.elsewhere() else { return Ok(()) };
        let Some(mut cut) = self.state.cut.clone() else { return Ok(()) };
        let now = self.worker.context.clock.now();
        let Some(trail) = self.state.trail.as_ref() else { return Ok(()) };
        for (file, _) in cut.files.iter_mut().zip(&self.put).filter(|(_, put)| !**put) {
            let suffix = suffix(&trail.arn(), trail.created, &file.group, file.first, file.last);
            let root = Root { prefix: prefix.as_deref(), organization: file.organization.as_ref() };
            file.key = log_file(root, &file.group, now, &suffix);
            file.bucket.clone_from(&bucket);
            file.prefix.clone_from(&prefix);
            file.kms_key.clone_from(&kms_key);
        }
        tracing::warn!(trail.name = %self.worker.key, bucket, "undelivered log files go where the trail delivers now, under its key");
        let mut state = self.state.clone();
        state.cut = Some(cut);
        self.commit(state, Vec::new()).await
    }

    /// The trail's newer destination or key, when the cut has failed to reach its own.
    fn elsewhere(&self) -> Option<(String, Option<String>, Option<String>)> {
        if self.cut_backoff.is_clear() || !self.cut_backoff.may_move() {
            return None;
        }
        let seen = self.worker.post.seen.borrow();
        let (position, trail) = seen.latest.as_ref()?;
        let cut = self.state.cut.as_ref()?;
        let left = cut.files.iter().zip(&self.put).filter(|(_, put)| !**put);
        let differs = |file: &FileIntent| {
            file.bucket != trail.bucket || file.prefix != trail.prefix || file.kms_key != trail.kms_key
        };
        let newer = *position > self.state.cursor && left.into_iter().any(|(file, _)| differs(file));
        newer.then(|| (trail.bucket.clone(), trail.prefix.clone(), trail.kms_key.clone()))
    }

    /// Tries at once when the supervisor has seen that the trail has another bucket.
    pub(super) fn hurry_elsewhere(&mut self) {
        if self.elsewhere().is_some() {
            self.cut_backoff.hurry();
        }
    }

    /// After a restart: reads the records of the cut from the journal again.
    async fn collect_again(&mut self) -> Result<(), WorkerError> {
        let Some(mut cut) = self.state.cut.clone() else { return Ok(()) };
        let Some(trail) = self.state.trail.clone() else { return Ok(()) };
        if let Some(round) = cut.round {
            let (again, sealed) = self.sum_up_again(&trail, round).await?;
            return self.compare(cut, again, sealed).await;
        }
        let through = cut.files.iter().map(|file| file.last).max().unwrap_or(self.state.cursor);
        let mut buffers: Vec<Option<Buffer>> = cut.files.iter().map(|_| None).collect();
        let mut read = self.state.cursor;
        while read < through {
            let batch = match self.worker.context.feed.next(read).await {
                Err(ReadError::Trimmed { after, trimmed }) => {
                    tracing::error!(
                        trail.name = %self.worker.key, %after, %trimmed,
                        "the journal no longer has records of log files that were on their way"
                    );
                    read = trimmed;
                    continue;
                }
                batch => batch?,
            };
            self.collect(&cut, &mut buffers, &batch);
            read = batch.through;
        }
        let (mut files, mut found) = (Vec::new(), Vec::new());
        for (file, buffer) in cut.files.drain(..).zip(buffers) {
            if let Some(buffer) = buffer {
                files.push(file);
                found.push(buffer);
            }
        }
        let now = self.worker.context.clock.now();
        let (again, sealed) = self.seal(&trail, found, now).await?;
        cut.files = files;
        self.compare(cut, again, sealed).await
    }

    /// Goes on with the cut, whose files were made again.
    async fn compare(&mut self, mut cut: Cut, again: Vec<FileIntent>, sealed: Vec<Sealed>) -> Result<(), WorkerError> {
        let mut differs = self.state.cut.as_ref().is_some_and(|cut| cut.files.len() != again.len());
        if cut.files.iter().map(|file| &file.group).ne(again.iter().map(|file| &file.group)) {
            tracing::error!(trail.name = %self.worker.key, "the journal gives other log files than when they were cut");
            (cut.files, differs) = (again.clone(), true);
        }
        for (file, again) in cut.files.iter_mut().zip(again) {
            if file.sha256 != again.sha256 {
                // Only another version of this program, or a damaged catalog, selects otherwise. The put goes over
                // whatever is under the key, so that file and record of it agree again.
                tracing::error!(
                    trail.name = %self.worker.key, object = file.key,
                    "the journal gives other records for this log file than when it was cut"
                );
                let kept = file.clone();
                *file = FileIntent {
                    bucket: kept.bucket,
                    prefix: kept.prefix,
                    organization: kept.organization,
                    kms_key: kept.kms_key,
                    key: kept.key,
                    ..again
                };
                differs = true;
            }
        }
        if differs {
            let mut state = self.state.clone();
            state.cut = Some(cut);
            self.commit(state, Vec::new()).await?;
        }
        self.put = vec![false; sealed.len()];
        self.sealed = Some(sealed);
        Ok(())
    }

    fn collect(&self, cut: &Cut, buffers: &mut [Option<Buffer>], batch: &opentrail_event::EventBatch) {
        let Some(selection) = &self.selection else { return };
        let now = self.worker.context.clock.now();
        let last = cut.files.iter().map(|file| file.last).max().unwrap_or(Position::START);
        for row in selection.rows(batch, batch.rows(Position::START, last)) {
            let event = batch.event(row);
            let position = event.position();
            let group = group_of(selection, event);
            let of_event = |file: &FileIntent| file.group == group && (file.first..=file.last).contains(&position);
            if let Some(index) = cut.files.iter().position(of_event) {
                match &mut buffers[index] {
                    Some(buffer) => buffer.push(event),
                    empty => *empty = Some(Buffer::open(group, event, now)),
                }
            }
        }
    }
}

/// What the file of `buffer` is, but for its hash.
fn intent(trail: &Trail, buffer: &Buffer, now: Timestamp) -> FileIntent {
    let suffix = suffix(&trail.arn(), trail.created, &buffer.group, buffer.first, buffer.last);
    FileIntent {
        bucket: trail.bucket.clone(),
        prefix: trail.prefix.clone(),
        kms_key: trail.kms_key.clone(),
        organization: trail.organization.as_ref().map(|organization| organization.id.clone()),
        key: log_file(Root::of_trail(trail), &buffer.group, now, &suffix),
        group: buffer.group.clone(),
        first: buffer.first,
        last: buffer.last,
        sha256: String::new(),
        count: buffer.count,
        oldest_event: buffer.oldest_event,
        newest_event: buffer.newest_event,
        oldest_received: buffer.oldest_received,
        newest_received: buffer.newest_received,
    }
}
