use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use opentrail_journal::TrimError;
use opentrail_model::{Position, Timestamp};
use opentrail_projection::Feed;
use opentrail_runtime::{Clock, Shutdown};
use tracing::warn;

/// How often it is looked: as often as the hold-back time ends, within these bounds.
const AT_MOST_EVERY: Duration = Duration::from_millis(500);
const AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// Deletes from the journal what every projection has passed and what is older than the hold-back time.
pub(crate) async fn run(
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    hold_back: Duration,
    shutdown: Shutdown,
) -> Result<(), TrimError> {
    let mut tails = Tails::default();
    let every = hold_back.clamp(AT_MOST_EVERY, AT_LEAST_EVERY);
    loop {
        tokio::select! {
            () = shutdown.begun() => return Ok(()),
            () = clock.sleep(every) => {}
        }
        let now = clock.now();
        let old = tails.older_than(now - hold_back);
        tails.add(now, feed.journal().tail());
        if let Err(error) = feed.journal().trim(old.min(feed.passed())).await {
            warn!(%error, "the journal keeps more than it needs");
        }
    }
}

/// Where the tail was, and when.
#[derive(Debug, Default)]
struct Tails(VecDeque<(Timestamp, Position)>);

impl Tails {
    fn add(&mut self, now: Timestamp, tail: Position) {
        self.0.push_back((now, tail));
    }

    /// The last tail known to have been reached by `then`. Tails before it are forgotten.
    fn older_than(&mut self, then: Timestamp) -> Position {
        let mut last = Position::START;
        while let Some((time, tail)) = self.0.front()
            && *time <= then
        {
            last = *tail;
            if self.0.len() == 1 || self.0[1].0 > then {
                break;
            }
            self.0.pop_front();
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_there_before_the_hold_back_time_may_go() {
        let mut tails = Tails::default();
        for second in 1..=5 {
            tails.add(Timestamp::from_secs(second), Position(10 * second.unsigned_abs()));
        }
        assert_eq!(tails.older_than(Timestamp::from_secs(0)), Position::START);
        assert_eq!(tails.older_than(Timestamp::from_secs(3)), Position(30));
        assert_eq!(tails.older_than(Timestamp::from_secs(3)), Position(30));
        assert_eq!(tails.older_than(Timestamp::from_secs(9)), Position(50));
    }
}
