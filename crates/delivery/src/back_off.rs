//! Growing pauses between attempts.

use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_runtime::Random;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// So many attempts, about half an hour, are made to learn whether a doubtful put was kept.
const ATTEMPTS_IN_DOUBT: u32 = 12;

/// When to try again.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    next: Option<Timestamp>,
    /// Whether what was sent may be kept where it was sent to.
    doubtful: bool,
}

impl BackOff {
    /// For what may have been put before a crash.
    pub(crate) fn in_doubt() -> Self {
        Self { doubtful: true, ..Self::default() }
    }

    /// Takes note of a failure at `now`: pauses double from a second up to `longest`, each up to a fifth longer by
    /// chance, so that trails of one bucket do not come all at once. `doubtful`: it may have been done all the same.
    pub(crate) fn failed(&mut self, doubtful: bool, now: Timestamp, longest: Duration, random: &dyn Random) {
        self.doubtful |= doubtful;
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(20)).min(longest);
        let mut chance = [0];
        random.fill(&mut chance);
        self.failures += 1;
        self.next = Some(now + pause + pause.mul_f64(f64::from(chance[0]) / 1275.0));
    }

    /// Whether nothing has failed since the last success.
    pub(crate) fn is_clear(&self) -> bool {
        self.failures == 0
    }

    /// Whether the object may be put into another bucket: not while it may be in its own, where a repetition overwrites
    /// itself; but a bucket that never answers is not waited for longer than half an hour.
    pub(crate) fn may_move(&self) -> bool {
        !self.doubtful || self.failures >= ATTEMPTS_IN_DOUBT
    }

    /// When the next attempt may be made; `None` for at once.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// How long that is from `now`.
    pub(crate) fn pause(&self, now: Timestamp) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.since(now))
    }

    /// Allows an attempt at once.
    pub(crate) fn hurry(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_runtime::SeededRandom;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let random = SeededRandom::new(1);
        let mut backoff = BackOff::default();
        let longest = Duration::from_secs(300);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            backoff.failed(true, Timestamp::EPOCH, longest, &random);
            pauses.push(backoff.pause(Timestamp::EPOCH));
        }
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] <= FIRST_PAUSE.mul_f64(1.2));
        assert!(pauses.iter().all(|pause| *pause <= longest.mul_f64(1.2)));
        assert!(pauses[39] >= longest);
    }

    #[test]
    fn what_may_be_in_its_bucket_moves_only_after_many_attempts() {
        let random = SeededRandom::new(1);
        let mut backoff = BackOff::default();
        backoff.failed(false, Timestamp::EPOCH, FIRST_PAUSE, &random);
        assert!(backoff.may_move());
        backoff.failed(true, Timestamp::EPOCH, FIRST_PAUSE, &random);
        backoff.failed(false, Timestamp::EPOCH, FIRST_PAUSE, &random);
        assert!(!backoff.may_move(), "the second put may have been kept");
        assert!(!BackOff::in_doubt().may_move());
        for _ in 0..ATTEMPTS_IN_DOUBT {
            backoff.failed(true, Timestamp::EPOCH, FIRST_PAUSE, &random);
        }
        assert!(backoff.may_move());
    }
}
