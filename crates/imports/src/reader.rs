//! How objects become events: fetched and decoded several at a time, within a bound of memory, and given in order.

use std::sync::Arc;

use bytes::BytesMut;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use opentrail_model::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::entry::Patience;
use crate::{EntryError, EntryErrorKind, LogEvent, LogFileError, Object, Window, read_log_file};

/// A log file uncompressed, beside the object, as a rule less than so many times.
const EXPANSION: u64 = 24;
/// Room is given in units of so many bytes.
const UNIT: u64 = 1 << 10;
/// Room that is taken for the smallest file.
const LEAST: u64 = 64 << 10;

/// Reads objects of a bucket.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Arc<dyn ObjectStore>,
    window: Window,
    patience: Patience,
    /// For files that were read before it is their turn.
    room: Arc<Semaphore>,
    /// The most that one of them may have of it.
    most: u64,
    file_bytes: usize,
    decoding: Arc<Semaphore>,
}

/// An object that was read ahead, or was not.
#[derive(Debug)]
pub enum Ahead {
    /// What it has, and the room that this takes.
    Read(Result<Vec<LogEvent>, EntryError>, Option<OwnedSemaphorePermit>),
    /// It is too large to wait for its turn: it is read when that comes.
    Later,
}

impl Reader {
    /// A reader of what `store` has for `window`. What is read ahead takes `window_bytes` together; a file may have
    /// `file_bytes`, compressed or not; as many are decompressed at once as `decoding` has permits.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        window: Window,
        patience: Patience,
        window_bytes: usize,
        file_bytes: usize,
        decoding: Arc<Semaphore>,
    ) -> Self {
        let units = (window_bytes as u64 / UNIT).clamp(1, u64::from(u32::MAX));
        let room = Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX)));
        Self { store, window, patience, room, most: (units / 4).max(1) * UNIT, file_bytes, decoding }
    }

    /// Reads an object before it is its turn, if there is room for it. Who asks first gets room first.
    pub async fn ahead(&self, object: &Object) -> Ahead {
        let size = object.size.saturating_mul(EXPANSION).clamp(LEAST.min(self.most), self.most);
        if object.size > self.most {
            return Ahead::Later;
        }
        let units = u32::try_from(size / UNIT).unwrap_or(u32::MAX).max(1);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await.ok();
        let limit = usize::try_from(size).unwrap_or(usize::MAX).min(self.file_bytes);
        let decoding = Some(&self.decoding);
        match self.read(&object.key, limit, decoding).await {
            Err(error) if error.kind == EntryErrorKind::FileTooLarge && limit < self.file_bytes => Ahead::Later,
            read => Ahead::Read(read, room),
        }
    }

    /// The object, now that it is its turn.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn finish(&self, object: &Object, ahead: Ahead) -> Result<Vec<LogEvent>, EntryError> {
        match ahead {
            Ahead::Read(read, _room) => read,
            // Those that are read ahead may have all permits, and do not go on meanwhile.
            Ahead::Later => self.read(&object.key, self.file_bytes, None).await,
        }
    }

    /// The wanted events of an object that has at most `limit` bytes, compressed or not; decompressed with a permit of
    /// `decoding`.
    async fn read(
        &self,
        key: &str,
        limit: usize,
        decoding: Option<&Arc<Semaphore>>,
    ) -> Result<Vec<LogEvent>, EntryError> {
        // Neither documented nor known how CloudTrail knows log files: by their names is a choice, their form is looked at
        // all the same.
        if !key.ends_with(".json.gz") {
            return Err(EntryError::new(
                EntryErrorKind::InvalidFile,
                "The name of the file does not end with .json.gz.",
            ));
        }
        let path = Path::parse(key).map_err(object_store::Error::from)?;
        let fetched = self.patience.ask(|| fetch(&*self.store, &path, limit)).await?;
        let Some(bytes) = fetched else {
            return Err(LogFileError::TooLarge { limit_bytes: limit }.into());
        };
        let permit = match decoding {
            Some(decoding) => Arc::clone(decoding).acquire_owned().await.ok(),
            None => None,
        };
        let window = self.window.clone();
        let decoded = tokio::task::spawn_blocking(move || {
            // Given back when it is done, whether or not anybody looks.
            let _permit = permit;
            let mut events = read_log_file(&bytes, limit)?;
            events.retain(|event| window.holds(event.time));
            Ok::<_, LogFileError>(events)
        });
        match decoded.await {
            Ok(events) => Ok(events?),
            Err(panic) => Err(EntryError::new(EntryErrorKind::InvalidFile, panic)),
        }
    }
}

/// The bytes of an object; `None` when there are more than `limit`.
async fn fetch(store: &dyn ObjectStore, path: &Path, limit: usize) -> Result<Option<BytesMut>, object_store::Error> {
    let found = store.get(path).await?;
    if found.meta.size > limit as u64 {
        return Ok(None);
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(found.meta.size).unwrap_or_default());
    let mut stream = found.into_stream();
    while let Some(piece) = stream.next().await.transpose()? {
        if bytes.len() + piece.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

/// The account in whose folder `…/AWSLogs/[o-…/]<account>/` a key lies.
pub(crate) fn account_of(key: &str) -> Option<AccountId> {
    let (_, below) = key.rsplit_once("AWSLogs/")?;
    below.split('/').take(2).find_map(|part| part.parse().ok())
}
