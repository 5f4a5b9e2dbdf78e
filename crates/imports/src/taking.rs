//! How an import takes files: those that failed before, then those behind its cursor, in order; read several at once.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use opentrail_catalog::CatalogError;
use tokio::sync::mpsc;

use crate::filling::{Filling, Full, Turn};
use crate::import::{Progress, Subject};
use crate::imports::Running;
use crate::reader::Reader;
use crate::{
    Cursor, EntryError, EntryErrorKind, Failure, FailureStatus, Import, ImportKey, Imports, Object, Scope, Step, Walk,
};

/// Failures that are looked up at once.
const PAGE: usize = 500;
/// What a file is taken to have, compressed, until it is read.
const UNKNOWN_SIZE: u64 = 256 << 10;

/// Why nothing more is taken.
#[derive(Debug)]
pub(crate) enum Left {
    /// A folder cannot be listed, and what follows is unknown; or the bucket does not answer.
    Lost {
        location: String,
        error: EntryError,
    },
    /// The bucket does not answer for a file, which was noted as failed.
    Unavailable,
    Catalog(CatalogError),
    /// Nobody commits chunks any more, and says why.
    Unheard,
    Stopped,
    Shutdown,
}

/// What has its turn, and what is to be read for it.
type Due = (Turn, Option<Object>);

/// Takes files and cuts chunks.
pub(crate) struct Taking {
    pub(crate) imports: Imports,
    pub(crate) running: Running,
    pub(crate) walk: Walk,
    pub(crate) reader: Reader,
    pub(crate) chunks: mpsc::Sender<Full>,
}

impl Taking {
    /// Takes all that is left from `progress` on, and hands it on in chunks.
    pub(crate) async fn run(self, import: &Import, scope: Scope, progress: Progress) -> Result<(), Left> {
        let mut filling = Filling::new(progress, import.destination.account);
        let taken = self.all(import, scope, &mut filling).await;
        // What was taken until then counts, however it ended.
        if !matches!(taken, Err(Left::Stopped | Left::Shutdown | Left::Unheard)) {
            self.cut(&mut filling).await?;
        }
        taken
    }

    async fn all(&self, import: &Import, scope: Scope, filling: &mut Filling) -> Result<(), Left> {
        if let Some(retried) = filling.progress.retried.clone() {
            let again = again(self.imports.clone(), self.walk.clone(), import.key.clone(), retried);
            self.take(again.chain(end(Turn::Retry)).boxed(), filling).await?;
        }
        if !filling.progress.walked {
            let (after, found) = (filling.progress.cursor.clone(), Arc::clone(&self.running.found));
            let steps = self.walk.steps(&import.origin.folder, scope, after, found);
            self.take(steps.map(|step| Ok(due(step))).chain(end(Turn::Walk)).boxed(), filling).await?;
        }
        Ok(())
    }

    /// Takes what is due, in its order.
    async fn take(&self, due: BoxStream<'_, Result<Due, CatalogError>>, filling: &mut Filling) -> Result<(), Left> {
        let options = &self.imports.inner.options;
        let clock = &self.imports.inner.clock;
        let read = due.map(|due| async {
            let (turn, object) = due?;
            let read = match &object {
                Some(object) => Some(self.reader.ahead(object).await),
                None => None,
            };
            Ok::<_, CatalogError>((turn, object, read))
        });
        let mut read = Box::pin(read.buffered(options.reading.max(1)));
        loop {
            let next = async {
                let Some(next) = read.next().await else { return Ok(None) };
                let (turn, object, ahead) = next.map_err(Left::Catalog)?;
                let read = match object.as_ref().zip(ahead) {
                    Some((object, ahead)) => self.reader.finish(object, ahead).await,
                    None => Ok(Vec::new()),
                };
                Ok(Some((turn, read)))
            };
            let next = tokio::select! {
                biased;
                () = self.running.stop.begun() => return Err(Left::Stopped),
                () = self.imports.inner.tasks.shutdown().begun() => return Err(Left::Shutdown),
                next = next => next,
            };
            let Some((turn, read)) = next? else { return Ok(()) };
            let now = clock.now();
            let unavailable = |error: &EntryError| error.kind == EntryErrorKind::ServiceUnavailable;
            match turn {
                Turn::Lost { folder, error } => return Err(Left::Lost { location: folder, error }),
                // The others would fail alike: it is for whoever sees the import fail to start it again.
                Turn::Unlisted { folder, error, .. } if unavailable(&error) => {
                    return Err(Left::Lost { location: folder, error });
                }
                turn @ Turn::Walked(_) if read.as_ref().is_err_and(unavailable) => {
                    filling.take(turn, read, now);
                    return Err(Left::Unavailable);
                }
                turn => filling.take(turn, read, now),
            }
            let aged = filling.since.is_some_and(|since| now.since(since) >= options.chunk_age);
            if aged || filling.is_full(options.chunk_bytes) {
                self.cut(filling).await?;
            }
        }
    }

    /// Hands on what was taken. Waits until the chunk before it is committed.
    async fn cut(&self, filling: &mut Filling) -> Result<(), Left> {
        if let Some(full) = filling.cut(self.imports.inner.clock.now()) {
            self.chunks.send(full).await.map_err(|_| Left::Unheard)?;
            let _room = self.chunks.reserve().await.map_err(|_| Left::Unheard)?;
        }
        Ok(())
    }
}

fn end(turn: Turn) -> impl Stream<Item = Result<Due, CatalogError>> + Send {
    stream::iter([Ok((turn, None))])
}

fn due(step: Step) -> Due {
    match step {
        Step::Object(object) => (Turn::Walked(object.key.clone()), Some(object)),
        Step::Done(folder) => (Turn::Passed(folder), None),
        Step::Failed { folder, after, error } => (Turn::Unlisted { folder, after, error }, None),
        Step::Lost { folder, error } => (Turn::Lost { folder, error }, None),
    }
}

/// What failed before, behind the location `after`.
fn again(
    imports: Imports,
    walk: Walk,
    key: ImportKey,
    after: String,
) -> impl Stream<Item = Result<Due, CatalogError>> + Send {
    let pages = stream::unfold(Some(after), move |after| {
        let (imports, key) = (imports.clone(), key.clone());
        async move {
            let after = after?;
            match imports.failed(&key, &after, PAGE).await {
                Ok(page) => {
                    let next = page.last().map(|last| last.location.clone());
                    Some((page.into_iter().map(Ok).collect::<Vec<_>>(), next))
                }
                Err(error) => Some((vec![Err(error)], None)),
            }
        }
    });
    let failed = pages.map(stream::iter).flatten().filter(|failure| {
        let failed = failure.as_ref().map_or(true, |failure: &Failure| failure.status == FailureStatus::Failed);
        std::future::ready(failed)
    });
    failed.flat_map(move |failure| match failure {
        Ok(failure) => tried_again(&walk, failure).map(Ok).boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    })
}

fn tried_again(walk: &Walk, failure: Failure) -> BoxStream<'static, Due> {
    match &failure.subject {
        Subject::File => {
            let object = Object { key: failure.location.clone(), size: UNKNOWN_SIZE };
            stream::iter([(Turn::Again(failure), Some(object))]).boxed()
        }
        Subject::Import => stream::iter([(Turn::Again(failure), None)]).boxed(),
        Subject::Folder { after } => {
            let steps = walk.folder(&failure.location, after.clone().map(Cursor::Key));
            let due = move |step| match step {
                Step::Object(object) => {
                    (Turn::Found { failure: failure.clone(), key: object.key.clone() }, Some(object))
                }
                Step::Done(_) => (Turn::Listed(failure.clone()), None),
                Step::Failed { after, error, .. } => {
                    (Turn::UnlistedAgain { failure: failure.clone(), after, error }, None)
                }
                Step::Lost { folder, error } => (Turn::Lost { folder, error }, None),
            };
            steps.map(due).boxed()
        }
    }
}
