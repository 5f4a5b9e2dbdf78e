//! Notifications: what a queue says is new is taken before the next look finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use opentrail_catalog::{CatalogError, CatalogExt};
use opentrail_imports::Object;
use opentrail_model::Timestamp;
use opentrail_runtime::CrashPoint;
use tracing::warn;

use crate::documents::{FOLDERS, Passed, key_of};
use crate::follower::{Follower, LookError, equip};
use crate::key::LogKey;
use crate::listing::{Bucket, Found, LISTING};
use crate::looking::UNKNOWN_SIZE;
use crate::notice::Notice;
use crate::{Message, Queue};

/// What messages say, taken together.
#[derive(Default)]
struct Heard {
    /// Log files by their keys.
    files: BTreeMap<String, LogKey>,
    /// Of messages that are done with once the files are taken.
    receipts: Vec<String>,
}

impl Follower {
    /// Takes what some messages name, and deletes them once that is durable.
    ///
    /// Returns how many there were.
    pub(crate) async fn listen(&mut self, queue: &dyn Queue) -> Result<usize, LookError> {
        let (inner, source) = (Arc::clone(&self.inner), self.source.clone());
        self.begin(inner.clock().now()).await?;
        // A bucket that is not to be read is not to be heard of: its messages stay.
        inner.surroundings().open(&source).await?;
        let messages = queue.receive().await?;
        let heard = messages.len();
        let (bucket, mut taking) = equip(&inner, &source).await?;
        let Heard { files, receipts } = self.hear(messages);
        let taken = async {
            self.try_again(&bucket, &mut taking, inner.clock().now()).await?;
            let files = self.noticed(&bucket, files).await?;
            taking.take(files).await?;
            Ok::<_, LookError>(())
        };
        if let Err(error) = taken.await {
            for receipt in &receipts {
                queue.put_back(receipt).await?;
            }
            return Err(error);
        }
        if !receipts.is_empty() {
            // A crash before the deletion has the messages come again, and their files are known.
            CrashPoint::FollowNotified.reach();
            queue.delete(&receipts).await?;
        }
        Ok(heard)
    }

    /// What is not understood is left to the queue, which gives it up by its own rules. What is about something else
    /// than this source's log files is done with: the queue is this source's.
    fn hear(&self, messages: Vec<Message>) -> Heard {
        let mut heard = Heard::default();
        let name = &self.source.name;
        for Message { body, receipt } in messages {
            let outcome = match Notice::read(&body) {
                Notice::Unknown => {
                    let size_bytes = body.len();
                    warn!(
                        source = name,
                        size_bytes, "a message is no notification that is known, and left in its queue"
                    );
                    "unknown"
                }
                Notice::Nothing => {
                    heard.receipts.push(receipt);
                    "nothing"
                }
                Notice::Objects(objects) => {
                    let before = heard.files.len();
                    let wanted = objects.into_iter().filter_map(|(bucket, key)| self.wanted(&bucket, key));
                    heard.files.extend(wanted);
                    heard.receipts.push(receipt);
                    if heard.files.len() > before { "files" } else { "foreign" }
                }
            };
            metrics::counter!("opentrail_follow_messages_total", "source" => name.clone(), "outcome" => outcome)
                .increment(1);
        }
        heard
    }

    fn wanted(&self, bucket: &str, key: String) -> Option<(String, LogKey)> {
        let found = LogKey::parse(&self.source.root(), &key)?;
        let account = found.folder.account;
        let wanted = bucket == self.source.bucket
            && self.source.wants(&found.folder)
            && self.source.whose(account, self.inner.surroundings().is_here(account)).is_some();
        wanted.then_some((key, found))
    }

    /// Of files that messages name those that are not taken yet.
    async fn noticed(&self, bucket: &Bucket<'_>, files: BTreeMap<String, LogKey>) -> Result<Vec<Found>, LookError> {
        let now = self.inner.clock().now();
        let asked = stream::iter(files).map(|(key, LogKey { folder, minute })| async move {
            let passed = self.passed_in(bucket, &folder.name).await?;
            let head = || async { bucket.store.head(&Path::parse(&key)?).await };
            // What cannot be asked for cannot be read either: then it is a failure.
            let (size, modified) = match bucket.patience.ask(head).await {
                Ok(meta) => (meta.size, Timestamp::from_millis(meta.last_modified.timestamp_millis()).floor_secs()),
                Err(_) => (UNKNOWN_SIZE, now.floor_secs()),
            };
            let (object, account) = (Object { key, size }, folder.account);
            let found = Found { object, modified, minute, account, skip: 0 };
            Ok::<_, CatalogError>((modified >= passed).then_some(found))
        });
        let mut asked = Box::pin(asked.buffered(LISTING));
        let mut found = Vec::new();
        while let Some(file) = asked.next().await {
            found.extend(file?);
        }
        Ok(bucket.unknown(found).await?)
    }

    /// Up to when everything in a folder is taken, which may be one that no sweep has come to.
    async fn passed_in(&self, bucket: &Bucket<'_>, folder: &str) -> Result<Timestamp, CatalogError> {
        let key = key_of(&self.source.name, folder);
        let passed = bucket.catalog.find::<Passed>(FOLDERS, &key).await?;
        Ok(passed.map_or(self.start, |passed| passed.value.before))
    }
}
