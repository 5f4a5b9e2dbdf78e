//! How much memory all bodies together may take.

use std::sync::Arc;
use std::time::Duration;

use opentrail_runtime::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::decode::Encoding;

/// What bodies may hold together if nothing else is said: 256 MiB.
pub(crate) const ALL_BODIES: usize = 256 << 20;
/// How long a body waits for room before its client is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body's share of the memory for bodies, given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    _share: OwnedSemaphorePermit,
}

/// Other bodies take all the memory there is for them: try again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bodies under way hold all of the {limit_bytes} bytes that they may have together: send this one again later")]
pub struct NoRoom {
    /// Bytes allowed.
    pub limit_bytes: usize,
}

/// How a body comes, which says what it holds while it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// All of it is held before the first record is looked at.
    Whole {
        /// Its size, or the most that it may have.
        bytes: usize,
    },
    /// Piece by piece.
    Streamed,
}

/// The memory that bodies share. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    free: Arc<Semaphore>,
    limit_bytes: usize,
}

impl Rooms {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        let limit_bytes = limit_bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { free: Arc::new(Semaphore::new(limit_bytes)), limit_bytes }
    }

    /// In the order of asking, so that a large body is not passed over for ever.
    pub(crate) async fn take(&self, arrival: Arrival, encoding: Encoding, clock: &dyn Clock) -> Result<Room, NoRoom> {
        // A body that needs more than there is gets all.
        let share = needs(arrival, encoding).min(self.limit_bytes);
        let share = u32::try_from(share).expect("the limit is at most u32::MAX");
        tokio::select! {
            biased;
            share = Arc::clone(&self.free).acquire_many_owned(share) => {
                Ok(Room { _share: share.expect("the semaphore is never closed") })
            }
            () = clock.sleep(PATIENCE) => Err(NoRoom { limit_bytes: self.limit_bytes }),
        }
    }
}

/// Two batches and a record of a megabyte each, with what a decoder holds: zstd a window of 8 MiB at most.
fn needs(arrival: Arrival, encoding: Encoding) -> usize {
    let (held, streamed) = match arrival {
        Arrival::Whole { bytes } => (bytes, false),
        Arrival::Streamed => (0, true),
    };
    held + match encoding {
        // The batches' records are slices of the body.
        Encoding::Identity if !streamed => 64 << 10,
        Encoding::Identity | Encoding::Gzip => 6 << 20,
        Encoding::Zstd => 14 << 20,
    }
}

#[cfg(test)]
mod tests {
    use opentrail_model::Timestamp;
    use opentrail_runtime::ManualClock;

    use super::*;

    const WHOLE: Arrival = Arrival::Whole { bytes: 60 << 20 };

    #[tokio::test]
    async fn bodies_hold_no_more_than_their_limit_and_who_waits_has_the_next_room() {
        let (rooms, clock) = (Rooms::new(100 << 20), ManualClock::new(Timestamp::EPOCH));
        let first = rooms.take(WHOLE, Encoding::Identity, &clock).await.unwrap();
        let second = rooms.take(WHOLE, Encoding::Identity, &clock);
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        let small = rooms.take(Arrival::Streamed, Encoding::Identity, &clock);
        tokio::pin!(small);
        assert!(futures::poll!(small.as_mut()).is_pending(), "nobody overtakes");
        drop(first);
        let _second = second.await.unwrap();
        let _small = small.await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_to_come_again_and_one_that_needs_all_gets_it() {
        let (rooms, clock) = (Rooms::new(10 << 20), ManualClock::new(Timestamp::EPOCH));
        let all = rooms.take(WHOLE, Encoding::Zstd, &clock).await.unwrap();
        let refused = rooms.take(Arrival::Streamed, Encoding::Gzip, &clock);
        tokio::pin!(refused);
        assert!(futures::poll!(refused.as_mut()).is_pending());
        clock.advance(PATIENCE);
        assert_eq!(refused.await.unwrap_err(), NoRoom { limit_bytes: 10 << 20 });
        drop(all);
        assert!(rooms.take(WHOLE, Encoding::Gzip, &clock).await.is_ok());
    }
}
