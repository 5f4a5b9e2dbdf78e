use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::{Catalog, CatalogError, CatalogExt, Change, Expect};
use opentrail_model::{Position, Timestamp};
use opentrail_runtime::{Clock, CrashPoint};
use tokio::sync::watch;

use crate::Mark;
use crate::documents::{FAILURES, FILES, FileState, TOTALS, Totals, folded, key_of, put_folded};

/// A position without marks is saved at most so often.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Makes documents of the marks in the journal: which files are taken. The position is in the same transaction, so that
/// it may be killed at any instruction.
#[derive(Debug)]
pub struct Fold {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    /// What the catalog has.
    saved: Position,
    saved_at: Timestamp,
    seen: Position,
    /// Through which position marks are documents.
    told: watch::Sender<Position>,
}

impl Fold {
    /// A fold that goes on where the catalog is; the first time at the journal's `tail`, before which there are no
    /// marks.
    pub(crate) async fn open(
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        tail: Position,
    ) -> Result<(Self, watch::Receiver<Position>), CatalogError> {
        let saved = match folded(&*catalog).await? {
            Some(saved) => saved,
            None => {
                catalog.commit(vec![put_folded(tail)]).await?;
                tail
            }
        };
        let (told, telling) = watch::channel(saved);
        let saved_at = clock.now();
        Ok((Self { catalog, clock, saved, saved_at, seen: saved, told }, telling))
    }

    /// The position that the documents reflect, read back from them.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn resume(&mut self) -> Result<Position, CatalogError> {
        if let Some(saved) = folded(&*self.catalog).await? {
            (self.saved, self.seen) = (saved, saved);
            // A commit that was reported failed may have been kept: whoever waits for it hears of it here.
            self.told.send_replace(saved);
        }
        Ok(self.saved)
    }

    /// Folds in the marks up to and including the position `through`. Returns what the documents reflect durably.
    ///
    /// # Errors
    /// When the catalog fails; then [`Self::resume`] tells where to go on.
    pub async fn apply(&mut self, marks: &[Mark], through: Position) -> Result<Position, CatalogError> {
        if through <= self.seen {
            return Ok(self.saved);
        }
        if marks.is_empty() {
            self.seen = through;
            self.told.send_replace(through);
            return self.save_if_due().await;
        }
        let changes = self.changes(marks, through).await?;
        CrashPoint::FollowFold.reach();
        self.catalog.commit(changes).await?;
        CrashPoint::FollowFolded.reach();
        self.is_saved(through);
        Ok(through)
    }

    /// Saves the position if that was long ago.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn save_if_due(&mut self) -> Result<Position, CatalogError> {
        let due = self.clock.now().since(self.saved_at) >= SAVE_EVERY;
        if due { self.save().await } else { Ok(self.saved) }
    }

    /// Saves the position.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn save(&mut self) -> Result<Position, CatalogError> {
        if self.seen > self.saved {
            self.catalog.commit(vec![put_folded(self.seen)]).await?;
            self.is_saved(self.seen);
        }
        Ok(self.saved)
    }

    fn is_saved(&mut self, position: Position) {
        (self.saved, self.seen) = (position, position);
        self.saved_at = self.clock.now();
        self.told.send_replace(position);
    }

    async fn changes(&self, marks: &[Mark], through: Position) -> Result<Vec<Change>, CatalogError> {
        let now = self.clock.now();
        let (mut changes, mut totals) = (vec![put_folded(through)], BTreeMap::<&str, Totals>::new());
        for Mark { source, files, counts } in marks {
            if !totals.contains_key(source.as_str()) {
                let found = self.catalog.find::<Totals>(TOTALS, source).await?;
                totals.insert(source, found.map(|found| found.value).unwrap_or_default());
            }
            let totals = totals.entry(source).or_default();
            totals.counts.add(*counts);
            for file in files {
                totals.newest = totals.newest.max(Some(file.minute));
                let key = key_of(source, &file.key);
                let state = FileState { modified: file.modified, taken: now, records: file.records, done: file.done };
                changes.push(Change::put(FILES, &*key, Expect::Anything, &state));
                if file.done {
                    changes.push(Change::delete(FAILURES, key, Expect::Anything));
                }
            }
        }
        changes.extend(totals.iter().map(|(source, totals)| Change::put(TOTALS, *source, Expect::Anything, totals)));
        Ok(changes)
    }
}
