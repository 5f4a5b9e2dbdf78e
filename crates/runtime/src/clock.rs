use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use opentrail_model::Timestamp;
use tokio::sync::watch;

/// Where the time comes from.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns once the clock shows `deadline` or later; at once when it already does.
    ///
    /// # Cancellation
    /// May be dropped at any time.
    async fn sleep_until(&self, deadline: Timestamp);

    /// Returns once `duration` has passed on this clock.
    async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        // In steps of a minute at most, so that a wall clock set forwards is noticed.
        loop {
            let left = deadline.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(60))).await;
        }
    }
}

/// The machine's clock, some times as quick from a moment on: for tests of what takes hours. Written `RATE@SECONDS`, the moment in seconds
/// since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct QuickClock {
    start: Timestamp,
    rate: u32,
}

impl FromStr for QuickClock {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('@').and_then(|(rate, start)| Some((rate.parse().ok()?, start.parse().ok()?)));
        let (rate, start) = parsed.filter(|(rate, _)| *rate > 0).ok_or("expected RATE@SECONDS, e.g. 60@1795000000")?;
        Ok(Self { start: Timestamp::from_secs(start), rate })
    }
}

#[async_trait]
impl Clock for QuickClock {
    fn now(&self) -> Timestamp {
        self.start + SystemClock.now().since(self.start) * self.rate
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        loop {
            let left = deadline.since(self.now());
            if left.is_zero() {
                return;
            }
            SystemClock.sleep((left / self.rate).max(Duration::from_millis(1))).await;
        }
    }
}

/// A clock that moves only when told to, for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { now: watch::Sender::new(now) }
    }

    /// Moves the clock forward and wakes who waited for that.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = *now + by);
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        // The sender lives in `self`, so waiting cannot fail while this future is polled.
        let _ = self.now.subscribe().wait_for(|now| *now >= deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_only_when_moved() {
        let clock = ManualClock::new(Timestamp::from_secs(100));
        let sleep = clock.sleep(Duration::from_secs(5));
        tokio::pin!(sleep);
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
        clock.advance(Duration::from_secs(5));
        sleep.await;
    }
}
